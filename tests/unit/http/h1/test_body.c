/*
 * Bodies: by length, chunked, until the close; whole, and cut at every pair of places.
 */
#include "http/h1/h1_support.h"

struct reader {
	struct bench bench;
	struct h1_body body;
	uint8_t data[65536];
	size_t len;
};

static void reader_init(struct reader *reader, enum http_body kind, uint64_t length)
{
	bench_init(&reader->bench);
	reader->bench.head = (struct http_head){.body = (uint8_t)kind, .length = length};
	h1_body_init(&reader->body, &reader->bench.head);
	reader->len = 0;
}

/* Feeds one piece; adds up the payload. */
static enum h1_body_result feed(struct reader *reader, struct span *in)
{
	struct span data;
	for (;;) {
		enum h1_body_result result = h1_body_read(&reader->body, in, &data, &reader->bench.arena,
							  &usual_limits, false, &reader->bench.error);
		if (result != H1_BODY_DATA)
			return result;
		assert_true(data.len > 0 && reader->len + data.len <= sizeof(reader->data));
		memcpy(reader->data + reader->len, data.at, data.len);
		reader->len += data.len;
	}
}

/* Reads `text` cut at two places (no cut: both at its end). Returns the result; *left says how much follows. */
static enum h1_body_result read_cut(struct reader *reader, struct span text, size_t first, size_t second,
				    size_t *left)
{
	const size_t ends[] = {first, second, text.len};
	size_t at = 0;
	enum h1_body_result result = H1_BODY_MORE;
	for (size_t i = 0; i < ARRAY_LENGTH(ends) && result == H1_BODY_MORE; i++) {
		/* Memory of its own for each piece: nothing may be remembered but by copying. */
		struct span piece = exactly(&reader->bench, span_make(text.at + at, ends[i] - at)),
			    rest = piece;
		result = feed(reader, &rest);
		if (result == H1_BODY_MORE)
			assert_int_equal(rest.len, 0);
		at += piece.len - rest.len;
		memset((uint8_t *)piece.at, 'Z', piece.len);
	}
	*left = text.len - at;
	return result;
}

struct chunked {
	struct span bytes;
	const char *data; /* NULL: refused */
	const char *text; /* of the error, or what follows the body */
};

#define LAST "0\r\n\r\n"

