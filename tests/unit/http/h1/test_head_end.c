/*
 * Where a head ends, whatever the pieces it comes in; and when it never will.
 */
#include "http/h1/h1_support.h"

struct head {
	struct span bytes;
	size_t end; /* 0 = incomplete */
};

#define GOOD "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static const struct head heads[] = {
	{BYTES(GOOD), 27},
	{BYTES(GOOD "body\r\n\r\n"), 27},
	{BYTES("GET / HTTP/1.1\r\n\r\n"), 18},
	{BYTES("\r\n"), 2},
	{BYTES("\n"), 1},
	{BYTES("\r"), 0},
	{BYTES("a\r\r\n"), 0},
	{BYTES("a\r\n\r"), 0},
	{BYTES("a\r\n\rb\r\n"), 0},
	{BYTES("a\nb\r\n\r\n"), 2},
	{BYTES("a\r\nb\n\r\n"), 5},
	{BYTES("a\r\n\n"), 4},
	{BYTES("\r\n\r\n"), 2},
	{BYTES("a: b\r\n\r\n"), 8},
	{BYTES("\0\0\r\n\r\n"), 6},
};

/* As a connection does: more bytes each time, the rest of the scan remembered. */
static void check(const struct head *head, size_t first, size_t second)
{
	const size_t ends[] = {first, second, head->bytes.len};
	size_t scanned = 0, end = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(ends) && !end; i++)
		end = h1_head_end(span_first(head->bytes, ends[i]), &scanned);
	if (end != head->end)
		fail_msg("end %zu, want %zu, cut at %zu and %zu: %.*s", end, head->end, first, second,
			 SPAN_ARG(head->bytes));
}

static void test_head_end_cut_everywhere(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(heads); i++)
		for (size_t first = 0; first <= heads[i].bytes.len; first++)
			for (size_t second = first; second <= heads[i].bytes.len; second++)
				check(&heads[i], first, second);
}

static void test_empty_lines(void **state)
{
	assert_int_equal(h1_skip_empty_lines(SPAN("")), 0);
	assert_int_equal(h1_skip_empty_lines(SPAN("\r")), 0);
	assert_int_equal(h1_skip_empty_lines(SPAN("\r\n")), 2);
	assert_int_equal(h1_skip_empty_lines(SPAN("\r\n\r\nGET")), 4);
	assert_int_equal(h1_skip_empty_lines(SPAN("\nGET")), 0);
	assert_int_equal(h1_skip_empty_lines(SPAN(" \r\nGET")), 0);
	assert_int_equal(h1_skip_empty_lines(SPAN("\r\n\r\n\r\n\r\n\r\n\r\n")), 8);
}

struct beginning {
	struct span bytes;
	bool response;
	enum error_code code;
};

