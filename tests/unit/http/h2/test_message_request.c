/*
 * HTTP/2 requests: what is accepted and what it means, what is refused and with which words.
 */
#include "http/h2/h2_support.h"

#define METHOD(text) F(":method", text)
#define SCHEME F(":scheme", "https")
#define AUTHORITY F(":authority", "a.test")
#define PATH F(":path", "/x")
#define GET METHOD("GET"), SCHEME, AUTHORITY, PATH
#define POST METHOD("POST"), SCHEME, AUTHORITY, PATH
#define CONNECT METHOD("CONNECT"), F(":authority", "a.test:443")
#define WEBSOCKET METHOD("CONNECT"), F(":protocol", "websocket"), SCHEME, AUTHORITY, PATH
#define BAD(text, ...) REFUSED(MALFORMED_REQUEST, text, false, __VA_ARGS__)
#define BAD_ENDED(text, ...) REFUSED(MALFORMED_REQUEST, text, true, __VA_ARGS__)
#define BAD_TARGET(text, ...) REFUSED(BAD_TARGET, text, false, __VA_ARGS__)

/* RFC 9113 8.3, 8.3.1 */
static const struct refused refused_pseudo[] = {
	BAD("no :method", SCHEME, AUTHORITY, PATH),
	BAD("no :scheme", METHOD("GET"), AUTHORITY, PATH),
	BAD("no :path", METHOD("GET"), SCHEME, AUTHORITY),
	BAD("neither :authority nor Host", METHOD("GET"), SCHEME, PATH),
	BAD("no :method", F("accept", "*/*")),
	BAD("repeated", GET, METHOD("GET")),
	BAD("repeated", GET, SCHEME),
	BAD("repeated", GET, AUTHORITY),
	BAD("repeated", GET, PATH),
	BAD("repeated", GET, F(":path", "/y")),
	BAD("repeated", WEBSOCKET, F(":protocol", "websocket")),
	BAD("after an ordinary field", METHOD("GET"), SCHEME, AUTHORITY, F("accept", "*/*"), PATH),
	BAD("after an ordinary field", F("accept", "*/*"), GET),
	BAD(":status in a request", GET, F(":status", "200")),
	BAD(":status in a request", F(":status", "200"), GET),
	BAD("unknown pseudo-field", GET, F(":foo", "bar")),
	BAD("unknown pseudo-field", GET, F(":", "bar")),
	BAD("unknown pseudo-field", GET, F("::method", "GET")),
	BAD("unknown pseudo-field", F(":Method", "GET"), SCHEME, AUTHORITY, PATH),
	BAD("unknown pseudo-field", F(":PATH", "/x"), METHOD("GET"), SCHEME, AUTHORITY),
	BAD("unknown pseudo-field", F(":path ", "/x"), METHOD("GET"), SCHEME, AUTHORITY),
	BAD("unknown pseudo-field", F(":method\0", "GET"), SCHEME, AUTHORITY, PATH),
	BAD("empty pseudo-field", METHOD(""), SCHEME, AUTHORITY, PATH),
	BAD("empty pseudo-field", METHOD("GET"), F(":scheme", ""), AUTHORITY, PATH),
	BAD("empty pseudo-field", METHOD("GET"), SCHEME, F(":authority", ""), PATH),
	BAD("empty pseudo-field", METHOD("GET"), SCHEME, F(":authority", ""), PATH, F("host", "a.test")),
	BAD("empty :path", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "")),
	BAD("white space", METHOD("GET "), SCHEME, AUTHORITY, PATH),
	BAD("byte in :method", METHOD("G T"), SCHEME, AUTHORITY, PATH),
	BAD("byte in :method", METHOD("G@T"), SCHEME, AUTHORITY, PATH),
	BAD("byte in :method", METHOD("G\xc9T"), SCHEME, AUTHORITY, PATH),
	BAD("control byte", METHOD("GET /admin HTTP/1.1\r\nHost: b.test\r\n\r\nGET"), SCHEME, AUTHORITY, PATH),
	BAD("byte in :method", METHOD("GET /admin HTTP/1.1"), SCHEME, AUTHORITY, PATH),
	BAD("NUL", METHOD("GET\0"), SCHEME, AUTHORITY, PATH),
};

