/*
 * Request heads: what is accepted and what it means, what is refused and with which words.
 */
#include "http/h1/h1_support.h"

struct refused {
	struct span bytes;
	enum error_code code;
	const char *text; /* a part of the error's text */
};

#define LINE "GET /x HTTP/1.1\r\n"
#define HOST "Host: a.test\r\n"
#define POST "POST /x HTTP/1.1\r\n" HOST
#define AT_LINE(text) BYTES(text "\r\n" HOST "\r\n")
#define AT_HOST(text) BYTES(LINE "Host: " text "\r\n\r\n")
#define AT_FIELD(text) BYTES(LINE HOST text "\r\n\r\n")
#define AT_LENGTH(text) BYTES(POST "Content-Length: " text "\r\n\r\n")
#define AT_CODING(text) BYTES(POST "Transfer-Encoding: " text "\r\n\r\n")

static const struct refused refused_lines[] = {
	{BYTES("\r\n\r\n"), ERROR_MALFORMED_REQUEST, "empty line"},
	{AT_LINE(" /x HTTP/1.1"), ERROR_MALFORMED_REQUEST, "no method"},
	{AT_LINE("GET HTTP/1.1"), ERROR_MALFORMED_REQUEST, "no version"},
	{AT_LINE("GET  HTTP/1.1"), ERROR_MALFORMED_REQUEST, "more than one space"},
	{AT_LINE("GET /x"), ERROR_MALFORMED_REQUEST, "no version"},
	{AT_LINE("GET /x "), ERROR_MALFORMED_REQUEST, "malformed version"},
	{AT_LINE("GET"), ERROR_MALFORMED_REQUEST, "no target"},
	{AT_LINE("GET  /x HTTP/1.1"), ERROR_MALFORMED_REQUEST, "more than one space"},
	{AT_LINE("GET /x  HTTP/1.1"), ERROR_MALFORMED_REQUEST, "a space too many"},
	{AT_LINE("GET\t/x HTTP/1.1"), ERROR_MALFORMED_REQUEST, "method"},
	{AT_LINE("GET /x\tHTTP/1.1"), ERROR_MALFORMED_REQUEST, "no version"},
	{AT_LINE("GET /x HTTP/1.1 "), ERROR_MALFORMED_REQUEST, "malformed version"},
	{AT_LINE("GET /x HTTP/1.1\t"), ERROR_MALFORMED_REQUEST, "malformed version"},
	{AT_LINE("GET /x HTTP/1.1 x"), ERROR_MALFORMED_REQUEST, "malformed version"},
	{AT_LINE("GET /a b HTTP/1.1"), ERROR_MALFORMED_REQUEST, "a space too many"},
	{AT_LINE("GET /x\rHTTP/1.1"), ERROR_MALFORMED_REQUEST, "no version"},
	{AT_LINE("GET /x HTTP/1.1\r"), ERROR_MALFORMED_REQUEST, "malformed version"},
	{BYTES("GET /x HTTP/1.1\n"), ERROR_MALFORMED_REQUEST, "bare LF"},
	{BYTES("\n"), ERROR_MALFORMED_REQUEST, "bare LF"},
	{BYTES("GET /x HTTP/1.1\r" HOST "\r\n"), ERROR_MALFORMED_REQUEST, "malformed version"},
	{AT_LINE("G@T /x HTTP/1.1"), ERROR_MALFORMED_REQUEST, "method"},
	{AT_LINE("GE\0T /x HTTP/1.1"), ERROR_MALFORMED_REQUEST, "method"},
	{AT_LINE("\"GET\" /x HTTP/1.1"), ERROR_MALFORMED_REQUEST, "no method"},
	{AT_LINE("G\xc9T /x HTTP/1.1"), ERROR_MALFORMED_REQUEST, "method"},
	{AT_LINE("GET /x HTTP/11"), ERROR_MALFORMED_REQUEST, "malformed version"},
	{AT_LINE("GET /x HTTP/1."), ERROR_MALFORMED_REQUEST, "malformed version"},
	{AT_LINE("GET /x HTTP/1,1"), ERROR_MALFORMED_REQUEST, "malformed version"},
	{AT_LINE("GET /x HTTP/1.10"), ERROR_MALFORMED_REQUEST, "malformed version"},
	{AT_LINE("GET /x HTTP/01.1"), ERROR_MALFORMED_REQUEST, "malformed version"},
	{AT_LINE("GET /x http/1.1"), ERROR_MALFORMED_REQUEST, "malformed version"},
	{AT_LINE("GET /x HTTP/a.b"), ERROR_MALFORMED_REQUEST, "malformed version"},
	{AT_LINE("GET /x HTTP/2.0"), ERROR_VERSION_UNSUPPORTED, "version"},
	{AT_LINE("GET /x HTTP/0.9"), ERROR_VERSION_UNSUPPORTED, "version"},
	{AT_LINE("GET /x HTTP/3.0"), ERROR_VERSION_UNSUPPORTED, "version"},
	{BYTES("PRI * HTTP/2.0\r\n\r\n"), ERROR_VERSION_UNSUPPORTED, "version"},
	{AT_LINE("GET x HTTP/1.1"), ERROR_BAD_TARGET, "neither a path"},
	{AT_LINE("GET /x#f HTTP/1.1"), ERROR_BAD_TARGET, "fragment"},
	{AT_LINE("GET /x\0y HTTP/1.1"), ERROR_BAD_TARGET, "control byte"},
	{AT_LINE("GET /\xc3\xa9 HTTP/1.1"), ERROR_BAD_TARGET, "beyond ASCII"},
	{AT_LINE("GET * HTTP/1.1"), ERROR_BAD_TARGET, "OPTIONS"},
	{AT_LINE("GET a.test:80 HTTP/1.1"), ERROR_BAD_TARGET, "neither a path"},
	{AT_LINE("CONNECT a.test HTTP/1.1"), ERROR_BAD_TARGET, "without a port"},
	{AT_LINE("CONNECT /x HTTP/1.1"), ERROR_BAD_TARGET, "host name"},
};