static const struct beginning beginnings[] = {
	{BYTES(""), false, ERROR_NONE},
	{BYTES("\r"), false, ERROR_NONE},
	{BYTES("G"), false, ERROR_NONE},
	{BYTES("GET"), false, ERROR_NONE},
	{BYTES("GET /"), false, ERROR_NONE},
	{BYTES("GET / HTTP/1.1\r\nA"), false, ERROR_NONE},
	{BYTES("METHODSOMUCHLONGERTHANTHIRTYTWOBYTES"), false, ERROR_TARGET_TOO_LONG},
	{BYTES("\rG"), false, ERROR_MALFORMED_REQUEST},
	{BYTES("\r\n"), false, ERROR_MALFORMED_REQUEST},
	{BYTES("\x16\x03\x01"), false, ERROR_MALFORMED_REQUEST},
	{BYTES("\0"), false, ERROR_MALFORMED_REQUEST},
	{BYTES("GET\t"), false, ERROR_MALFORMED_REQUEST},
	{BYTES(" GET"), false, ERROR_MALFORMED_REQUEST},
	{BYTES("GET /345678901234567\r"), false, ERROR_NONE},
	{BYTES("GET /345678901234567"), false, ERROR_NONE},
	{BYTES("GET /345678901234567890"), false, ERROR_TARGET_TOO_LONG},
	{BYTES("GET / HTTP/1.1\r\nA: 456789\r"), false, ERROR_NONE},
	{BYTES("GET / HTTP/1.1\r\nA: 45678901"), false, ERROR_HEAD_TOO_LARGE},
	{BYTES("GET / HTTP/1.1\r\nA: 456789\r\nA: 456789\r"), false, ERROR_NONE},
	{BYTES("GET / HTTP/1.1\r\nA: 456789\r\nA: 456789\r\n"), false, ERROR_HEAD_TOO_LARGE},
	{BYTES(""), true, ERROR_NONE},
	{BYTES("H"), true, ERROR_NONE},
	{BYTES("HTTP/1.1 2"), true, ERROR_NONE},
	{BYTES("x"), true, ERROR_UPSTREAM_MALFORMED},
	{BYTES("HTTP/2"), true, ERROR_UPSTREAM_MALFORMED},
	{BYTES("\r\n"), true, ERROR_UPSTREAM_MALFORMED},
	{BYTES("HTTP/1.1 200 OKOKOKOKO\r"), true, ERROR_UPSTREAM_HEAD_TOO_LARGE},
	{BYTES("HTTP/1.1 200 OK\r\nA: 4567890"), true, ERROR_NONE},
	{BYTES("HTTP/1.1 200 OK\r\nA: 45678901"), true, ERROR_UPSTREAM_HEAD_TOO_LARGE},
};

static void test_hopeless(void **state)
{
	static const struct h1_limits limits = {.request_line = 20, .field_line = 9, .fields = 2, .head = 38};
	for (size_t i = 0; i < ARRAY_LENGTH(beginnings); i++) {
		struct error error = ERROR_OK;
		bool hopeless =
			h1_head_is_hopeless(beginnings[i].bytes, &limits, beginnings[i].response, &error);
		if (error.code != beginnings[i].code || hopeless != (error.code != ERROR_NONE))
			fail_msg("got %s, want %s: %.*s", error_name(error.code),
				 error_name(beginnings[i].code), SPAN_ARG(beginnings[i].bytes));
	}
}

/* No beginning of a head that will be good is hopeless. */
static void test_beginnings_of_good_heads(void **state)
{
	struct error error;
	struct span request = SPAN(GOOD), response = SPAN("HTTP/1.1 200\r\nA: b\r\n\r\n");
	for (size_t len = 0; len < request.len; len++)
		assert_false(h1_head_is_hopeless(span_first(request, len), &usual_limits, false, &error));
	for (size_t len = 0; len < response.len; len++)
		assert_false(h1_head_is_hopeless(span_first(response, len), &usual_limits, true, &error));
}

/* Of a good head every beginning is refused by the parser, and none reads beyond it. */
static void test_parse_of_beginnings(void **state)
{
	struct span request = SPAN("GET http://a/ HTTP/1.1\r\nHost: a\r\nX-Abcdefgh: b\tc\r\n\r\n");
	struct span response = SPAN("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Abcdefgh: b\tc\r\n\r\n");
	for (size_t len = 0; len <= request.len; len++) {
		struct bench bench;
		bench_init(&bench);
		assert_int_equal(parse_request(&bench, span_first(request, len)), len == request.len);
		bench_fini(&bench);
	}
	for (size_t len = 0; len <= response.len; len++) {
		struct bench bench;
		bench_init(&bench);
		assert_int_equal(parse_response(&bench, span_first(response, len), HTTP_METHOD_GET),
				 len == response.len);
		bench_fini(&bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head_end_cut_everywhere),
		cmocka_unit_test(test_empty_lines),
		cmocka_unit_test(test_hopeless),
		cmocka_unit_test(test_beginnings_of_good_heads),
		cmocka_unit_test(test_parse_of_beginnings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