static const struct refused refused_targets[] = {
	BAD_TARGET("neither http nor https", METHOD("GET"), F(":scheme", "ftp"), AUTHORITY, PATH),
	BAD_TARGET("neither http nor https", METHOD("GET"), F(":scheme", "http://b.test/?"), AUTHORITY, PATH),
	BAD_TARGET("neither http nor https", METHOD("GET"), F(":scheme", "httpss"), AUTHORITY, PATH),
	BAD("control byte", METHOD("GET"), F(":scheme", "https\r\nx: y"), AUTHORITY, PATH),
	BAD_TARGET("slash", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "x")),
	BAD_TARGET("slash", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "?q")),
	BAD_TARGET("slash", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "@b.test/x")),
	BAD_TARGET("slash", METHOD("GET"), SCHEME, AUTHORITY, F(":path", ":443/x")),
	BAD_TARGET("slash", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "https://b.test/x")),
	BAD_TARGET("slash", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "**")),
	BAD_TARGET("slash", METHOD("OPTIONS"), SCHEME, AUTHORITY, F(":path", "*/x")),
	BAD_TARGET("OPTIONS", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "*")),
	BAD_TARGET("space in the target", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "/x y")),
	BAD_TARGET("space in the target", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "/x HTTP/1.1")),
	BAD_TARGET("control byte in the target", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "/x\ty")),
	BAD_TARGET("fragment", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "/x#y")),
	BAD_TARGET("beyond ASCII", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "/\xc3\xa9")),
	BAD("control byte", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "/x\ry")),
	BAD("control byte", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "/x HTTP/1.1\r\nX: y")),
	BAD("control byte", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "/x\ny")),
	BAD("NUL", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "/x\0y")),
	BAD("control byte", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "/x\x7fy")),
	BAD("white space", METHOD("GET"), SCHEME, AUTHORITY, F(":path", " /x")),
	BAD("white space", METHOD("GET"), SCHEME, AUTHORITY, F(":path", "/x ")),
	BAD_TARGET("userinfo", METHOD("GET"), SCHEME, F(":authority", "u@a.test"), PATH),
	BAD_TARGET("userinfo", METHOD("GET"), SCHEME, F(":authority", "u:p@a.test"), PATH),
	BAD_TARGET("host name", METHOD("GET"), SCHEME, F(":authority", "a.test/"), PATH),
	BAD_TARGET("host name", METHOD("GET"), SCHEME, F(":authority", "a.test, b.test"), PATH),
	BAD_TARGET("port", METHOD("GET"), SCHEME, F(":authority", "a.test:x"), PATH),
	BAD_TARGET("port", METHOD("GET"), SCHEME, F(":authority", "a.test:0"), PATH),
	BAD_TARGET("empty host", METHOD("GET"), SCHEME, F(":authority", ":443"), PATH),
	BAD_TARGET("IPv4", METHOD("GET"), SCHEME, F(":authority", "0x7f.1"), PATH),
	BAD_TARGET("']'", METHOD("GET"), SCHEME, F(":authority", "[::1"), PATH),
	BAD("control byte", METHOD("GET"), SCHEME, F(":authority", "a.test\r\nx: y"), PATH),
	BAD("white space", METHOD("GET"), SCHEME, F(":authority", " a.test"), PATH),
	BAD_TARGET("userinfo", METHOD("GET"), SCHEME, F(":authority", "u@a.test"), PATH, F("host", "a.test")),
};

/* RFC 9113 8.3.1 */
static const struct refused refused_hosts[] = {
	BAD("differs", GET, F("host", "b.test")),
	BAD("differs", GET, F("host", "a.test:80")),
	BAD("differs", GET, F("host", "a.test:8443")),
	BAD("differs", GET, F("host", "a.tes")),
	BAD("differs", GET, F("host", "127.0.0.1")),
	BAD("empty Host", GET, F("host", "")),
	BAD("repeated Host", GET, F("host", "a.test"), F("host", "a.test")),
	BAD("host name", GET, F("host", "a.test, a.test")),
	BAD("userinfo", GET, F("host", "u@a.test")),
	BAD("empty Host", METHOD("GET"), SCHEME, PATH, F("host", "")),
	BAD("userinfo", METHOD("GET"), SCHEME, PATH, F("host", "u@a.test")),
	BAD("host name", METHOD("GET"), SCHEME, PATH, F("host", "a b")),
	BAD("repeated Host", METHOD("GET"), SCHEME, PATH, F("host", "a.test"), F("host", "b.test")),
	BAD("differs", METHOD("GET"), SCHEME, F(":authority", "127.0.0.1"), PATH, F("host", "127.0.0.2")),
	BAD("differs", METHOD("GET"), SCHEME, F(":authority", "[::1]"), PATH, F("host", "[::2]")),
	BAD("differs", METHOD("GET"), SCHEME, F(":authority", "127.0.0.1"), PATH, F("host", "[7f00:1::]")),
	BAD("differs", CONNECT, F("host", "b.test:443")),
	BAD("differs", CONNECT, F("host", "a.test:80")),
};