static const struct refused refused_hosts[] = {
	{BYTES(LINE "\r\n"), ERROR_MALFORMED_REQUEST, "no Host"},
	{BYTES("GET http://a.test/x HTTP/1.1\r\n\r\n"), ERROR_MALFORMED_REQUEST, "no Host"},
	{BYTES("GET http://a.test/x HTTP/1.1\r\nHost: a b\r\n\r\n"), ERROR_MALFORMED_REQUEST, "host name"},
	{BYTES(LINE HOST HOST "\r\n"), ERROR_MALFORMED_REQUEST, "repeated Host"},
	{BYTES(LINE HOST "hOST: b\r\n\r\n"), ERROR_MALFORMED_REQUEST, "repeated Host"},
	{BYTES("GET /x HTTP/1.0\r\n" HOST HOST "\r\n"), ERROR_MALFORMED_REQUEST, "repeated Host"},
	{AT_HOST(""), ERROR_MALFORMED_REQUEST, "empty Host"},
	{AT_HOST("a.test, b.test"), ERROR_MALFORMED_REQUEST, "host name"},
	{AT_HOST("u@a.test"), ERROR_MALFORMED_REQUEST, "userinfo"},
	{AT_HOST("a.test/"), ERROR_MALFORMED_REQUEST, "host name"},
	{AT_HOST("http://a.test"), ERROR_MALFORMED_REQUEST, "port"},
	{AT_HOST("a.test:http"), ERROR_MALFORMED_REQUEST, "port"},
	{AT_HOST("a.test:0"), ERROR_MALFORMED_REQUEST, "port"},
	{AT_HOST("a.test:65536"), ERROR_MALFORMED_REQUEST, "port"},
	{AT_HOST("a.test:80:80"), ERROR_MALFORMED_REQUEST, "port"},
	{AT_HOST(":80"), ERROR_MALFORMED_REQUEST, "empty host"},
	{AT_HOST("[::1"), ERROR_MALFORMED_REQUEST, "']'"},
	{AT_HOST("[]"), ERROR_MALFORMED_REQUEST, "IPv6"},
	{AT_HOST("[::g]"), ERROR_MALFORMED_REQUEST, "IPv6"},
	{AT_HOST("::1"), ERROR_MALFORMED_REQUEST, "empty host"},
	{AT_HOST("[::1]x"), ERROR_MALFORMED_REQUEST, "between"},
	{AT_HOST("\xe9.test"), ERROR_MALFORMED_REQUEST, "host name"},
	{AT_HOST("0x7f.1"), ERROR_MALFORMED_REQUEST, "IPv4"},
};

