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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_date_cache),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