/* RFC 9113 8.2, 8.2.1, 8.2.2 */
static const struct refused refused_fields[] = {
	BAD("uppercase", GET, F("X-A", "b")),
	BAD("uppercase", GET, F("x-aB", "b")),
	BAD("uppercase", GET, F("Accept", "b")),
	BAD("uppercase", GET, F("accepT", "b")),
	BAD("uppercase", GET, F("Transfer-Encoding", "chunked")),
	BAD("uppercase", GET, F("Content-Length", "5")),
	BAD("uppercase", GET, F("Host", "b.test")),
	BAD("empty field name", GET, F("", "b")),
	BAD("colon in a field name", GET, F("x:a", "b")),
	BAD("colon in a field name", GET, F("x:", "b")),
	BAD("colon in a field name", GET, F("host: b.test\r\nx", "b")),
	BAD("byte in a field name", GET, F("x a", "b")),
	BAD("byte in a field name", GET, F("x ", "b")),
	BAD("byte in a field name", GET, F(" x", "b")),
	BAD("byte in a field name", GET, F("x\t", "b")),
	BAD("byte in a field name", GET, F("x\r\ny", "b")),
	BAD("byte in a field name", GET, F("x\n", "b")),
	BAD("byte in a field name", GET, F("x\0", "b")),
	BAD("byte in a field name", GET, F("x\x7f", "b")),
	BAD("byte in a field name", GET, F("x\xe9", "b")),
	BAD("byte in a field name", GET, F("x(", "b")),
	BAD("byte in a field name", GET, F("x\"", "b")),
	BAD("byte in a field name", GET, F("transfer-encoding\r\n", "chunked")),
	BAD("control byte", GET, F("x-a", "b\r\ny: z")),
	BAD("control byte", GET, F("x-a", "b\r")),
	BAD("control byte", GET, F("x-a", "b\n")),
	BAD("control byte", GET, F("x-a", "\nb")),
	BAD("NUL", GET, F("x-a", "b\0c")),
	BAD("NUL", GET, F("x-a", "long enough for eight\0 and more")),
	BAD("control byte", GET, F("x-a", "long enough for eight\r\n and more")),
	BAD("control byte", GET, F("x-a", "\x01")),
	BAD("control byte", GET, F("x-a", "a\tb and then\x0b")),
	BAD("control byte", GET, F("x-a", "12345678\x7f")),
	BAD("white space", GET, F("x-a", " b")),
	BAD("white space", GET, F("x-a", "b ")),
	BAD("white space", GET, F("x-a", "\tb")),
	BAD("white space", GET, F("x-a", "b\t")),
	BAD("white space", GET, F("x-a", " ")),
	BAD("control byte", GET, F("accept", "b\nc")),
	BAD("control byte", GET, F("cookie", "a=b\r\nx: y")),
	BAD("control byte", GET, F("host", "a.test\r\nx: y")),
	BAD("one connection", GET, F("connection", "close")),
	BAD("one connection", GET, F("connection", "keep-alive, x-a")),
	BAD("one connection", GET, F("connection", "")),
	BAD("one connection", GET, F("keep-alive", "timeout=5")),
	BAD("one connection", GET, F("proxy-connection", "keep-alive")),
	BAD("one connection", GET, F("upgrade", "websocket")),
	BAD("one connection", GET, F("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA")),
	BAD("Transfer-Encoding", POST, F("transfer-encoding", "chunked")),
	BAD("Transfer-Encoding", POST, F("transfer-encoding", "identity")),
	BAD("Transfer-Encoding", POST, F("transfer-encoding", "")),
	BAD("Transfer-Encoding", POST, F("content-length", "5"), F("transfer-encoding", "chunked")),
	BAD("TE", GET, F("te", "gzip")),
	BAD("TE", GET, F("te", "trailers, gzip")),
	BAD("TE", GET, F("te", "trailers;q=1")),
	BAD("TE", GET, F("te", "")),
	BAD("TE", GET, F("te", "trailers"), F("te", "deflate")),
	REFUSED(EXPECTATION_FAILED, "expectation", false, GET, F("expect", "200-ok")),
	REFUSED(EXPECTATION_FAILED, "expectation", false, POST, F("expect", "100-continue, x")),
};

/* RFC 9113 8.1.1 */
static const struct refused refused_lengths[] = {
	BAD("repeated", POST, F("content-length", "5"), F("content-length", "5")),
	BAD("repeated", POST, F("content-length", "5"), F("content-length", "6")),
	BAD("not a number", POST, F("content-length", "5, 5")),
	BAD("not a number", POST, F("content-length", "+5")),
	BAD("not a number", POST, F("content-length", "-5")),
	BAD("not a number", POST, F("content-length", "0x5")),
	BAD("not a number", POST, F("content-length", "5.0")),
	BAD("not a number", POST, F("content-length", "1 0")),
	BAD("not a number", POST, F("content-length", "\"5\"")),
	BAD("empty", POST, F("content-length", "")),
	BAD("white space", POST, F("content-length", " 5")),
	BAD("too large", POST, F("content-length", "9223372036854775808")),
	BAD("too large", POST, F("content-length", "18446744073709551616")),
	BAD("too large", POST, F("content-length", "99999999999999999999999999")),
	BAD_ENDED("ends with the head", POST, F("content-length", "5")),
	BAD_ENDED("ends with the head", GET, F("content-length", "1")),
	BAD("content in a CONNECT", CONNECT, F("content-length", "5")),
	BAD("content in a CONNECT", WEBSOCKET, F("content-length", "5")),
	BAD("TRACE", METHOD("TRACE"), SCHEME, AUTHORITY, PATH, F("content-length", "5")),
	BAD("TRACE", METHOD("TRACE"), SCHEME, AUTHORITY, PATH),
};

