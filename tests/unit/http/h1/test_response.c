/*
 * Response heads: what is accepted and how its body is measured, what is refused and with which words.
 */
#include "http/h1/h1_support.h"

struct refused {
	struct span bytes;
	enum error_code code;
	const char *text;
};

#define OK "HTTP/1.1 200 OK\r\n"
#define AT_LINE(text) BYTES(text "\r\nContent-Length: 2\r\n\r\n")
#define AT_FIELD(text) BYTES(OK text "\r\n\r\n")
#define MALFORMED ERROR_UPSTREAM_MALFORMED

static const struct refused refused[] = {
	{BYTES("\r\n\r\n"), MALFORMED, "status line"},
	{BYTES("HTTP/1.1 200 OK\nX: y\r\n\r\n"), MALFORMED, "bare LF"},
	{AT_LINE("ICY 200 OK and more"), MALFORMED, "status line"},
	{AT_LINE("ICY/1.1 200 OK"), MALFORMED, "status line"},
	{AT_LINE("http/1.1 200 OK"), MALFORMED, "not HTTP/1"},
	{AT_LINE("HTTP/2.0 200 OK"), MALFORMED, "not HTTP/1"},
	{AT_LINE("HTTP/0.9 200 OK"), MALFORMED, "not HTTP/1"},
	{AT_LINE("HTTP/1 200 OK"), MALFORMED, "status line"},
	{AT_LINE("HTTP/1.10 200 OK"), MALFORMED, "status line"},
	{AT_LINE(" HTTP/1.1 200 OK"), MALFORMED, "status line"},
	{AT_LINE("HTTP/1.1  200 OK"), MALFORMED, "three digits"},
	{AT_LINE("HTTP/1.1\t200 OK"), MALFORMED, "status line"},
	{AT_LINE("HTTP/1.1 "), MALFORMED, "status line"},
	{AT_LINE("HTTP/1.1 20 OK"), MALFORMED, "three digits"},
	{AT_LINE("HTTP/1.1 2000 OK"), MALFORMED, "no space"},
	{AT_LINE("HTTP/1.1 abc OK"), MALFORMED, "three digits"},
	{AT_LINE("HTTP/1.1 000 OK"), MALFORMED, "between 100 and 599"},
	{AT_LINE("HTTP/1.1 099 OK"), MALFORMED, "between 100 and 599"},
	{AT_LINE("HTTP/1.1 600 OK"), MALFORMED, "between 100 and 599"},
	{AT_LINE("HTTP/1.1 +20 OK"), MALFORMED, "three digits"},
	{AT_LINE("HTTP/1.1 200\tOK"), MALFORMED, "no space"},
	{AT_LINE("HTTP/1.1 200 O\rK"), MALFORMED, "control byte in the reason"},
	{AT_LINE("HTTP/1.1 200 O\0K"), MALFORMED, "control byte in the reason"},
	{AT_LINE("HTTP/1.1 200 O\x7fK"), MALFORMED, "control byte in the reason"},
	{AT_FIELD("X-A: b\r\n c"), MALFORMED, "folded"},
	{AT_FIELD("X-A : b"), MALFORMED, "space before the colon"},
	{AT_FIELD("X-A: b\nX-B: c"), MALFORMED, "bare LF"},
	{AT_FIELD("X-A: \0"), MALFORMED, "NUL"},
	{AT_FIELD("Connection: Content-Length"), MALFORMED, "nominates"},
	{AT_FIELD("Content-Length: 5\r\nContent-Length: 5"), MALFORMED, "repeated"},
	{AT_FIELD("Content-Length: 5, 5"), MALFORMED, "not a number"},
	{AT_FIELD("Content-Length: -1"), MALFORMED, "not a number"},
	{AT_FIELD("Content-Length:"), MALFORMED, "empty"},
	{AT_FIELD("Content-Length: 18446744073709551616"), MALFORMED, "too large"},
	{AT_FIELD("Content-Length: 5\r\nTransfer-Encoding: chunked"), MALFORMED, "together"},
	{AT_FIELD("Transfer-Encoding: gzip"), ERROR_UPSTREAM_CODING, "not chunked"},
	{AT_FIELD("Transfer-Encoding: gzip, chunked"), ERROR_UPSTREAM_CODING, "other than"},
	{AT_FIELD("Transfer-Encoding: chunked, gzip"), ERROR_UPSTREAM_CODING, "not chunked"},
	{AT_FIELD("Transfer-Encoding: chunked, chunked"), MALFORMED, "more than once"},
	{AT_FIELD("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), MALFORMED, "more than once"},
	{AT_FIELD("Transfer-Encoding: chunked;x"), MALFORMED, "malformed Transfer-Encoding"},
	{AT_FIELD("Transfer-Encoding:"), MALFORMED, "malformed Transfer-Encoding"},
	{BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), MALFORMED, "HTTP/1.0"},
	{BYTES("HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n"), MALFORMED, "1xx or 204"},
	{BYTES("HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\n"), MALFORMED, "1xx or 204"},
	{BYTES("HTTP/1.1 103 E\r\nContent-Length: 5\r\n\r\n"), MALFORMED, "1xx or 204"},
	{BYTES("HTTP/1.1 100 C\r\nTransfer-Encoding: chunked\r\n\r\n"), MALFORMED, "1xx or 204"},
	{BYTES("HTTP/1.1 304 N\r\nContent-Length: x\r\n\r\n"), MALFORMED, "not a number"},
	{BYTES("HTTP/1.1 101 S\r\n\r\n"), ERROR_UPSTREAM_UPGRADE, "101"},
	{BYTES("HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n"), ERROR_UPSTREAM_UPGRADE, "101"},
	{BYTES("HTTP/1.1 101 S\r\nConnection: upgrade\r\n\r\n"), ERROR_UPSTREAM_UPGRADE, "101"},
	{BYTES("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"), ERROR_UPSTREAM_UPGRADE, "101"},
	{BYTES("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: a, b\r\n\r\n"), ERROR_UPSTREAM_UPGRADE, "101"},
	{BYTES("HTTP/1.0 101 S\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n"), ERROR_UPSTREAM_UPGRADE, "101"},
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		struct bench bench;
		bench_init(&bench);
		if (parse_response(&bench, refused[i].bytes, HTTP_METHOD_GET))
			fail_msg("accepted: %.*s", SPAN_ARG(refused[i].bytes));
		const char *text = error_text(&bench.error);
		if (bench.error.code != refused[i].code || !strstr(text, refused[i].text))
			fail_msg("%.*s\ngot %s \"%s\", want %s \"%s\"", SPAN_ARG(refused[i].bytes),
				 error_name(bench.error.code), text, error_name(refused[i].code),
				 refused[i].text);
		bench_fini(&bench);
	}
}