static const struct refused refused_fields[] = {
	{AT_FIELD("X-A: b\r\n c"), ERROR_MALFORMED_REQUEST, "folded"},
	{AT_FIELD("X-A: b\r\n\tc"), ERROR_MALFORMED_REQUEST, "folded"},
	{AT_FIELD("X-A: b\r\n "), ERROR_MALFORMED_REQUEST, "folded"},
	{BYTES(LINE " X-A: b\r\n" HOST "\r\n"), ERROR_MALFORMED_REQUEST, "space before a field name"},
	{AT_FIELD("X-A: b\rc"), ERROR_MALFORMED_REQUEST, "bare CR"},
	{AT_FIELD("X-A: b\r"), ERROR_MALFORMED_REQUEST, "bare CR"},
	{AT_FIELD("X-A: b\nX-B: c"), ERROR_MALFORMED_REQUEST, "bare LF"},
	{BYTES(LINE HOST "\n"), ERROR_MALFORMED_REQUEST, "bare CR or LF"},
	{BYTES(LINE HOST "\r"), ERROR_MALFORMED_REQUEST, "bare CR or LF"},
	{BYTES(LINE HOST), ERROR_MALFORMED_REQUEST, "without its end"},
	{BYTES(LINE HOST "X-A"), ERROR_MALFORMED_REQUEST, "without its end"},
	{BYTES(LINE HOST "X-A:"), ERROR_MALFORMED_REQUEST, "without its end"},
	{BYTES(LINE HOST "X-A: b"), ERROR_MALFORMED_REQUEST, "without its end"},
	{BYTES(LINE HOST "\r\nX"), ERROR_MALFORMED_REQUEST, "bytes after"},
	{AT_FIELD("X-A: b\0c"), ERROR_MALFORMED_REQUEST, "NUL"},
	{AT_FIELD("X-A: b\x01"
		  "c"),
	 ERROR_MALFORMED_REQUEST, "control byte"},
	{AT_FIELD("X-A: long enough for eight\x1f more and more"), ERROR_MALFORMED_REQUEST, "control byte"},
	{AT_FIELD("X-A: long enough for eight\x7f more and more"), ERROR_MALFORMED_REQUEST, "control byte"},
	{AT_FIELD("X-A: a\ttab and then\x0b"), ERROR_MALFORMED_REQUEST, "control byte"},
	{AT_FIELD("X-A : b"), ERROR_MALFORMED_REQUEST, "space before the colon"},
	{AT_FIELD("X-A\t: b"), ERROR_MALFORMED_REQUEST, "space before the colon"},
	{AT_FIELD(": b"), ERROR_MALFORMED_REQUEST, "empty field name"},
	{AT_FIELD("X-A"), ERROR_MALFORMED_REQUEST, "without a colon"},
	{AT_FIELD("X A: b"), ERROR_MALFORMED_REQUEST, "space before the colon"},
	{AT_FIELD("X\0A: b"), ERROR_MALFORMED_REQUEST, "NUL"},
	{AT_FIELD("X\xe9"
		  "A: b"),
	 ERROR_MALFORMED_REQUEST, "byte in a field name"},
	{AT_FIELD("X(A: b"), ERROR_MALFORMED_REQUEST, "byte in a field name"},
	{AT_FIELD("X\"A: b"), ERROR_MALFORMED_REQUEST, "byte in a field name"},
	{AT_FIELD("Connection: Host"), ERROR_MALFORMED_REQUEST, "nominates"},
	{AT_FIELD("Connection: close, content-length"), ERROR_MALFORMED_REQUEST, "nominates"},
	{AT_FIELD("Connection: transfer-ENCODING"), ERROR_MALFORMED_REQUEST, "nominates"},
	{AT_FIELD("Connection: \"a, host, \""), ERROR_MALFORMED_REQUEST, "nominates"},
	{AT_FIELD("Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,0,1,2,3,4,5,6"),
	 ERROR_HEAD_TOO_LARGE, "connection options"},
	{AT_FIELD("Expect: 200-ok"), ERROR_EXPECTATION_FAILED, "expectation"},
	{AT_FIELD("Expect: 100-continue, x"), ERROR_EXPECTATION_FAILED, "expectation"},
};