/* RFC 9113 8.5, RFC 8441 4 */
static const struct refused refused_connects[] = {
	BAD("CONNECT without :authority", METHOD("CONNECT")),
	BAD("CONNECT without :authority", METHOD("CONNECT"), F("host", "a.test:443")),
	BAD("CONNECT with :scheme or :path", CONNECT, SCHEME),
	BAD("CONNECT with :scheme or :path", CONNECT, PATH),
	BAD("CONNECT with :scheme or :path", CONNECT, SCHEME, PATH),
	BAD_TARGET("without a port", METHOD("CONNECT"), F(":authority", "a.test")),
	BAD_TARGET("without a port", METHOD("CONNECT"), F(":authority", "a.test:")),
	BAD_TARGET("userinfo", METHOD("CONNECT"), F(":authority", "u@a.test:443")),
	BAD_TARGET("host name", METHOD("CONNECT"), F(":authority", "/x")),
	BAD_TARGET("space", METHOD("CONNECT"), F(":authority", "a.test:443 HTTP/1.1")),
	BAD("other than CONNECT", GET, F(":protocol", "websocket")),
	BAD("other than CONNECT", METHOD("connect"), F(":protocol", "websocket"), SCHEME, AUTHORITY, PATH),
	BAD(":protocol without", METHOD("CONNECT"), F(":protocol", "websocket"), AUTHORITY, PATH),
	BAD(":protocol without", METHOD("CONNECT"), F(":protocol", "websocket"), SCHEME, PATH),
	BAD(":protocol without", METHOD("CONNECT"), F(":protocol", "websocket"), SCHEME, PATH,
	    F("host", "a.test")),
	BAD(":protocol without", METHOD("CONNECT"), F(":protocol", "websocket"), SCHEME, AUTHORITY),
	BAD(":protocol without", CONNECT, F(":protocol", "websocket")),
	BAD("byte in :protocol", METHOD("CONNECT"), F(":protocol", "web socket"), SCHEME, AUTHORITY, PATH),
	BAD("byte in :protocol", METHOD("CONNECT"), F(":protocol", "websocket, h2c"), SCHEME, AUTHORITY, PATH),
	BAD("control byte", METHOD("CONNECT"), F(":protocol", "websocket\r\n"), SCHEME, AUTHORITY, PATH),
	REFUSED(PROTOCOL_UNKNOWN, "not implemented", false, METHOD("CONNECT"), F(":protocol", "connect-udp"),
		SCHEME, AUTHORITY, PATH),
	REFUSED(PROTOCOL_UNKNOWN, "not implemented", false, METHOD("CONNECT"), F(":protocol", "h2c"), SCHEME,
		AUTHORITY, PATH),
	BAD_TARGET("OPTIONS", METHOD("CONNECT"), F(":protocol", "websocket"), SCHEME, AUTHORITY,
		   F(":path", "*")),
	BAD_TARGET("neither http nor https", METHOD("CONNECT"), F(":protocol", "websocket"),
		   F(":scheme", "wss"), AUTHORITY, PATH),
};

static void check_refused(const struct refused *cases, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct h2_bench bench;
		h2_bench_init(&bench);
		bool good = read_request(&bench, cases[i].rows, cases[i].ended, &usual_rules);
		assert_refused(&bench, good, &cases[i], i);
		h2_bench_fini(&bench);
	}
}

static void test_refused(void **state)
{
	check_refused(refused_pseudo, ARRAY_LENGTH(refused_pseudo));
	check_refused(refused_targets, ARRAY_LENGTH(refused_targets));
	check_refused(refused_hosts, ARRAY_LENGTH(refused_hosts));
	check_refused(refused_fields, ARRAY_LENGTH(refused_fields));
	check_refused(refused_lengths, ARRAY_LENGTH(refused_lengths));
	check_refused(refused_connects, ARRAY_LENGTH(refused_connects));
}

static void test_what_a_request_means(void **state)
{
	static const struct row rows[] = {GET,
					  F("user-agent", "curl/8"),
					  F("host", "A.test:443"),
					  F("te", "trailers"),
					  F("x-empty", ""),
					  F("x-odd!#$%&'*+-.^_`|~09", "\xe9 \t\x80"),
					  F("close", "x"),
					  F("cookie", "a=b"),
					  {{0}, {0}}};
	struct h2_bench bench;
	h2_bench_init(&bench);
	assert_true(read_request(&bench, rows, true, &usual_rules));
	const struct http_head *head = &bench.head;
	assert_int_equal(head->method, HTTP_METHOD_GET);
	assert_span(head->method_text, SPAN("GET"));
	assert_int_equal(head->target_form, HTTP_TARGET_ABSOLUTE);
	assert_span(head->scheme, SPAN("https"));
	assert_span(head->authority, SPAN("a.test"));
	assert_span(head->host.host, SPAN("a.test"));
	assert_int_equal(head->host.port, 0);
	assert_span(head->path, SPAN("/x"));
	assert_int_equal(head->version, HTTP_VERSION_2);
	assert_int_equal(head->body, HTTP_BODY_NONE);
	assert_false(head->length_known);
	assert_true(head->te_trailers);
	assert_false(head->expect_continue);
	assert_int_equal(head->protocol.len, 0);
	assert_false(h2_message_is_tunnel(&bench.message));
	assert_span(fields_text(&bench, &head->fields),
		    SPAN("user-agent: curl/8\nx-empty: \nx-odd!#$%&'*+-.^_`|~09: \xe9 \t\x80\ncookie: a=b\n"));
	assert_true(h2_message_data(&bench.message, 0));
	assert_false(h2_message_data(&bench.message, 1));
	h2_bench_fini(&bench);
}