static const struct chunked chunked[] = {
	{BYTES(LAST), "", ""},
	{BYTES(LAST "GET"), "", "GET"},
	{BYTES("5\r\nhello\r\n" LAST), "hello", ""},
	{BYTES("5\r\nhello\r\n1\r\n!\r\n" LAST "\r\n"), "hello!", "\r\n"},
	{BYTES("005\r\nhello\r\n000\r\n\r\n"), "hello", ""},
	{BYTES("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n"), "hello", ""},
	{BYTES("A\r\nhellohello\r\na\r\nHELLOHELLO\r\n" LAST), "hellohelloHELLOHELLO", ""},
	{BYTES("4\r\n\r\n\r\n\r\n" LAST), "\r\n\r\n", ""},
	{BYTES("5;a;b=c;d=\"e;f\\\"\r\\\\\"\r\nhello\r\n" LAST), NULL, "control"},
	{BYTES("5;a;b=c;d=\"e;f\\\"\\\\ \t\x80\"\r\nhello\r\n0;last\r\n\r\n"), "hello", ""},
	{BYTES("5 ; a = b\t;\tc =\t\"\" ; d\r\nhello\r\n" LAST), "hello", ""},
	{BYTES("0\r\nX-A: b\r\n\r\nrest"), "", "rest"},
	{BYTES("0\r\nX-A: b\r\nX-B:\r\n\r\n"), "", ""},
	{BYTES("xyz\r\n"), NULL, "hexadecimal"},
	{BYTES("\r\nhello\r\n"), NULL, "hexadecimal"},
	{BYTES(";a\r\nhello\r\n"), NULL, "hexadecimal"},
	{BYTES("-5\r\n"), NULL, "hexadecimal"},
	{BYTES("+5\r\n"), NULL, "hexadecimal"},
	{BYTES(" 5\r\n"), NULL, "hexadecimal"},
	{BYTES("0x5\r\n"), NULL, "no chunk size"},
	{BYTES("5g\r\n"), NULL, "no chunk size"},
	{BYTES("5h\r\n"), NULL, "no chunk size"},
	{BYTES("0_5\r\n"), NULL, "no chunk size"},
	{BYTES("5,5\r\n"), NULL, "no chunk size"},
	{BYTES("5\x0b\r\n"), NULL, "no chunk size"},
	{BYTES("5\0\r\n"), NULL, "no chunk size"},
	{BYTES("5 \r\n"), NULL, "white space"},
	{BYTES("5\t\r\n"), NULL, "white space"},
	{BYTES("5 5\r\n"), NULL, "white space"},
	{BYTES("10000000000000005\r\n"), NULL, "too large"},
	{BYTES("00000000000000005\r\n"), NULL, "too large"},
	{BYTES("8000000000000000\r\n"), NULL, "too large"},
	{BYTES("FFFFFFFFFFFFFFFF\r\n"), NULL, "too large"},
	{BYTES("5\nhello\r\n"), NULL, "bare LF after a chunk size"},
	{BYTES("5\rhello\r\n"), NULL, "bare CR after a chunk size"},
	{BYTES("5\r\r\nhello\r\n"), NULL, "bare CR after a chunk size"},
	{BYTES("5\r\nhello\n0\r\n\r\n"), NULL, "where its size says"},
	{BYTES("5\r\nhello\r0\r\n\r\n"), NULL, "where its size says"},
	{BYTES("5\r\nhello0\r\n\r\n"), NULL, "where its size says"},
	{BYTES("5\r\nhello!\r\n"), NULL, "where its size says"},
	{BYTES("6\r\nhello\r\n0\r\n"), NULL, "where its size says"},
	{BYTES("5;\r\nhello\r\n"), NULL, "without a name"},
	{BYTES("5;;a\r\n"), NULL, "without a name"},
	{BYTES("5; \r\n"), NULL, "without a name"},
	{BYTES("5;=b\r\n"), NULL, "without a name"},
	{BYTES("5;a=\r\n"), NULL, "without its value"},
	{BYTES("5;a=;b\r\n"), NULL, "without its value"},
	{BYTES("5;a b\r\n"), NULL, "white space"},
	{BYTES("5;a \r\n"), NULL, "white space"},
	{BYTES("5;a=b c\r\n"), NULL, "white space"},
	{BYTES("5;a=b \r\n"), NULL, "white space"},
	{BYTES("5;a=\"b\"c\r\n"), NULL, "no chunk size or extension"},
	{BYTES("5;a=b=c\r\n"), NULL, "no chunk size or extension"},
	{BYTES("5;a\nb\r\n"), NULL, "bare LF"},
	{BYTES("5;a\rb\r\n"), NULL, "bare CR"},
	{BYTES("5;a=\"\n\"\r\n"), NULL, "control"},
	{BYTES("5;a=\"\\\n\"\r\n"), NULL, "control"},
	{BYTES("5;a=\"\x7f\"\r\n"), NULL, "control"},
	{BYTES("5;a\0\r\n"), NULL, "no chunk size or extension"},
	{BYTES("5;a=\x01\r\n"), NULL, "without its value"},
	{BYTES("0\n\r\n"), NULL, "bare LF"},
	{BYTES("0\r\n\n"), NULL, "bare LF"},
	{BYTES("0\r\n\rX"), NULL, "bare CR"},
	{BYTES("0\r\nX-A : b\r\n\r\n"), NULL, "space before the colon"},
	{BYTES("0\r\nX-A: b\r\n c\r\n\r\n"), NULL, "folded"},
	{BYTES("0\r\n X-A: b\r\n\r\n"), NULL, "folded"},
	{BYTES("0\r\nX-A: b\n\r\n"), NULL, "bare LF"},
	{BYTES("0\r\nX-A: b\r\n\n"), NULL, "bare LF"},
	{BYTES("0\r\nX-A: b\0\r\n\r\n"), NULL, "NUL"},
	{BYTES("0\r\nX-A: b\rc\r\n\r\n"), NULL, "bare CR"},
	{BYTES("0\r\n: b\r\n\r\n"), NULL, "empty field name"},
	{BYTES("0\r\nX-A\r\n\r\n"), NULL, "without a colon"},
	{BYTES("0\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"), NULL, "space before the colon"},
};

static void check_chunked(const struct chunked *want, size_t first, size_t second)
{
	static struct reader reader;
	size_t left;
	reader_init(&reader, HTTP_BODY_STREAMED, 0);
	enum h1_body_result result = read_cut(&reader, want->bytes, first, second, &left);
	if (result != (want->data ? H1_BODY_END : H1_BODY_BAD))
		fail_msg("result %d, cut at %zu and %zu: %.*s", result, first, second, SPAN_ARG(want->bytes));
	if (result == H1_BODY_END) {
		assert_span(span_make(reader.data, reader.len), span_of(want->data));
		assert_span(span_from(want->bytes, want->bytes.len - left), span_of(want->text));
		assert_int_equal(reader.body.total, reader.len);
	} else {
		assert_int_equal(reader.bench.error.code, ERROR_MALFORMED_REQUEST);
		if (!strstr(error_text(&reader.bench.error), want->text))
			fail_msg("got \"%s\", want \"%s\": %.*s", error_text(&reader.bench.error), want->text,
				 SPAN_ARG(want->bytes));
	}
	bench_fini(&reader.bench);
}

