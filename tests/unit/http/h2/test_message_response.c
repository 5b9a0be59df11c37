/*
 * HTTP/2 responses: what is accepted and what it means, what is refused and with which words.
 */
#include "http/h2/h2_support.h"

#define STATUS(text) F(":status", text)
#define OK STATUS("200")
#define BAD(text, ...) REFUSED(UPSTREAM_MALFORMED, text, false, __VA_ARGS__)
#define BAD_ENDED(text, ...) REFUSED(UPSTREAM_MALFORMED, text, true, __VA_ARGS__)

static const struct refused refused[] = {
	/* RFC 9113 8.3, 8.3.2 */
	BAD("no :status", F("server", "x")),
	BAD("repeated", OK, OK),
	BAD("after an ordinary field", F("server", "x"), OK),
	BAD("pseudo-field of requests", OK, F(":path", "/")),
	BAD("pseudo-field of requests", F(":method", "GET"), OK),
	BAD("pseudo-field of requests", OK, F(":scheme", "https")),
	BAD("pseudo-field of requests", OK, F(":authority", "a.test")),
	BAD("pseudo-field of requests", OK, F(":protocol", "websocket")),
	BAD("unknown pseudo-field", OK, F(":reason", "Fine")),
	BAD("unknown pseudo-field", F(":Status", "200")),
	BAD("empty pseudo-field", STATUS("")),
	BAD("three digits", STATUS("20")),
	BAD("three digits", STATUS("2000")),
	BAD("three digits", STATUS("+20")),
	BAD("three digits", STATUS("20x")),
	BAD("three digits", STATUS("200 OK")),
	BAD("white space", STATUS("200 ")),
	BAD("control byte", STATUS("200\r\nx: y")),
	BAD("between 100 and 599", STATUS("099")),
	BAD("between 100 and 599", STATUS("600")),
	BAD("between 100 and 599", STATUS("000")),
	BAD("101", STATUS("101")), /* RFC 9113 8.6 */
	/* RFC 9113 8.2 */
	BAD("uppercase", OK, F("Server", "x")),
	BAD("byte in a field name", OK, F("x\r\ny", "x")),
	BAD("colon in a field name", OK, F("x: y", "x")),
	BAD("empty field name", OK, F("", "x")),
	BAD("control byte", OK, F("x-a", "x\r\nset-cookie: a=b")),
	BAD("control byte", OK, F("location", "/\r\n\r\nHTTP/1.1 200 OK")),
	BAD("NUL", OK, F("x-a", "x\0")),
	BAD("white space", OK, F("x-a", " x")),
	BAD("white space", OK, F("x-a", "x\t")),
	BAD("one connection", OK, F("connection", "close")),
	BAD("one connection", OK, F("keep-alive", "x")),
	BAD("one connection", OK, F("proxy-connection", "x")),
	BAD("one connection", STATUS("426"), F("upgrade", "h2c")),
	BAD("Transfer-Encoding", OK, F("transfer-encoding", "chunked")),
	BAD("TE in a response", OK, F("te", "trailers")),
	/* RFC 9113 8.1.1 */
	BAD("repeated", OK, F("content-length", "5"), F("content-length", "5")),
	BAD("not a number", OK, F("content-length", "5, 5")),
	BAD("not a number", OK, F("content-length", "-1")),
	BAD("empty", OK, F("content-length", "")),
	BAD("too large", OK, F("content-length", "9223372036854775808")),
	BAD_ENDED("ends with the head", OK, F("content-length", "5")),
	BAD("1xx or 204", STATUS("204"), F("content-length", "5")),
	BAD("1xx or 204", STATUS("103"), F("content-length", "5")),
	/* RFC 9113 8.1 */
	BAD_ENDED("interim response that ends", STATUS("100")),
	BAD_ENDED("interim response that ends", STATUS("103"), F("link", "</x>")),
};