struct accepted {
	struct row rows[ROWS_MOST];
	const char *scheme, *authority, *host, *path;
	uint16_t port;
	uint8_t form;
};

static const struct accepted accepted_targets[] = {
	{{GET}, "https", "a.test", "a.test", "/x", 0, HTTP_TARGET_ABSOLUTE},
	{{METHOD("GET"), F(":scheme", "HTTP"), F(":authority", "A.Test:8080"), F(":path", "/")},
	 "http",
	 "A.Test:8080",
	 "a.test",
	 "/",
	 8080,
	 HTTP_TARGET_ABSOLUTE},
	{{METHOD("GET"), SCHEME, F(":authority", "a.test:"), F(":path", "//x//?y?z")},
	 "https",
	 "a.test",
	 "a.test",
	 "//x//?y?z",
	 0,
	 HTTP_TARGET_ABSOLUTE},
	{{F(":path", "/x"), F(":authority", "a.test."), SCHEME, METHOD("GET")},
	 "https",
	 "a.test.",
	 "a.test",
	 "/x",
	 0,
	 HTTP_TARGET_ABSOLUTE},
	{{METHOD("GET"), SCHEME, PATH, F("host", "B.test:81")},
	 "https",
	 "B.test:81",
	 "b.test",
	 "/x",
	 81,
	 HTTP_TARGET_ABSOLUTE},
	{{METHOD("GET"), F(":scheme", "http"), AUTHORITY, PATH, F("host", "a.test:80")},
	 "http",
	 "a.test",
	 "a.test",
	 "/x",
	 0,
	 HTTP_TARGET_ABSOLUTE},
	{{METHOD("GET"), SCHEME, F(":authority", "a.test:443"), PATH, F("host", "a.test")},
	 "https",
	 "a.test:443",
	 "a.test",
	 "/x",
	 443,
	 HTTP_TARGET_ABSOLUTE},
	{{METHOD("GET"), SCHEME, F(":authority", "[::1]:444"), PATH, F("host", "[0:0::1]:444")},
	 "https",
	 "[::1]:444",
	 "::1",
	 "/x",
	 444,
	 HTTP_TARGET_ABSOLUTE},
	{{METHOD("OPTIONS"), SCHEME, AUTHORITY, F(":path", "*")},
	 "https",
	 "a.test",
	 "a.test",
	 "*",
	 0,
	 HTTP_TARGET_ASTERISK},
	{{METHOD("OPTIONS"), SCHEME, AUTHORITY, PATH}, "https", "a.test", "a.test", "/x", 0, HTTP_TARGET_ABSOLUTE},
	{{METHOD("PROPFIND"), SCHEME, AUTHORITY, F(":path", "/a<b>\"{}|\\^`")},
	 "https",
	 "a.test",
	 "a.test",
	 "/a<b>\"{}|\\^`",
	 0,
	 HTTP_TARGET_ABSOLUTE},
	{{CONNECT}, "https", "a.test:443", "a.test", "", 443, HTTP_TARGET_AUTHORITY},
	{{CONNECT, F("host", "a.test:443")}, "https", "a.test:443", "a.test", "", 443, HTTP_TARGET_AUTHORITY},
	{{CONNECT, F("host", "A.test")}, "https", "a.test:443", "a.test", "", 443, HTTP_TARGET_AUTHORITY},
	{{WEBSOCKET}, "https", "a.test", "a.test", "/x", 0, HTTP_TARGET_ABSOLUTE},
};

static void test_targets(void **state)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(accepted_targets); i++) {
		const struct accepted *want = &accepted_targets[i];
		struct h2_bench bench;
		h2_bench_init(&bench);
		if (!read_request(&bench, want->rows, true, &usual_rules))
			fail_msg("case %u: %s", i, error_text(&bench.error));
		assert_span(bench.head.scheme, span_of(want->scheme));
		assert_span(bench.head.authority, span_of(want->authority));
		assert_span(bench.head.host.host, span_of(want->host));
		assert_span(bench.head.path, span_of(want->path));
		assert_int_equal(bench.head.host.port, want->port);
		assert_int_equal(bench.head.target_form, want->form);
		assert_int_equal(bench.head.fields.count, 0);
		h2_bench_fini(&bench);
	}
}