struct accepted {
	struct span bytes;
	enum http_method method;
	unsigned status;
	const char *reason;
	enum http_body body;
	int64_t length; /* -1: not known */
	bool keep_alive;
	const char *protocol;
};

#define GET HTTP_METHOD_GET
#define HEAD HTTP_METHOD_HEAD
#define CONNECT HTTP_METHOD_CONNECT
#define NONE HTTP_BODY_NONE
#define LENGTH HTTP_BODY_LENGTH
#define STREAMED HTTP_BODY_STREAMED
#define CLOSE HTTP_BODY_CLOSE
#define CODING "Transfer-Encoding: chunked"
#define FIVE "Content-Length: 5"

static const struct accepted accepted[] = {
	{AT_FIELD(FIVE), GET, 200, "OK", LENGTH, 5, true, ""},
	{AT_FIELD("Content-Length: 0"), GET, 200, "OK", LENGTH, 0, true, ""},
	{AT_FIELD(CODING), GET, 200, "OK", STREAMED, -1, true, ""},
	{AT_FIELD("X: y"), GET, 200, "OK", CLOSE, -1, false, ""},
	{AT_FIELD("Connection: close\r\n" FIVE), GET, 200, "OK", LENGTH, 5, false, ""},
	{BYTES("HTTP/1.0 200 OK\r\n" FIVE "\r\n\r\n"), GET, 200, "OK", LENGTH, 5, false, ""},
	{BYTES("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" FIVE "\r\n\r\n"), GET, 200, "OK", LENGTH, 5,
	 true, ""},
	{BYTES("HTTP/1.0 200 OK\r\n\r\n"), GET, 200, "OK", CLOSE, -1, false, ""},
	{BYTES("HTTP/1.2 200 OK\r\n" FIVE "\r\n\r\n"), GET, 200, "OK", LENGTH, 5, true, ""},
	{BYTES("HTTP/1.1 200 \r\n" FIVE "\r\n\r\n"), GET, 200, "", LENGTH, 5, true, ""},
	{BYTES("HTTP/1.1 200\r\n" FIVE "\r\n\r\n"), GET, 200, "", LENGTH, 5, true, ""},
	{BYTES("HTTP/1.1 299 O\xe9\tK! \r\n" FIVE "\r\n\r\n"), GET, 299, "O\xe9\tK! ", LENGTH, 5, true, ""},
	{AT_FIELD(FIVE), HEAD, 200, "OK", NONE, 5, true, ""},
	{AT_FIELD(CODING), HEAD, 200, "OK", NONE, -1, true, ""},
	{AT_FIELD("X: y"), HEAD, 200, "OK", NONE, -1, true, ""},
	{BYTES("HTTP/1.1 304 N\r\n" FIVE "\r\n\r\n"), GET, 304, "N", NONE, 5, true, ""},
	{BYTES("HTTP/1.1 304 N\r\n" CODING "\r\n\r\n"), GET, 304, "N", NONE, -1, true, ""},
	{BYTES("HTTP/1.1 304 N\r\n\r\n"), GET, 304, "N", NONE, -1, true, ""},
	{BYTES("HTTP/1.1 204 N\r\n\r\n"), GET, 204, "N", NONE, -1, true, ""},
	{BYTES("HTTP/1.1 204 N\r\nContent-Length: 0\r\n\r\n"), GET, 204, "N", NONE, -1, true, ""},
	{BYTES("HTTP/1.1 205 R\r\nContent-Length: 0\r\n\r\n"), GET, 205, "R", LENGTH, 0, true, ""},
	{BYTES("HTTP/1.1 100 C\r\n\r\n"), GET, 100, "C", NONE, -1, true, ""},
	{BYTES("HTTP/1.1 103 E\r\nLink: </a>\r\n\r\n"), GET, 103, "E", NONE, -1, true, ""},
	{AT_FIELD(FIVE), CONNECT, 200, "OK", NONE, -1, true, ""},
	{AT_FIELD(CODING), CONNECT, 200, "OK", NONE, -1, true, ""},
	{AT_FIELD(FIVE "\r\n" CODING), CONNECT, 200, "OK", NONE, -1, true, ""},
	{AT_FIELD("X: y"), CONNECT, 200, "OK", NONE, -1, true, ""},
	{BYTES("HTTP/1.1 403 F\r\n" FIVE "\r\n\r\n"), CONNECT, 403, "F", LENGTH, 5, true, ""},
	{BYTES("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), GET, 101, "S", NONE,
	 -1, true, "websocket"},
	{BYTES("HTTP/1.1 426 U\r\nConnection: upgrade\r\nUpgrade: a, b\r\n" FIVE "\r\n\r\n"), GET, 426, "U",
	 LENGTH, 5, true, "a, b"},
	{AT_FIELD("Connection: upgrade\r\nUpgrade: h2,foo\r\n" FIVE), GET, 200, "OK", LENGTH, 5, true, ""},
};

static void test_accepted(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(accepted); i++) {
		const struct accepted *want = &accepted[i];
		struct bench bench;
		bench_init(&bench);
		if (!parse_response(&bench, want->bytes, want->method))
			fail_msg("refused (%s): %.*s", error_text(&bench.error), SPAN_ARG(want->bytes));
		assert_int_equal(bench.head.status, want->status);
		assert_span(bench.head.reason, span_of(want->reason));
		if (bench.head.body != want->body || bench.framing.keep_alive != want->keep_alive)
			fail_msg("body %d, keep_alive %d: %.*s", bench.head.body, bench.framing.keep_alive,
				 SPAN_ARG(want->bytes));
		assert_int_equal(bench.head.length_known, want->length >= 0);
		if (want->length >= 0)
			assert_int_equal(bench.head.length, want->length);
		assert_span(bench.head.protocol, span_of(want->protocol));
		bench_fini(&bench);
	}
}

