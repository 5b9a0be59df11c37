/*
 * Sets of statuses: numbers, classes, ranges, and what is none of them.
 */
#include "http/status_set.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static unsigned count(const struct status_set *set)
{
	unsigned number = 0;

	for (unsigned status = 0; status < 2000; status++)
		number += status_set_has(set, status);
	return number;
}

static void test_what_is_in_it(void **state)
{
	static const struct {
		const char *text;
		unsigned first, last;
	} cases[] = {
		{"200", 200, 200}, {"599", 599, 599},     {"5xx", 500, 599},     {"2XX", 200, 299},
		{"4xX", 400, 499}, {"500-504", 500, 504}, {"200-599", 200, 599}, {"503-503", 503, 503},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct status_set set = {0};
		assert_true(status_set_add(&set, span_of(cases[i].text)));
		assert_int_equal(count(&set), cases[i].last - cases[i].first + 1);
		for (unsigned status = cases[i].first; status <= cases[i].last; status++)
			assert_true(status_set_has(&set, status));
		assert_null(status_set_check(cases[i].text, strlen(cases[i].text)));
	}
}

static void test_sets_add_up(void **state)
{
	struct setting_string items[] = {
		{.text = "502", .len = 3}, {.text = "4xx", .len = 3}, {.text = "503-504", .len = 7}};
	struct setting_strings texts = {.items = items, .count = ARRAY_LENGTH(items)};
	struct status_set set = {0};

	status_set_from(&set, &texts);
	assert_int_equal(count(&set), 103);
	assert_true(status_set_has(&set, 404) && status_set_has(&set, 502) && status_set_has(&set, 504));
	assert_false(status_set_has(&set, 500) || status_set_has(&set, 399) || status_set_has(&set, 505));
	assert_false(status_set_has(&set, 0) || status_set_has(&set, 1024) || status_set_has(&set, 65535));
}

static void test_mistakes(void **state)
{
	static const char *const texts[] = {
		"",    "20",   "2000", "199",     "600",       "100",  "1xx", "6xx",     "xx5",
		"5x",  "5xxx", "50x",  "504-500", "500-",      "-504", "-",   "5xx-6xx", "500-504-505",
		"abc", "+50",  " 200", "200 ",    "500 - 504", "0200", "2e2",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct status_set set = {0};
		if (status_set_add(&set, span_of(texts[i])) || count(&set) > 0)
			fail_msg("\"%s\"", texts[i]);
		assert_non_null(status_set_check(texts[i], strlen(texts[i])));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_in_it),
		cmocka_unit_test(test_sets_add_up),
		cmocka_unit_test(test_mistakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