static const struct refused refused_framing[] = {
	{AT_LENGTH("5\r\nContent-Length: 5"), ERROR_MALFORMED_REQUEST, "repeated"},
	{AT_LENGTH("5\r\nContent-Length: 6"), ERROR_MALFORMED_REQUEST, "repeated"},
	{AT_LENGTH("5, 5"), ERROR_MALFORMED_REQUEST, "not a number"},
	{AT_LENGTH("5,"), ERROR_MALFORMED_REQUEST, "not a number"},
	{AT_LENGTH("+5"), ERROR_MALFORMED_REQUEST, "not a number"},
	{AT_LENGTH("-5"), ERROR_MALFORMED_REQUEST, "not a number"},
	{AT_LENGTH("0x5"), ERROR_MALFORMED_REQUEST, "not a number"},
	{AT_LENGTH("5.0"), ERROR_MALFORMED_REQUEST, "not a number"},
	{AT_LENGTH("1 0"), ERROR_MALFORMED_REQUEST, "not a number"},
	{AT_LENGTH("1_0"), ERROR_MALFORMED_REQUEST, "not a number"},
	{AT_LENGTH("\"5\""), ERROR_MALFORMED_REQUEST, "not a number"},
	{AT_LENGTH(""), ERROR_MALFORMED_REQUEST, "empty"},
	{AT_LENGTH("18446744073709551616"), ERROR_MALFORMED_REQUEST, "too large"},
	{AT_LENGTH("18446744073709551615"), ERROR_MALFORMED_REQUEST, "too large"},
	{AT_LENGTH("9223372036854775808"), ERROR_MALFORMED_REQUEST, "too large"},
	{AT_LENGTH("99999999999999999999999999999999999999999"), ERROR_MALFORMED_REQUEST, "too large"},
	{AT_LENGTH("5\r\nTransfer-Encoding: chunked"), ERROR_MALFORMED_REQUEST, "together"},
	{AT_LENGTH("0\r\nTransfer-Encoding: chunked"), ERROR_MALFORMED_REQUEST, "together"},
	{AT_LENGTH("x\r\nTransfer-Encoding: chunked"), ERROR_MALFORMED_REQUEST, "together"},
	{AT_CODING("chunked\r\nContent-Length: 5"), ERROR_MALFORMED_REQUEST, "together"},
	{AT_CODING("x\r\nContent-Length: 5"), ERROR_MALFORMED_REQUEST, "together"},
	{AT_CODING("identity"), ERROR_MALFORMED_REQUEST, "not chunked"},
	{AT_CODING("gzip"), ERROR_MALFORMED_REQUEST, "not chunked"},
	{AT_CODING("chunked, gzip"), ERROR_MALFORMED_REQUEST, "not chunked"},
	{AT_CODING("chunked, identity"), ERROR_MALFORMED_REQUEST, "not chunked"},
	{AT_CODING("chunked, chunked"), ERROR_MALFORMED_REQUEST, "more than once"},
	{AT_CODING("chunked\r\nTransfer-Encoding: chunked"), ERROR_MALFORMED_REQUEST, "more than once"},
	{AT_CODING("chunked\r\nTransfer-Encoding: gzip"), ERROR_MALFORMED_REQUEST, "not chunked"},
	{AT_CODING("chunkedx"), ERROR_MALFORMED_REQUEST, "not chunked"},
	{AT_CODING("xchunked"), ERROR_MALFORMED_REQUEST, "not chunked"},
	{AT_CODING("\"chunked\""), ERROR_MALFORMED_REQUEST, "malformed Transfer-Encoding"},
	{AT_CODING("chunked;q=1"), ERROR_MALFORMED_REQUEST, "malformed Transfer-Encoding"},
	{AT_CODING(", chunked"), ERROR_MALFORMED_REQUEST, "malformed Transfer-Encoding"},
	{AT_CODING("chunked,"), ERROR_MALFORMED_REQUEST, "malformed Transfer-Encoding"},
	{AT_CODING("chunked foo"), ERROR_MALFORMED_REQUEST, "malformed Transfer-Encoding"},
	{AT_CODING("\x0b"
		   "chunked"),
	 ERROR_MALFORMED_REQUEST, "control byte"},
	{AT_CODING(""), ERROR_MALFORMED_REQUEST, "malformed Transfer-Encoding"},
	{AT_CODING("gzip, chunked"), ERROR_CODING_UNKNOWN, "other than chunked"},
	{AT_CODING("identity, chunked"), ERROR_CODING_UNKNOWN, "other than chunked"},
	{AT_CODING("gzip\r\nTransfer-Encoding: chunked"), ERROR_CODING_UNKNOWN, "other than chunked"},
	{BYTES("POST /x HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"), ERROR_MALFORMED_REQUEST,
	 "1.0"},
	{BYTES("CONNECT a.test:443 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n"), ERROR_MALFORMED_REQUEST,
	 "CONNECT"},
	{BYTES("CONNECT a.test:443 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"),
	 ERROR_MALFORMED_REQUEST, "CONNECT"},
	{BYTES("TRACE /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n"), ERROR_MALFORMED_REQUEST, "TRACE"},
};

