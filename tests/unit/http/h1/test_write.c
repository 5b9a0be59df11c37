/*
 * What is written, byte for byte; and that what is read, written and read again is the same.
 */
#include "http/h1/h1_support.h"

static struct span write_request(struct bench *bench, const struct h1_write *how)
{
	struct chunk_queue queue;
	chunk_queue_init(&queue);
	assert_true(h1_request_write(&bench->buffers, &queue, &bench->head, how));
	return queue_text(bench, &queue);
}

static struct span write_response(struct bench *bench, const struct h1_write *how, struct span date)
{
	struct chunk_queue queue;
	chunk_queue_init(&queue);
	assert_true(h1_response_write(&bench->buffers, &queue, &bench->head, how, date));
	return queue_text(bench, &queue);
}

struct request {
	struct span in, out;
	struct h1_write how;
};

#define ABSOLUTE                                                                                             \
	{                                                                                                    \
		.absolute_form = true                                                                        \
	}

static const struct request requests[] = {
	{BYTES("GET /x HTTP/1.1\r\nX-A:b\r\nhost:  a\r\nx-b: \t\r\n\r\n"),
	 BYTES("GET /x HTTP/1.1\r\nHost: a\r\nX-A: b\r\nx-b: \r\n\r\n"),
	 {0}},
	{BYTES("GET http://B.test:81?q HTTP/1.0\r\n\r\n"),
	 BYTES("GET /?q HTTP/1.1\r\nHost: B.test:81\r\n\r\n"),
	 {0}},
	{BYTES("GET HTTP://b.test/x HTTP/1.1\r\nHost: a\r\n\r\n"),
	 BYTES("GET http://b.test/x HTTP/1.1\r\nHost: b.test\r\n\r\n"), ABSOLUTE},
	{BYTES("OPTIONS http://b.test HTTP/1.1\r\nHost: a\r\n\r\n"),
	 BYTES("OPTIONS * HTTP/1.1\r\nHost: b.test\r\n\r\n"),
	 {0}},
	{BYTES("OPTIONS http://b.test HTTP/1.1\r\nHost: a\r\n\r\n"),
	 BYTES("OPTIONS http://b.test HTTP/1.1\r\nHost: b.test\r\n\r\n"), ABSOLUTE},
	{BYTES("CONNECT b.test:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
	 BYTES("CONNECT b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n"),
	 {0}},
	{BYTES("POST / HTTP/1.1\r\nContent-Length: 0012\r\nExpect: 100-Continue\r\nHost: a:\r\n\r\n"),
	 BYTES("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n"),
	 {0}},
	{BYTES("POST / HTTP/1.1\r\nContent-Length: 5\r\nHost: a\r\n\r\n"),
	 BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
	 {.chunked = true}},
	{BYTES("POST / HTTP/1.1\r\nHost: a\r\n\r\n"),
	 BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
	 {0}},
	{BYTES("PUT / HTTP/1.1\r\nHost: a\r\n\r\n"),
	 BYTES("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
	 {0}},
	{BYTES("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n"), BYTES("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n"), {0}},
	{BYTES("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, te\r\nUpgrade: h2c, foo\r\nTE: trailers\r\n\r\n"),
	 BYTES("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade, TE\r\nUpgrade: foo\r\nTE: trailers\r\n\r\n"),
	 {.connection = H1_CONNECTION_CLOSE, .upgrade = true, .te_trailers = true}},
	{BYTES("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"),
	 BYTES("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"),
	 {.connection = H1_CONNECTION_KEEP_ALIVE}},
};

static void test_requests(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
		struct bench bench;
		bench_init(&bench);
		if (!parse_request(&bench, requests[i].in))
			fail_msg("refused (%s): %.*s", error_text(&bench.error), SPAN_ARG(requests[i].in));
		assert_span(write_request(&bench, &requests[i].how), requests[i].out);
		bench_fini(&bench);
	}
}

struct response {
	struct span in, out;
	enum http_method method;
	struct h1_write how;
	const char *date;
};

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define GET HTTP_METHOD_GET
#define OK "HTTP/1.1 200 OK\r\n"

static const struct response responses[] = {
	{BYTES("HTTP/1.0 200\r\nserver:x\r\nContent-Length: 05\r\n\r\n"),
	 BYTES(OK "Date: " DATE "\r\nserver: x\r\nContent-Length: 5\r\n\r\n"),
	 GET,
	 {0},
	 DATE},
	{BYTES(OK "date: d\r\nContent-Length: 5\r\n\r\n"),
	 BYTES(OK "date: d\r\nContent-Length: 5\r\n\r\n"),
	 GET,
	 {0},
	 DATE},
	{BYTES("HTTP/1.1 299 \r\n\r\n"),
	 BYTES("HTTP/1.1 299 \r\nTransfer-Encoding: chunked\r\n\r\n"),
	 GET,
	 {.chunked = true},
	 NULL},
	{BYTES(OK "\r\n"), BYTES(OK "Connection: close\r\n\r\n"), GET, {.connection = H1_CONNECTION_CLOSE}, NULL},
	{BYTES("HTTP/1.1 103 Early\r\nLink: a\r\n\r\n"),
	 BYTES("HTTP/1.1 103 Early\r\nLink: a\r\n\r\n"),
	 GET,
	 {.chunked = true},
	 DATE},
	{BYTES("HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n"),
	 BYTES("HTTP/1.1 204 No\r\n\r\n"),
	 GET,
	 {.chunked = true},
	 NULL},
	{BYTES("HTTP/1.1 304 N\r\nContent-Length: 7\r\n\r\n"),
	 BYTES("HTTP/1.1 304 N\r\nContent-Length: 7\r\n\r\n"),
	 GET,
	 {0},
	 NULL},
	{BYTES(OK "Content-Length: 7\r\n\r\n"), BYTES(OK "Content-Length: 7\r\n\r\n"), HTTP_METHOD_HEAD, {0}, NULL},
	{BYTES(OK "Transfer-Encoding: chunked\r\n\r\n"), BYTES(OK "\r\n"), HTTP_METHOD_HEAD, {.chunked = true}, NULL},
	{BYTES(OK "Content-Length: 7\r\n\r\n"), BYTES(OK "\r\n"), HTTP_METHOD_CONNECT, {0}, NULL},
	{BYTES("HTTP/1.1 101 S\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n"),
	 BYTES("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n"),
	 GET,
	 {.upgrade = true},
	 DATE},
};

static void test_responses(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(responses); i++) {
		struct bench bench;
		bench_init(&bench);
		if (!parse_response(&bench, responses[i].in, responses[i].method))
			fail_msg("refused (%s): %.*s", error_text(&bench.error), SPAN_ARG(responses[i].in));
		assert_span(write_response(&bench, &responses[i].how, span_of(responses[i].date)),
			    responses[i].out);
		bench_fini(&bench);
	}
}