static void test_refused(void **state)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(refused); i++) {
		struct h2_bench bench;
		h2_bench_init(&bench);
		bool good = read_response(&bench, refused[i].rows, refused[i].ended, HTTP_METHOD_GET);
		assert_refused(&bench, good, &refused[i], i);
		h2_bench_fini(&bench);
	}
}

static void test_what_a_response_means(void **state)
{
	static const struct row rows[] = {STATUS("299"),
					  F("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
					  F("set-cookie", "a=b"),
					  F("set-cookie", ""),
					  F("set-cookie", "c=d"),
					  F("expect", "x"),
					  F("host", "x"),
					  F("cookie", "e=f"),
					  F("cookie", "g=h"),
					  F("close", "x"),
					  {{0}, {0}}};
	struct h2_bench bench;
	h2_bench_init(&bench);
	assert_true(read_response(&bench, rows, false, HTTP_METHOD_GET));
	assert_int_equal(bench.head.status, 299);
	assert_int_equal(bench.head.reason.len, 0);
	assert_int_equal(bench.head.version, HTTP_VERSION_2);
	assert_int_equal(bench.head.protocol.len, 0);
	assert_span(fields_text(&bench, &bench.head.fields),
		    SPAN("date: Sun, 06 Nov 1994 08:49:37 GMT\nset-cookie: a=b\nset-cookie: \nset-cookie: c=d\n"
			 "expect: x\nhost: x\ncookie: e=f\ncookie: g=h\n"));
	h2_bench_fini(&bench);
}

struct framed {
	struct row rows[ROWS_MOST];
	bool ended;
	uint8_t method, body;
	uint64_t length;
	bool known, tunnel, data; /* data: some may come */
};

static const struct framed framed[] = {
	{{OK}, false, HTTP_METHOD_GET, HTTP_BODY_STREAMED, 0, false, false, true},
	{{OK}, true, HTTP_METHOD_GET, HTTP_BODY_LENGTH, 0, true, false, false},
	{{STATUS("404")}, true, HTTP_METHOD_POST, HTTP_BODY_LENGTH, 0, true, false, false},
	{{OK, F("content-length", "7")}, false, HTTP_METHOD_GET, HTTP_BODY_LENGTH, 7, true, false, true},
	{{OK, F("content-length", "0")}, false, HTTP_METHOD_GET, HTTP_BODY_LENGTH, 0, true, false, false},
	{{OK, F("content-length", "0")}, true, HTTP_METHOD_GET, HTTP_BODY_LENGTH, 0, true, false, false},
	{{OK, F("content-length", "7")}, true, HTTP_METHOD_HEAD, HTTP_BODY_NONE, 7, true, false, false},
	{{OK, F("content-length", "7")}, false, HTTP_METHOD_HEAD, HTTP_BODY_NONE, 7, true, false, false},
	{{OK}, true, HTTP_METHOD_HEAD, HTTP_BODY_NONE, 0, false, false, false},
	{{OK}, false, HTTP_METHOD_HEAD, HTTP_BODY_NONE, 0, false, false, false},
	{{STATUS("304"), F("content-length", "7")}, true, HTTP_METHOD_GET, HTTP_BODY_NONE, 7, true, false, false},
	{{STATUS("304")}, false, HTTP_METHOD_GET, HTTP_BODY_NONE, 0, false, false, false},
	{{STATUS("204")}, true, HTTP_METHOD_GET, HTTP_BODY_NONE, 0, false, false, false},
	{{STATUS("204"), F("content-length", "0")}, false, HTTP_METHOD_GET, HTTP_BODY_NONE, 0, false, false, false},
	{{STATUS("100")}, false, HTTP_METHOD_GET, HTTP_BODY_NONE, 0, false, false, false},
	{{STATUS("103"), F("content-length", "0")}, false, HTTP_METHOD_GET, HTTP_BODY_NONE, 0, false, false, false},
	{{OK}, false, HTTP_METHOD_CONNECT, HTTP_BODY_NONE, 0, false, true, true},
	{{OK, F("content-length", "7")}, false, HTTP_METHOD_CONNECT, HTTP_BODY_NONE, 0, false, true, true},
	{{STATUS("204"), F("content-length", "7")}, true, HTTP_METHOD_CONNECT, HTTP_BODY_NONE, 0, false, true, true},
	{{STATUS("100")}, false, HTTP_METHOD_CONNECT, HTTP_BODY_NONE, 0, false, false, false},
	{{STATUS("403"), F("content-length", "7")}, false, HTTP_METHOD_CONNECT, HTTP_BODY_LENGTH, 7, true, false, true},
	{{STATUS("502")}, false, HTTP_METHOD_CONNECT, HTTP_BODY_STREAMED, 0, false, false, true},
};

static void test_bodies(void **state)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(framed); i++) {
		const struct framed *want = &framed[i];
		struct h2_bench bench;
		h2_bench_init(&bench);
		if (!read_response(&bench, want->rows, want->ended, want->method))
			fail_msg("case %u: %s", i, error_text(&bench.error));
		if (bench.head.body != want->body || bench.head.length != want->length ||
		    bench.head.length_known != want->known)
			fail_msg("case %u: body %u, length %llu, known %d", i, bench.head.body,
				 (unsigned long long)bench.head.length, bench.head.length_known);
		assert_int_equal(h2_message_is_tunnel(&bench.message), want->tunnel);
		assert_int_equal(bench.head.fields.count, 0);
		assert_true(h2_message_data(&bench.message, 0));
		assert_int_equal(h2_message_data(&bench.message, 1), want->data);
		h2_bench_fini(&bench);
	}
}