static void check_refused(const struct refused *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct bench bench;
		bench_init(&bench);
		if (parse_request(&bench, cases[i].bytes))
			fail_msg("accepted: %.*s", SPAN_ARG(cases[i].bytes));
		const char *text = error_text(&bench.error);
		if (bench.error.code != cases[i].code || !strstr(text, cases[i].text))
			fail_msg("%.*s\ngot %s \"%s\", want %s \"%s\"", SPAN_ARG(cases[i].bytes),
				 error_name(bench.error.code), text, error_name(cases[i].code), cases[i].text);
		bench_fini(&bench);
	}
}

static void test_refused_lines(void **state)
{
	check_refused(refused_lines, ARRAY_LENGTH(refused_lines));
}

static void test_refused_hosts(void **state)
{
	check_refused(refused_hosts, ARRAY_LENGTH(refused_hosts));
}

static void test_refused_fields(void **state)
{
	check_refused(refused_fields, ARRAY_LENGTH(refused_fields));
}

static void test_refused_framing(void **state)
{
	check_refused(refused_framing, ARRAY_LENGTH(refused_framing));
}

struct accepted {
	struct span bytes;
	const char *authority, *path;
	enum http_version version;
	enum http_body body;
	uint64_t length;
	bool keep_alive;
	const char *fields; /* "name=value;" of all that is left */
};

#define V10 HTTP_VERSION_10
#define V11 HTTP_VERSION_11
#define NONE HTTP_BODY_NONE
#define LENGTH HTTP_BODY_LENGTH
#define STREAMED HTTP_BODY_STREAMED

