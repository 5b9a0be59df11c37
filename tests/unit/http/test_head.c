/*
 * Methods, statuses and dates.
 */
#include "http/http_support.h"

#include "http/date.h"
#include "http/head.h"

#include <time.h>

static void test_methods(void **state)
{
	static const struct {
		const char *name;
		enum http_method method;
		bool safe, idempotent;
	} cases[] = {
		{"GET", HTTP_METHOD_GET, true, true},         {"HEAD", HTTP_METHOD_HEAD, true, true},
		{"POST", HTTP_METHOD_POST, false, false},     {"PUT", HTTP_METHOD_PUT, false, true},
		{"DELETE", HTTP_METHOD_DELETE, false, true},  {"CONNECT", HTTP_METHOD_CONNECT, false, false},
		{"OPTIONS", HTTP_METHOD_OPTIONS, true, true}, {"TRACE", HTTP_METHOD_TRACE, true, true},
		{"PATCH", HTTP_METHOD_PATCH, false, false},   {"get", HTTP_METHOD_OTHER, false, false},
		{"GETS", HTTP_METHOD_OTHER, false, false},    {"", HTTP_METHOD_OTHER, false, false},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		enum http_method method = http_method_identify(span_of(cases[i].name));
		assert_int_equal(method, cases[i].method);
		assert_int_equal(http_method_is_safe(method), cases[i].safe);
		assert_int_equal(http_method_is_idempotent(method), cases[i].idempotent);
	}
}

static void test_reasons(void **state)
{
	assert_string_equal(http_status_reason(100), "Continue");
	assert_string_equal(http_status_reason(200), "OK");
	assert_string_equal(http_status_reason(308), "Permanent Redirect");
	assert_string_equal(http_status_reason(404), "Not Found");
	assert_string_equal(http_status_reason(431), "Request Header Fields Too Large");
	assert_string_equal(http_status_reason(502), "Bad Gateway");
	assert_string_equal(http_status_reason(511), "Network Authentication Required");
	for (unsigned status = 0; status < 1200; status++)
		assert_non_null(http_status_reason(status));
	assert_string_equal(http_status_reason(306), "");
	assert_string_equal(http_status_reason(0), "");
	assert_string_equal(http_status_reason(99), "");
	assert_string_equal(http_status_reason(599), "");
	assert_string_equal(http_status_reason(700), "");
}

static void check_date(int64_t seconds, const char *want)
{
	char text[HTTP_DATE_LENGTH];
	http_date_format(seconds, text);
	assert_span(span_make(text, sizeof(text)), span_of(want));
}

static void test_dates(void **state)
{
	check_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
	check_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
	check_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
	check_date(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT");
	check_date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
	check_date(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
	check_date(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
	check_date(-1, "Thu, 01 Jan 1970 00:00:00 GMT");
	for (int64_t day = 0; day < 150000; day += 1) { /* beside the C library, into the year 2380 */
		time_t seconds = day * 86400 + day % 86400;
		struct tm parts;
		char want[64];
		gmtime_r(&seconds, &parts);
		strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &parts);
		check_date(seconds, want);
	}
}

static void test_date_cache(void **state)
{
	struct http_date cache = {0};
	assert_span(http_date_now(&cache, 0), SPAN("Thu, 01 Jan 1970 00:00:00 GMT"));
	assert_span(http_date_now(&cache, 784111777999), SPAN("Sun, 06 Nov 1994 08:49:37 GMT"));
	assert_span(http_date_now(&cache, 784111777000), SPAN("Sun, 06 Nov 1994 08:49:37 GMT"));
	assert_span(http_date_now(&cache, 784111778000), SPAN("Sun, 06 Nov 1994 08:49:38 GMT"));
}

/* A request whose texts all lie in `text`. */
static void head_of(struct http_head *head, char *text, struct arena *arena)
{
	static const char all[] = "GETexample:81/path?qhttpX-Awebsocketgone";

	memcpy(text, all, sizeof(all));
	const uint8_t *at = (const uint8_t *)text;
	*head = (struct http_head){
		.method = HTTP_METHOD_GET,
		.version = HTTP_VERSION_2,
		.te_trailers = true,
		.method_text = span_make(at, 3),
		.authority = span_make(at + 3, 10),
		.host = {.host = span_make(at + 3, 7), .port = 81},
		.path = span_make(at + 13, 7),
		.scheme = span_make(at + 20, 4),
		.protocol = span_make(at + 27, 9),
	};
	http_fields_init(&head->fields, arena);
	assert_true(http_fields_add(&head->fields, HTTP_FIELD_OTHER, span_make(at + 36, 4), span_make(at, 3)));
	assert_true(http_fields_add(&head->fields, HTTP_FIELD_OTHER, span_make(at + 24, 3), span_make(at, 3)));
	assert_true(http_fields_add_known(&head->fields, HTTP_FIELD_VIA, span_make(at, 0)));
	http_fields_drop_name(&head->fields, SPAN("gone"));
}

/* The copy stands alone: what it was made of may go. */
static void test_copy(void **state)
{
	struct bench from, to;
	struct http_head head, copy;
	char text[64];

	bench_init(&from);
	bench_init(&to);
	head_of(&head, text, &from.arena);
	assert_true(http_head_copy(&copy, &head, &to.arena));
	memset(text, '?', sizeof(text));
	bench_fini(&from);
	assert_int_equal(copy.method, HTTP_METHOD_GET);
	assert_int_equal(copy.version, HTTP_VERSION_2);
	assert_true(copy.te_trailers);
	assert_span(copy.method_text, SPAN("GET"));
	assert_span(copy.authority, SPAN("example:81"));
	assert_span(copy.host.host, SPAN("example"));
	assert_int_equal(copy.host.port, 81);
	assert_span(copy.path, SPAN("/path?q"));
	assert_span(copy.scheme, SPAN("http"));
	assert_span(copy.protocol, SPAN("websocket"));
	assert_int_equal(copy.fields.count, 2);
	assert_span(copy.fields.items[0].name, SPAN("X-A"));
	assert_span(copy.fields.items[0].value, SPAN("GET"));
	assert_int_equal(copy.fields.items[1].id, HTTP_FIELD_VIA);
	assert_int_equal(copy.fields.items[1].value.len, 0);
	assert_true(http_fields_add_known(&copy.fields, HTTP_FIELD_TE, SPAN("x"))); /* grows from its own arena */
	bench_fini(&to);
}

static void test_copy_without_memory(void **state)
{
	struct bench from, to;
	struct http_head head, copy;
	char text[64];

	bench_init(&from);
	bench_init(&to);
	head_of(&head, text, &from.arena);
	memory_fail_every(&to.memory, 1);
	assert_false(http_head_copy(&copy, &head, &to.arena));
	bench_fini(&from);
	bench_fini(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods), cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_dates),   cmocka_unit_test(test_date_cache),
		cmocka_unit_test(test_copy),    cmocka_unit_test(test_copy_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