static void test_fields(void **state)
{
	struct bench bench;
	uint32_t index = 0;
	bench_init(&bench);
	assert_true(parse_response(
		&bench,
		SPAN(OK "SERVER: x\r\nHost: kept\r\nKeep-Alive: 5\r\nConnection: B\r\nA: 1\r\nB: 2\r\n"
			"set-cookie: c\r\nSet-Cookie: d\r\nProxy-Connection: e\r\nTE: f\r\n\r\n"),
		GET));
	static const struct {
		const char *name, *value;
		enum http_field_id id;
	} left[] = {
		{"SERVER", "x", HTTP_FIELD_SERVER},
		{"Host", "kept", HTTP_FIELD_HOST},
		{"A", "1", HTTP_FIELD_OTHER},
		{"set-cookie", "c", HTTP_FIELD_SET_COOKIE},
		{"Set-Cookie", "d", HTTP_FIELD_SET_COOKIE},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(left); i++) {
		struct http_field *field = http_fields_next(&bench.head.fields, &index);
		assert_non_null(field);
		assert_span(field->name, span_of(left[i].name));
		assert_span(field->value, span_of(left[i].value));
		assert_int_equal(field->id, left[i].id);
	}
	assert_null(http_fields_next(&bench.head.fields, &index));
	bench_fini(&bench);
}

static void test_too_large(void **state)
{
	struct bench bench;
	bench_init(&bench);
	struct span bytes = SPAN(OK "A: 1\r\nB: 2\r\n\r\n"); /* 15, 4, 4; 31 in all */
	static const struct h1_limits limits[] = {
		{14, 9, 9, 99}, {99, 3, 9, 99}, {99, 9, 1, 99}, {99, 9, 9, 30}};
	for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
		assert_false(h1_response_parse(bytes, &bench.arena, &limits[i], GET, &bench.head,
					       &bench.framing, &bench.error));
		assert_int_equal(bench.error.code, ERROR_UPSTREAM_HEAD_TOO_LARGE);
	}
	bench_fini(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