static const struct accepted accepted[] = {
	{BYTES(LINE HOST "\r\n"), "a.test", "/x", V11, NONE, 0, true, ""},
	{AT_LINE("GET /x HTTP/1.2"), "a.test", "/x", V11, NONE, 0, true, ""},
	{AT_LINE("GET /x HTTP/1.9"), "a.test", "/x", V11, NONE, 0, true, ""},
	{AT_LINE("GET //x HTTP/1.1"), "a.test", "//x", V11, NONE, 0, true, ""},
	{AT_LINE("GET /x?a?b/c=%20 HTTP/1.1"), "a.test", "/x?a?b/c=%20", V11, NONE, 0, true, ""},
	{AT_LINE("GET /\"<>\\^`{|} HTTP/1.1"), "a.test", "/\"<>\\^`{|}", V11, NONE, 0, true, ""},
	{AT_LINE("OPTIONS * HTTP/1.1"), "a.test", "*", V11, NONE, 0, true, ""},
	{AT_LINE("PROPFIND /x HTTP/1.1"), "a.test", "/x", V11, NONE, 0, true, ""},
	{AT_LINE("!#$%&'*+-.^_`|~aZ9 /x HTTP/1.1"), "a.test", "/x", V11, NONE, 0, true, ""},
	{AT_LINE("GET http://b.test HTTP/1.1"), "b.test", "/", V11, NONE, 0, true, ""},
	{AT_LINE("GET HTTP://B.test:81/y HTTP/1.1"), "B.test:81", "/y", V11, NONE, 0, true, ""},
	{AT_LINE("GET http://b.test?q HTTP/1.1"), "b.test", "/?q", V11, NONE, 0, true, ""},
	{AT_LINE("OPTIONS http://b.test HTTP/1.1"), "b.test", "*", V11, NONE, 0, true, ""},
	{AT_LINE("CONNECT b.test:443 HTTP/1.1"), "b.test:443", "", V11, NONE, 0, true, ""},
	{BYTES("CONNECT b.test:443 HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"), "b.test:443", "", V11,
	 NONE, 0, true, ""},
	{BYTES("GET /x HTTP/1.0\r\n\r\n"), "", "/x", V10, NONE, 0, false, ""},
	{BYTES("GET /x HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), "", "/x", V10, NONE, 0, true, ""},
	{BYTES("GET /x HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), "", "/x", V10, NONE, 0, false, ""},
	{BYTES("GET http://b.test/ HTTP/1.0\r\n\r\n"), "b.test", "/", V10, NONE, 0, false, ""},
	{BYTES("GET /x HTTP/1.0\r\nExpect: x\r\n\r\n"), "", "/x", V10, NONE, 0, false, ""},
	{AT_HOST("a.test:"), "a.test", "/x", V11, NONE, 0, true, ""},
	{AT_HOST("a.test:8080"), "a.test:8080", "/x", V11, NONE, 0, true, ""},
	{AT_HOST("[::1]:80"), "[::1]:80", "/x", V11, NONE, 0, true, ""},
	{AT_HOST("a_b.test"), "a_b.test", "/x", V11, NONE, 0, true, ""},
	{AT_HOST("\t 127.0.0.1 \t"), "127.0.0.1", "/x", V11, NONE, 0, true, ""},
	{BYTES(LINE "hOsT:a.test\r\n\r\n"), "a.test", "/x", V11, NONE, 0, true, ""},
	{AT_FIELD("X-A:"), "a.test", "/x", V11, NONE, 0, true, "X-A=;"},
	{AT_FIELD("X-A: \t "), "a.test", "/x", V11, NONE, 0, true, "X-A=;"},
	{AT_FIELD("X-A: b\tc"), "a.test", "/x", V11, NONE, 0, true, "X-A=b\tc;"},
	{AT_FIELD("X-A: \xe9\xff\x80"), "a.test", "/x", V11, NONE, 0, true, "X-A=\xe9\xff\x80;"},
	{AT_FIELD("x-a: 1\r\nX-A: 2"), "a.test", "/x", V11, NONE, 0, true, "x-a=1;X-A=2;"},
	{AT_FIELD("!#$%&'*+-.^_`|~09azAZ: b"), "a.test", "/x", V11, NONE, 0, true, "!#$%&'*+-.^_`|~09azAZ=b;"},
	{AT_FIELD("Connection: close"), "a.test", "/x", V11, NONE, 0, false, ""},
	{AT_FIELD("close: x\r\nCloser: y"), "a.test", "/x", V11, NONE, 0, true, "Closer=y;"},
	{AT_FIELD("Connection: CLOSE\r\nclose: x"), "a.test", "/x", V11, NONE, 0, false, ""},
	{AT_FIELD("A: 1\r\nConnection: b, a , x\r\nB: 2\r\nC: 3"), "a.test", "/x", V11, NONE, 0, true, "C=3;"},
	{AT_FIELD("Cookie: 1\r\nConnection: cookie"), "a.test", "/x", V11, NONE, 0, true, ""},
	{AT_FIELD("Connection: , (,\t,keep-alive,"), "a.test", "/x", V11, NONE, 0, true, ""},
	{AT_FIELD("Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: a"),
	 "a.test", "/x", V11, NONE, 0, true, ""},
	{AT_FIELD("Trailer: X-T"), "a.test", "/x", V11, NONE, 0, true, "Trailer=X-T;"},
	{AT_FIELD("Expect: 100-continue"), "a.test", "/x", V11, NONE, 0, true, ""},
	{AT_LENGTH("0"), "a.test", "/x", V11, LENGTH, 0, true, ""},
	{AT_LENGTH("0005"), "a.test", "/x", V11, LENGTH, 5, true, ""},
	{AT_LENGTH(" 5 \t"), "a.test", "/x", V11, LENGTH, 5, true, ""},
	{AT_LENGTH("9223372036854775807"), "a.test", "/x", V11, LENGTH, INT64_MAX, true, ""},
	{BYTES("POST /x HTTP/1.0\r\nContent-Length: 5\r\n\r\n"), "", "/x", V10, LENGTH, 5, false, ""},
	{AT_CODING("chunked"), "a.test", "/x", V11, STREAMED, 0, true, ""},
	{AT_CODING("CHUNKED"), "a.test", "/x", V11, STREAMED, 0, true, ""},
	{AT_CODING("\tchunked \t"), "a.test", "/x", V11, STREAMED, 0, true, ""},
};

static struct span fields_text(struct bench *bench)
{
	struct span text = SPAN("");
	struct http_field *field;
	for (uint32_t i = 0; (field = http_fields_next(&bench->head.fields, &i));)
		text = arena_format(&bench->arena, "%.*s%.*s=%.*s;", SPAN_ARG(text), SPAN_ARG(field->name),
				    SPAN_ARG(field->value));
	return text;
}

static void test_accepted(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(accepted); i++) {
		const struct accepted *want = &accepted[i];
		struct bench bench;
		bench_init(&bench);
		if (!parse_request(&bench, want->bytes))
			fail_msg("refused (%s): %.*s", error_text(&bench.error), SPAN_ARG(want->bytes));
		assert_span(bench.head.authority, span_of(want->authority));
		assert_span(bench.head.path, span_of(want->path));
		assert_span(fields_text(&bench), span_of(want->fields));
		assert_int_equal(bench.head.version, want->version);
		assert_int_equal(bench.head.body, want->body);
		assert_int_equal(bench.head.length, want->length);
		assert_int_equal(bench.framing.keep_alive, want->keep_alive);
		assert_int_equal(bench.framing.chunked, want->body == STREAMED);
		bench_fini(&bench);
	}
}

struct offer {
	struct span bytes;
	const char *protocol;
	bool te_trailers, expect_continue;
};

static const struct offer offers[] = {
	{AT_FIELD("Connection: Upgrade\r\nUpgrade: websocket"), "websocket", false, false},
	{AT_FIELD("Upgrade: websocket\r\nConnection: keep-alive, upgrade"), "websocket", false, false},
	{AT_FIELD("Upgrade: websocket"), "", false, false},
	{AT_FIELD("Connection: upgrade"), "", false, false},
	{AT_FIELD("Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x"), "", false, false},
	{AT_FIELD("Connection: upgrade\r\nUpgrade: H2C, foo/1, HTTP/2.0, TLS/1.2, h2"), "foo/1", false, false},
	{AT_FIELD("Connection: upgrade\r\nUpgrade: a\r\nUpgrade: h2c,b , c/2"), "a, b, c/2", false, false},
	{AT_FIELD("Connection: upgrade\r\nUpgrade: a b, \"c\", /d, e/, f"), "f", false, false},
	{AT_FIELD("Connection: upgrade\r\nUpgrade: a,b,c,d,e,f,g,h,i,j"), "a, b, c, d, e, f, g, h", false,
	 false},
	{BYTES("GET /x HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), "", false, false},
	{AT_FIELD("Connection: TE\r\nTE: trailers"), "", true, false},
	{AT_FIELD("Connection: te\r\nTE: gzip;q=0.5, Trailers"), "", true, false},
	{AT_FIELD("Connection: te\r\nTE: trailers;q=0"), "", false, false},
	{AT_FIELD("TE: trailers"), "", false, false},
	{AT_LENGTH("5\r\nExpect: 100-Continue"), "", false, true},
	{AT_LENGTH("0\r\nExpect: 100-continue"), "", false, false},
	{AT_CODING("chunked\r\nExpect: 100-continue, 100-continue"), "", false, true},
	{BYTES("POST /x HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"), "", false, false},
};

static void test_offers(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(offers); i++) {
		struct bench bench;
		bench_init(&bench);
		if (!parse_request(&bench, offers[i].bytes))
			fail_msg("refused (%s): %.*s", error_text(&bench.error), SPAN_ARG(offers[i].bytes));
		assert_span(bench.head.protocol, span_of(offers[i].protocol));
		assert_int_equal(bench.framing.upgrade, bench.head.protocol.len != 0);
		assert_int_equal(bench.head.te_trailers, offers[i].te_trailers);
		assert_int_equal(bench.head.expect_continue, offers[i].expect_continue);
		assert_span(fields_text(&bench), SPAN(""));
		bench_fini(&bench);
	}
}

/* What was read of a refused request is there for the log. */
static void test_refused_leaves_method_and_target(void **state)
{
	struct bench bench;
	bench_init(&bench);
	assert_false(parse_request(&bench, SPAN("BREW /pot#1 HTTP/1.1\r\n\r\n")));
	assert_span(bench.head.method_text, SPAN("BREW"));
	assert_span(bench.head.path, SPAN("/pot#1"));
	bench_fini(&bench);
}

static void check_limit(struct h1_limits limits, const char *text, enum error_code code)
{
	struct bench bench;
	bench_init(&bench);
	bool good = h1_request_parse(exactly(&bench, span_of(text)), &bench.arena, &limits, SPAN("http"),
				     &bench.head, &bench.framing, &bench.error);
	assert_int_equal(good ? ERROR_NONE : bench.error.code, code);
	bench_fini(&bench);
}

static void test_limits(void **state)
{
	const char *text = "GET /12345 HTTP/1.1\r\nHost: 1234567a\r\nA: b\r\n\r\n"; /* 19, 14, 4; 45 in all */
	check_limit((struct h1_limits){19, 14, 2, 45}, text, ERROR_NONE);
	check_limit((struct h1_limits){18, 14, 2, 45}, text, ERROR_TARGET_TOO_LONG);
	check_limit((struct h1_limits){19, 13, 2, 45}, text, ERROR_HEAD_TOO_LARGE);
	check_limit((struct h1_limits){19, 14, 1, 45}, text, ERROR_HEAD_TOO_LARGE);
	check_limit((struct h1_limits){19, 14, 2, 44}, text, ERROR_HEAD_TOO_LARGE);
}

/* Memory that ends after any number of allocations: the answer is MEMORY, until there is enough. */
static void test_out_of_memory(void **state)
{
	static const struct span bytes = BYTES("GET HTTP://A.TEST?x HTTP/1.1\r\n" HOST "A: 1\r\n"
					       "Connection: x, upgrade\r\nUpgrade: a, b\r\n\r\n");
	_Alignas(8) static uint8_t lent[2048];
	unsigned refused = 0;
	for (size_t size = 0; size <= sizeof(lent); size += 8) {
		struct bench bench;
		bench_init(&bench);
		arena_init(&bench.arena, &bench.memory, NULL, lent, size);
		memory_fail_every(&bench.memory, 1);
		if (!h1_request_parse(bytes, &bench.arena, &usual_limits, SPAN("http"), &bench.head,
				      &bench.framing, &bench.error)) {
			assert_int_equal(bench.error.code, ERROR_MEMORY);
			refused++;
		}
		memory_fail_every(&bench.memory, 0);
		bench_fini(&bench);
	}
	assert_in_range(refused, 100, sizeof(lent) / 8 - 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_lines),
		cmocka_unit_test(test_refused_hosts),
		cmocka_unit_test(test_refused_fields),
		cmocka_unit_test(test_refused_framing),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_offers),
		cmocka_unit_test(test_refused_leaves_method_and_target),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