struct framed {
	struct row rows[ROWS_MOST];
	bool ended;
	uint8_t body;
	uint64_t length;
	bool expects;
};

static const struct framed framed[] = {
	{{GET}, true, HTTP_BODY_NONE, 0, false},
	{{GET}, false, HTTP_BODY_STREAMED, 0, false},
	{{POST}, true, HTTP_BODY_NONE, 0, false},
	{{POST}, false, HTTP_BODY_STREAMED, 0, false},
	{{POST, F("content-length", "0")}, true, HTTP_BODY_LENGTH, 0, false},
	{{POST, F("content-length", "0")}, false, HTTP_BODY_LENGTH, 0, false},
	{{POST, F("content-length", "0012")}, false, HTTP_BODY_LENGTH, 12, false},
	{{POST, F("content-length", "9223372036854775807")}, false, HTTP_BODY_LENGTH, INT64_MAX, false},
	{{POST, F("expect", "100-Continue")}, false, HTTP_BODY_STREAMED, 0, true},
	{{POST, F("content-length", "1"), F("expect", "100-continue")}, false, HTTP_BODY_LENGTH, 1, true},
	{{POST, F("content-length", "0"), F("expect", "100-continue")}, false, HTTP_BODY_LENGTH, 0, false},
	{{GET, F("expect", "100-continue")}, true, HTTP_BODY_NONE, 0, false},
	{{METHOD("TRACE"), SCHEME, AUTHORITY, PATH}, true, HTTP_BODY_NONE, 0, false},
	{{CONNECT}, false, HTTP_BODY_NONE, 0, false},
	{{CONNECT, F("content-length", "0")}, false, HTTP_BODY_NONE, 0, false},
	{{CONNECT, F("expect", "100-continue")}, false, HTTP_BODY_NONE, 0, false},
	{{WEBSOCKET}, false, HTTP_BODY_NONE, 0, false},
};

static void test_bodies(void **state)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(framed); i++) {
		const struct framed *want = &framed[i];
		struct h2_bench bench;
		h2_bench_init(&bench);
		if (!read_request(&bench, want->rows, want->ended, &usual_rules))
			fail_msg("case %u: %s", i, error_text(&bench.error));
		assert_int_equal(bench.head.body, want->body);
		assert_int_equal(bench.head.length, want->length);
		assert_int_equal(bench.head.length_known, want->body == HTTP_BODY_LENGTH);
		assert_int_equal(bench.head.expect_continue, want->expects);
		assert_int_equal(bench.head.fields.count, 0);
		h2_bench_fini(&bench);
	}
}

/* RFC 9113 8.1.1 */
static void test_data_is_held_against_the_length(void **state)
{
	static const struct row rows[] = {POST, F("content-length", "10"), {{0}, {0}}};
	struct h2_bench bench;
	h2_bench_init(&bench);
	assert_true(read_request(&bench, rows, false, &usual_rules));
	assert_true(h2_message_data(&bench.message, 4));
	assert_true(h2_message_data(&bench.message, 0));
	assert_false(h2_message_body_end(&bench.message));
	assert_true(h2_message_data(&bench.message, 6));
	assert_true(h2_message_body_end(&bench.message));
	assert_false(h2_message_data(&bench.message, 1));

	assert_true(read_request(&bench, rows, false, &usual_rules));
	assert_false(h2_message_data(&bench.message, 11));

	static const struct row streamed[] = {POST, {{0}, {0}}};
	assert_true(read_request(&bench, streamed, false, &usual_rules));
	assert_true(h2_message_data(&bench.message, SIZE_MAX));
	assert_true(h2_message_data(&bench.message, 1));
	assert_true(h2_message_body_end(&bench.message));

	static const struct row tunnel[] = {CONNECT, {{0}, {0}}};
	assert_true(read_request(&bench, tunnel, false, &usual_rules));
	assert_true(h2_message_is_tunnel(&bench.message));
	assert_true(h2_message_data(&bench.message, 1000));
	assert_true(h2_message_body_end(&bench.message));
	h2_bench_fini(&bench);
}