static void test_chunked_cut_everywhere(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(chunked); i++)
		for (size_t first = 0; first <= chunked[i].bytes.len; first++)
			for (size_t second = first; second <= chunked[i].bytes.len; second++)
				check_chunked(&chunked[i], first, second);
}

/* Every proper beginning of a good body is incomplete, not bad and not an end. */
static void test_chunked_beginnings(void **state)
{
	static struct reader reader;
	struct span whole = SPAN("5;a=\"b\"\r\nhello\r\n0\r\nX-A: b\r\n\r\n");
	size_t left;
	for (size_t len = 0; len < whole.len; len++) {
		reader_init(&reader, HTTP_BODY_STREAMED, 0);
		assert_int_equal(read_cut(&reader, span_first(whole, len), 0, 0, &left), H1_BODY_MORE);
		assert_false(h1_body_ends_at_close(&reader.body));
		bench_fini(&reader.bench);
	}
}

static void test_trailers(void **state)
{
	static struct reader reader;
	size_t left;
	reader_init(&reader, HTTP_BODY_STREAMED, 0);
	assert_true(parse_request(&reader.bench,
				  SPAN("POST / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop\r\n"
				       "Transfer-Encoding: chunked\r\nConnection: close, x-also\r\n\r\n")));
	h1_body_init(&reader.body, &reader.bench.head);
	struct span text =
		SPAN("1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nHost: b\r\n"
		     "Authorization: c\r\nSet-Cookie: d\r\nContent-Type: e\r\nIf-Match: f\r\nX-Hop: g\r\n"
		     "X-Also: h\r\nContent-Digest: i\r\nX-Forwarded-For: j\r\nVia: k\r\ngrpc-status: 0\r\n"
		     "Connection: l\r\nTrailer: m\r\nExpect: n\r\nCache-Control: o\r\nRange: p\r\n\r\n");
	assert_int_equal(read_cut(&reader, text, 20, 60, &left), H1_BODY_END);
	static const char *const names[] = {"X-Sum", "Content-Digest", "grpc-status"};
	uint32_t index = 0;
	assert_non_null(reader.body.trailers);
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		assert_span(http_fields_next(reader.body.trailers, &index)->name, span_of(names[i]));
	assert_null(http_fields_next(reader.body.trailers, &index));
	bench_fini(&reader.bench);

	reader_init(&reader, HTTP_BODY_STREAMED, 0);
	assert_int_equal(read_cut(&reader, SPAN("0\r\nHost: b\r\n\r\n"), 0, 0, &left), H1_BODY_END);
	assert_null(reader.body.trailers);
	bench_fini(&reader.bench);
}

static void test_length(void **state)
{
	static struct reader reader;
	struct span text = SPAN("helloGET");
	size_t left;
	for (size_t first = 0; first <= text.len; first++) {
		reader_init(&reader, HTTP_BODY_LENGTH, 5);
		assert_int_equal(read_cut(&reader, text, first, text.len, &left), H1_BODY_END);
		assert_span(span_make(reader.data, reader.len), SPAN("hello"));
		assert_int_equal(left, 3);
		bench_fini(&reader.bench);
	}
	reader_init(&reader, HTTP_BODY_LENGTH, 5);
	assert_int_equal(read_cut(&reader, SPAN("hell"), 1, 2, &left), H1_BODY_MORE);
	assert_false(h1_body_ends_at_close(&reader.body));
	bench_fini(&reader.bench);
	reader_init(&reader, HTTP_BODY_LENGTH, 0);
	assert_int_equal(read_cut(&reader, SPAN("GET"), 0, 0, &left), H1_BODY_END);
	assert_int_equal(left, 3);
	bench_fini(&reader.bench);
}

static void test_none_and_close(void **state)
{
	static struct reader reader;
	size_t left;
	reader_init(&reader, HTTP_BODY_NONE, 5);
	assert_int_equal(read_cut(&reader, SPAN("GET"), 0, 0, &left), H1_BODY_END);
	assert_int_equal(left, 3);
	assert_false(h1_body_ends_at_close(&reader.body));
	bench_fini(&reader.bench);
	reader_init(&reader, HTTP_BODY_CLOSE, 0);
	assert_int_equal(read_cut(&reader, SPAN("hello\r\n0\r\n"), 3, 3, &left), H1_BODY_MORE);
	assert_span(span_make(reader.data, reader.len), SPAN("hello\r\n0\r\n"));
	assert_true(h1_body_ends_at_close(&reader.body));
	bench_fini(&reader.bench);
}