/* A dropped field is not written, a changed one in its place. */
static void test_edited_fields(void **state)
{
	struct bench bench;
	bench_init(&bench);
	assert_true(parse_request(
		&bench, SPAN("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nVia: 2\r\nB: 3\r\nvia: 4\r\n\r\n")));
	http_fields_drop_name(&bench.head.fields, SPAN("a"));
	assert_true(http_fields_set(&bench.head.fields, HTTP_FIELD_VIA, SPAN("Via"), SPAN("5")));
	assert_true(http_fields_add_known(&bench.head.fields, HTTP_FIELD_FORWARDED, SPAN("6")));
	assert_span(write_request(&bench, &(struct h1_write){0}),
		    SPAN("GET / HTTP/1.1\r\nHost: a\r\nVia: 5\r\nB: 3\r\nForwarded: 6\r\n\r\n"));
	bench_fini(&bench);
}

static void test_all_lengths_of_pieces(void **state)
{
	static const char text[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
	for (size_t name = 1; name < 40; name++) {
		for (size_t value = 0; value < 40; value++) {
			struct bench bench;
			bench_init(&bench);
			struct span in = arena_format(&bench.arena,
						      "GET / HTTP/1.1\r\nHost: a\r\n%.*s: %.*s\r\n\r\n",
						      (int)name, text, (int)value, text + 1);
			assert_true(parse_request(&bench, in));
			assert_span(write_request(&bench, &(struct h1_write){0}), in);
			bench_fini(&bench);
		}
	}
}

static bool write_chunk(struct bench *bench, struct chunk_queue *out, size_t len)
{
	struct chunk_queue data;
	chunk_queue_init(&data);
	uint8_t *at = chunk_queue_reserve(&bench->buffers, &data, len);
	assert_non_null(at);
	memset(at, 'x', len);
	chunk_queue_commit(&bench->buffers, &data, len);
	bool good = h1_chunk_write(&bench->buffers, out, &data);
	if (good)
		assert_true(chunk_queue_empty(&data));
	else
		assert_int_equal(data.bytes, len);
	chunk_queue_clear(&bench->buffers, &data);
	return good;
}

static void check_chunk(size_t len, const char *size)
{
	struct bench bench;
	struct chunk_queue out;
	bench_init(&bench);
	chunk_queue_init(&out);
	assert_true(write_chunk(&bench, &out, len));
	struct span text = queue_text(&bench, &out);
	assert_true(span_starts_with(text, span_of(size)));
	assert_true(span_ends_with(text, SPAN("x\r\n")));
	assert_int_equal(text.len, strlen(size) + len + 2);
	bench_fini(&bench);
}

static void test_chunks(void **state)
{
	check_chunk(1, "1\r\n");
	check_chunk(15, "f\r\n");
	check_chunk(16, "10\r\n");
	check_chunk(512, "200\r\n");
	check_chunk(513, "201\r\n");
	check_chunk(65535, "ffff\r\n");
	struct bench bench;
	struct chunk_queue out, empty;
	bench_init(&bench);
	chunk_queue_init(&out);
	chunk_queue_init(&empty);
	assert_true(h1_chunk_write(&bench.buffers, &out, &empty));
	assert_true(chunk_queue_empty(&out));
	assert_true(h1_last_chunk_write(&bench.buffers, &out, NULL));
	assert_span(queue_text(&bench, &out), SPAN("0\r\n\r\n"));
	http_fields_init(&bench.head.fields, &bench.arena);
	assert_true(h1_last_chunk_write(&bench.buffers, &out, &bench.head.fields));
	assert_span(queue_text(&bench, &out), SPAN("0\r\n\r\n"));
	assert_true(http_fields_add(&bench.head.fields, HTTP_FIELD_OTHER, SPAN("X-Sum"), SPAN("1")));
	assert_true(h1_last_chunk_write(&bench.buffers, &out, &bench.head.fields));
	assert_span(queue_text(&bench, &out), SPAN("0\r\nX-Sum: 1\r\n\r\n"));
	bench_fini(&bench);
}

/* Whichever allocation fails, both queues are as before. */
static void test_out_of_memory(void **state)
{
	static const size_t lengths[] = {10, 2000, 40000};
	for (uint64_t every = 1; every < 4; every++) {
		for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
			struct bench bench;
			struct chunk_queue out, data;
			bench_init(&bench);
			chunk_queue_init(&out);
			chunk_queue_init(&data);
			uint8_t *at = chunk_queue_reserve(&bench.buffers, &data, lengths[i]);
			assert_non_null(at);
			memset(at, 'x', lengths[i]);
			chunk_queue_commit(&bench.buffers, &data, lengths[i]);
			memory_fail_every(&bench.memory, every);
			if (!h1_chunk_write(&bench.buffers, &out, &data)) {
				assert_int_equal(data.bytes, lengths[i]);
				assert_true(chunk_queue_empty(&out));
			}
			memory_fail_every(&bench.memory, 0);
			chunk_queue_clear(&bench.buffers, &out);
			chunk_queue_clear(&bench.buffers, &data);
			bench_fini(&bench);
		}
	}
	struct bench bench;
	struct chunk_queue out;
	bench_init(&bench);
	chunk_queue_init(&out);
	assert_true(parse_request(&bench, SPAN("GET / HTTP/1.1\r\nHost: a\r\n\r\n")));
	memory_fail_every(&bench.memory, 1);
	assert_false(h1_request_write(&bench.buffers, &out, &bench.head, &(struct h1_write){0}));
	assert_false(h1_response_write(&bench.buffers, &out, &bench.head, &(struct h1_write){0}, SPAN("")));
	assert_true(chunk_queue_empty(&out));
	memory_fail_every(&bench.memory, 0);
	bench_fini(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),      cmocka_unit_test(test_responses),
		cmocka_unit_test(test_edited_fields), cmocka_unit_test(test_all_lengths_of_pieces),
		cmocka_unit_test(test_chunks),        cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