/* RFC 8441 4 */
static void test_extended_connect_is_an_upgrade(void **state)
{
	static const struct row rows[] = {METHOD("CONNECT"),
					  F(":protocol", "WebSocket"),
					  SCHEME,
					  AUTHORITY,
					  PATH,
					  F("sec-websocket-version", "13"),
					  F("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
					  F("origin", "https://a.test"),
					  {{0}, {0}}};
	struct h2_message_rules rules = usual_rules;
	struct h2_bench bench;
	h2_bench_init(&bench);
	assert_true(read_request(&bench, rows, false, &rules));
	assert_int_equal(bench.head.method, HTTP_METHOD_GET);
	assert_span(bench.head.method_text, SPAN("GET"));
	assert_span(bench.head.protocol, SPAN("websocket"));
	assert_true(bench.message.extended);
	assert_true(h2_message_is_tunnel(&bench.message));
	assert_span(fields_text(&bench, &bench.head.fields),
		    SPAN("sec-websocket-version: 13\norigin: https://a.test\n"));
	assert_true(h2_message_data(&bench.message, 1000));

	rules.extended_connect = false; /* RFC 8441 3: not before it was offered */
	assert_false(read_request(&bench, rows, false, &rules));
	assert_int_equal(bench.error.code, ERROR_MALFORMED_REQUEST);

	/* Without :protocol a key is a field like any other. */
	static const struct row plain[] = {GET, F("sec-websocket-key", "x"), {{0}, {0}}};
	assert_true(read_request(&bench, plain, true, &rules));
	assert_false(bench.message.extended);
	assert_span(fields_text(&bench, &bench.head.fields), SPAN("sec-websocket-key: x\n"));
	h2_bench_fini(&bench);
}

/* RFC 9113 8.2.3 */
static void test_cookies_are_joined(void **state)
{
	static const struct row rows[] = {GET,
					  F("cookie", ""),
					  F("cookie", "a=b"),
					  F("x-a", "y"),
					  F("cookie", ""),
					  F("cookie", "c=d; e=f"),
					  F("cookie", "g"),
					  {{0}, {0}}};
	struct h2_bench bench;
	h2_bench_init(&bench);
	assert_true(read_request(&bench, rows, true, &usual_rules));
	assert_span(fields_text(&bench, &bench.head.fields), SPAN("cookie: a=b; c=d; e=f; g\nx-a: y\n"));

	static const struct row empty[] = {GET, F("cookie", ""), F("cookie", ""), {{0}, {0}}};
	assert_true(read_request(&bench, empty, true, &usual_rules));
	assert_span(fields_text(&bench, &bench.head.fields), SPAN("cookie: \n"));
	h2_bench_fini(&bench);
}

static bool read_many(struct h2_bench *bench, struct span name, struct span value, unsigned count)
{
	static const struct row rows[] = {GET, {{0}, {0}}};
	bench->error = ERROR_OK;
	h2_message_init(&bench->message, H2_MESSAGE_REQUEST, &bench->head, HTTP_METHOD_OTHER, bench->arena,
			&usual_rules);
	take_rows(bench, rows);
	for (unsigned i = 0; i < count; i++)
		take_field(bench, name, value);
	return h2_message_end(&bench->message, true, &bench->error);
}

static void test_limits(void **state)
{
	static uint8_t text[40000];
	struct h2_bench bench;
	h2_bench_init(&bench);
	memset(text, 'x', sizeof(text));
	assert_true(read_many(&bench, SPAN("x"), SPAN("y"), 100));
	assert_false(read_many(&bench, SPAN("x"), SPAN("y"), 101));
	assert_int_equal(bench.error.code, ERROR_HEAD_TOO_LARGE);
	assert_true(read_many(&bench, SPAN("x"), span_make(text, 8192 - 3), 1));
	assert_false(read_many(&bench, SPAN("x"), span_make(text, 8192 - 2), 1));
	assert_int_equal(bench.error.code, ERROR_HEAD_TOO_LARGE);
	assert_true(read_many(&bench, SPAN("x"), span_make(text, 8000), 4));
	assert_false(read_many(&bench, SPAN("x"), span_make(text, 8000), 5));
	assert_int_equal(bench.error.code, ERROR_HEAD_TOO_LARGE);
	assert_true(read_many(&bench, span_make(text, 8192 - 2), SPAN(""), 1));
	assert_false(read_many(&bench, span_make(text, 8192 - 1), SPAN(""), 1));
	assert_int_equal(bench.error.code, ERROR_HEAD_TOO_LARGE);
	/* Cookies are one field, however many crumbs: bounded in bytes, and empty ones too (32 each count). */
	assert_true(read_many(&bench, SPAN("cookie"), SPAN("a=b"), 500));
	assert_false(read_many(&bench, SPAN("cookie"), span_make(text, 4096), 2));
	assert_int_equal(bench.error.code, ERROR_HEAD_TOO_LARGE);
	assert_true(read_many(&bench, SPAN("cookie"), SPAN(""), 800));
	assert_false(read_many(&bench, SPAN("cookie"), SPAN(""), 900));
	assert_int_equal(bench.error.code, ERROR_HEAD_TOO_LARGE);
	h2_bench_fini(&bench);
}

static void test_a_long_target_is_414(void **state)
{
	static uint8_t path[40000];
	struct row rows[] = {METHOD("GET"), SCHEME, AUTHORITY, F(":path", ""), {{0}, {0}}};
	struct h2_bench bench;
	h2_bench_init(&bench);
	memset(path, '/', sizeof(path));
	rows[3].value = span_make(path, 8192 - 3);
	assert_true(read_request(&bench, rows, true, &usual_rules));
	static const size_t sizes[] = {8192 - 2, 8192, 8193, sizeof(path)};
	for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
		rows[3].value = span_make(path, sizes[i]);
		assert_false(read_request(&bench, rows, true, &usual_rules));
		assert_int_equal(bench.error.code, ERROR_TARGET_TOO_LONG);
	}
	h2_bench_fini(&bench);
}