static struct span repeated(struct bench *bench, struct span unit, size_t times)
{
	uint8_t *at = arena_alloc(&bench->arena, unit.len * times);
	assert_non_null(at);
	for (size_t i = 0; i < times; i++)
		memcpy(at + i * unit.len, unit.at, unit.len);
	return span_make(at, unit.len * times);
}

static void check_flood(struct span unit, size_t times, struct span first, enum error_code code)
{
	static struct reader reader;
	reader_init(&reader, HTTP_BODY_STREAMED, 0);
	struct span flood = repeated(&reader.bench, unit, times);
	if (first.len)
		assert_int_equal(feed(&reader, &first), H1_BODY_MORE);
	enum h1_body_result result = feed(&reader, &flood);
	assert_int_equal(result, code ? H1_BODY_BAD : H1_BODY_MORE);
	if (code)
		assert_int_equal(reader.bench.error.code, code);
	bench_fini(&reader.bench);
}

/* Bytes that carry nothing are bounded: extensions, trailers. */
static void test_floods(void **state)
{
	check_flood(SPAN("a"), 4090, SPAN("5;"), ERROR_NONE);
	check_flood(SPAN("a"), 5000, SPAN("5;"), ERROR_MALFORMED_REQUEST);
	check_flood(SPAN("1;aaaaaaaaaa\r\nx\r\n"), 3500, SPAN(""), ERROR_NONE);
	check_flood(SPAN("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n"), 1000, SPAN(""),
		    ERROR_MALFORMED_REQUEST);
	check_flood(SPAN("a"), 9000, SPAN("0\r\n"), ERROR_HEAD_TOO_LARGE);
	check_flood(SPAN("X-A: b\r\n"), 101, SPAN("0\r\n"), ERROR_NONE);
	check_flood(SPAN("X-A: bbbbbbbbbbbbb\r\n"), 3000, SPAN("0\r\n"), ERROR_HEAD_TOO_LARGE);
	static struct reader reader;
	reader_init(&reader, HTTP_BODY_STREAMED, 0);
	struct span last = SPAN("0\r\n"), many = repeated(&reader.bench, SPAN("X: b\r\n"), 101),
		    end = SPAN("\r\n");
	assert_int_equal(feed(&reader, &last), H1_BODY_MORE);
	assert_int_equal(feed(&reader, &many), H1_BODY_MORE);
	assert_int_equal(feed(&reader, &end), H1_BODY_BAD);
	assert_int_equal(reader.bench.error.code, ERROR_HEAD_TOO_LARGE);
	bench_fini(&reader.bench);
}

/* Refused stays refused; for a response the server is to blame. */
static void test_bad_stays_bad(void **state)
{
	struct bench bench;
	struct h1_body body;
	struct span in = SPAN("x5\r\nhello\r\n0\r\n\r\n"), data;
	bench_init(&bench);
	bench.head.body = HTTP_BODY_STREAMED;
	h1_body_init(&body, &bench.head);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(h1_body_read(&body, &in, &data, &bench.arena, &usual_limits, true,
					      &bench.error),
				 H1_BODY_BAD);
		assert_int_equal(bench.error.code, ERROR_UPSTREAM_MALFORMED);
	}
	bench_fini(&bench);
}

static void test_out_of_memory(void **state)
{
	_Alignas(8) static uint8_t lent[4096];
	unsigned refused = 0;
	for (size_t size = 0; size <= sizeof(lent); size += 8) {
		struct bench bench;
		struct h1_body body;
		struct span in = SPAN("0\r\nX-A: b\r\n\r\n"), data;
		bench_init(&bench);
		arena_init(&bench.arena, &bench.memory, NULL, lent, size);
		memory_fail_every(&bench.memory, 1);
		bench.head.body = HTTP_BODY_STREAMED;
		h1_body_init(&body, &bench.head);
		if (h1_body_read(&body, &in, &data, &bench.arena, &usual_limits, true, &bench.error) ==
		    H1_BODY_BAD) {
			assert_int_equal(bench.error.code, ERROR_MEMORY);
			refused++;
		} else {
			assert_span(body.trailers->items[0].name, SPAN("X-A"));
		}
		memory_fail_every(&bench.memory, 0);
		bench_fini(&bench);
	}
	assert_in_range(refused, 150, sizeof(lent) / 8 - 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunked_cut_everywhere),
		cmocka_unit_test(test_chunked_beginnings),
		cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_none_and_close),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_bad_stays_bad),
		cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