static void test_the_end_is_held_against_the_length(void **state)
{
	static const struct row rows[] = {OK, F("content-length", "10"), {{0}, {0}}};
	static const struct row interim[] = {STATUS("103"), {{0}, {0}}};
	static const struct row trailers[] = {F("grpc-status", "0"), {{0}, {0}}};
	struct h2_bench bench;
	h2_bench_init(&bench);
	/* RFC 9113 8.1: something final must follow. */
	assert_true(read_response(&bench, interim, false, HTTP_METHOD_GET));
	assert_false(h2_message_body_end(&bench.message));
	assert_true(read_response(&bench, rows, false, HTTP_METHOD_GET));
	assert_true(h2_message_data(&bench.message, 9));
	assert_false(h2_message_body_end(&bench.message));
	assert_true(read_trailers(&bench, trailers, true));
	assert_false(h2_message_body_end(&bench.message));
	assert_true(h2_message_data(&bench.message, 1));
	assert_true(h2_message_body_end(&bench.message));
	assert_span(fields_text(&bench, &bench.trailers), SPAN("grpc-status: 0\n"));
	/* A response to HEAD is whole without its content. */
	assert_true(read_response(&bench, rows, true, HTTP_METHOD_HEAD));
	assert_true(h2_message_body_end(&bench.message));
	h2_bench_fini(&bench);
}

static void test_faults_of_trailers_are_the_servers(void **state)
{
	static const struct row rows[] = {OK, {{0}, {0}}};
	static const struct row trailers[] = {F("x", "a\nb"), {{0}, {0}}};
	static uint8_t text[9000];
	struct h2_bench bench;
	h2_bench_init(&bench);
	memset(text, 'x', sizeof(text));
	assert_true(read_response(&bench, rows, false, HTTP_METHOD_GET));
	assert_false(read_trailers(&bench, trailers, true));
	assert_int_equal(bench.error.code, ERROR_UPSTREAM_MALFORMED);
	struct row large[] = {F("x", ""), {{0}, {0}}};
	large[0].value = span_make(text, sizeof(text));
	assert_true(read_response(&bench, rows, false, HTTP_METHOD_GET));
	assert_false(read_trailers(&bench, large, true));
	assert_int_equal(bench.error.code, ERROR_UPSTREAM_HEAD_TOO_LARGE);
	h2_bench_fini(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_what_a_response_means),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_the_end_is_held_against_the_length),
		cmocka_unit_test(test_faults_of_trailers_are_the_servers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