/* The first fault stays, what follows is counted and costs no memory. */
static void test_the_first_fault_is_kept(void **state)
{
	static const struct row rows[] = {
		GET, F("X", "y"), F("connection", "close"), F(":foo", "bar"), F("x-a", "b"), {{0}, {0}}};
	struct h2_bench bench;
	h2_bench_init(&bench);
	assert_false(read_request(&bench, rows, true, &usual_rules));
	assert_string_equal(error_text(&bench.error), "an uppercase letter in a field name");
	assert_span(bench.head.method_text, SPAN("GET"));
	assert_span(bench.head.path, SPAN("/x"));
	size_t size = bench.message.size;
	uint8_t *before = bench.arena->at;
	for (unsigned i = 0; i < 1000; i++)
		take_field(&bench, SPAN("x-more"), SPAN("and more"));
	assert_ptr_equal(bench.arena->at, before);
	assert_int_equal(bench.message.size, size + 1000 * (6 + 8 + 32));
	assert_false(h2_message_end(&bench.message, true, &bench.error));
	h2_bench_fini(&bench);
}

static const struct refused refused_trailers[] = {
	BAD_ENDED("pseudo-field in trailers", F(":status", "200")),
	BAD_ENDED("pseudo-field in trailers", F(":path", "/x")),
	BAD_ENDED("uppercase", F("X", "y")),
	BAD_ENDED("byte in a field name", F("x y", "y")),
	BAD_ENDED("control byte", F("x", "y\r\nz: a")),
	BAD_ENDED("white space", F("x", " y")),
	BAD_ENDED("one connection", F("connection", "x")),
	BAD_ENDED("Transfer-Encoding", F("transfer-encoding", "chunked")),
	BAD_ENDED("TE in trailers", F("te", "trailers")),
	BAD("do not end", F("x", "y")),
};

/* RFC 9113 8.1 */
static void test_trailers(void **state)
{
	static const struct row head[] = {POST, F("content-length", "3"), {{0}, {0}}};
	static const struct row rows[] = {
		F("x-sum", "abc"),     F("content-length", "4"), F("host", "b.test"),
		F("cookie", "a"),      F("authorization", "b"),  F("close", "x"),
		F("grpc-status", "0"), F("x-empty", ""),         {{0}, {0}}};
	struct h2_bench bench;
	h2_bench_init(&bench);
	assert_true(read_request(&bench, head, false, &usual_rules));
	assert_true(h2_message_data(&bench.message, 3));
	assert_true(read_trailers(&bench, rows, true));
	assert_true(h2_message_body_end(&bench.message));
	assert_span(fields_text(&bench, &bench.trailers), SPAN("x-sum: abc\ngrpc-status: 0\nx-empty: \n"));
	assert_int_equal(bench.head.fields.count, 0);
	for (unsigned i = 0; i < ARRAY_LENGTH(refused_trailers); i++) {
		assert_true(read_request(&bench, head, false, &usual_rules));
		bool good = read_trailers(&bench, refused_trailers[i].rows, refused_trailers[i].ended);
		assert_refused(&bench, good, &refused_trailers[i], i);
	}
	/* Less than Content-Length said, found at the trailers. */
	assert_true(read_request(&bench, head, false, &usual_rules));
	assert_true(h2_message_data(&bench.message, 2));
	assert_true(read_trailers(&bench, rows, true));
	assert_false(h2_message_body_end(&bench.message));
	/* RFC 9113 8.5 */
	static const struct row tunnel[] = {CONNECT, {{0}, {0}}};
	assert_true(read_request(&bench, tunnel, false, &usual_rules));
	assert_false(read_trailers(&bench, rows, true));
	assert_string_equal(error_text(&bench.error), "fields inside a tunnel");
	h2_bench_fini(&bench);
}

/* Wherever memory ends, the answer is an error and no half of a head. */
static void test_out_of_memory(void **state)
{
	static const struct row rows[] = {GET,
					  F("cookie", "a=b"),
					  F("cookie", "c=d"),
					  F("host", "a.test"),
					  F("x-a", "some value"),
					  F("x-b", "some other value"),
					  {{0}, {0}}};
	bool good = false;
	for (unsigned room = 0; room < 4096 && !good; room += 8) {
		static uint64_t lent[512];
		struct h2_bench bench;
		memset(&bench, 0, sizeof(bench));
		memory_init(&bench.base.memory, 1);
		arena_init(&bench.base.arena, &bench.base.memory, NULL, lent, room);
		bench.arena = &bench.base.arena;
		good = read_request(&bench, rows, true, &usual_rules);
		if (!good)
			assert_int_equal(bench.error.code, ERROR_MEMORY);
		h2_bench_fini(&bench);
	}
	assert_true(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_what_a_request_means),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_data_is_held_against_the_length),
		cmocka_unit_test(test_extended_connect_is_an_upgrade),
		cmocka_unit_test(test_cookies_are_joined),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_a_long_target_is_414),
		cmocka_unit_test(test_the_first_fault_is_kept),
		cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
