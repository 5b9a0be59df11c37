/*
 * Spans and the error table.
 */
#include "core/error.h"
#include "core/span.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_compare(void **state)
{
	assert_true(span_equal(SPAN("abc"), span_of("abc")));
	assert_true(span_equal((struct span){0}, span_of(NULL)));
	assert_false(span_equal(SPAN("abc"), SPAN("abd")));
	assert_true(span_equal_nocase(SPAN("Host"), SPAN("hOST")));
	assert_false(span_equal_nocase(SPAN("Host"), SPAN("Hosts")));
	/* '@' and '`' differ by the case bit alone, and are no letters */
	assert_false(span_equal_nocase(SPAN("@"), SPAN("`")));
	assert_true(span_starts_with(SPAN("/api/x"), SPAN("/api/")));
	assert_false(span_starts_with(SPAN("/a"), SPAN("/api/")));
	assert_true(span_ends_with(SPAN("a.example"), SPAN(".example")));
	assert_false(span_ends_with(SPAN("e"), SPAN(".example")));
}

static void test_find(void **state)
{
	assert_int_equal(span_find(SPAN("a:b:c"), ':'), 1);
	assert_int_equal(span_find(SPAN("abc"), ':'), -1);
	assert_int_equal(span_find((struct span){0}, ':'), -1);
	assert_int_equal(span_search(SPAN("abcabd"), SPAN("abd")), 3);
	assert_int_equal(span_search(SPAN("ab"), SPAN("abd")), -1);
	assert_int_equal(span_search((struct span){0}, SPAN("")), 0);
}

static void test_trim_and_cut(void **state)
{
	struct span before, after;
	assert_true(span_equal(span_trim(SPAN(" \t a b\t ")), SPAN("a b")));
	assert_int_equal(span_trim(SPAN(" \t ")).len, 0);
	assert_true(span_cut(SPAN("key=a=b"), '=', &before, &after));
	assert_true(span_equal(before, SPAN("key")));
	assert_true(span_equal(after, SPAN("a=b")));
	assert_true(span_cut(SPAN("key="), '=', &before, &after));
	assert_int_equal(after.len, 0);
	assert_false(span_cut(SPAN("key"), '=', &before, &after));
	assert_true(span_equal(before, SPAN("key")));
	assert_int_equal(after.len, 0);
}

static void test_numbers(void **state)
{
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616", "99999999999999999999"};
	uint64_t value = 7;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		assert_false(span_to_u64(span_of(bad[i]), &value));
	assert_int_equal(value, 7);
	assert_true(span_to_u64(SPAN("18446744073709551615"), &value));
	assert_true(value == UINT64_MAX);
	assert_true(span_to_u64(SPAN("007"), &value));
	assert_int_equal(value, 7);
}

static void test_hash(void **state)
{
	assert_true(span_hash(SPAN("a"), 0) != span_hash(SPAN("b"), 0));
	assert_true(span_hash(SPAN("a"), 0) != span_hash(SPAN("a"), 1));
	assert_true(span_hash(SPAN("A"), 0) != span_hash(SPAN("a"), 0));
	assert_true(span_hash_nocase(SPAN("Host"), 3) == span_hash_nocase(SPAN("hOsT"), 3));
}

/* Every name is its code in lower case: what stands in a log can be found in the source. */
static void test_error_names(void **state)
{
	static const char *const codes[] = {
#define ROW(code, name, source, status, proxy_status, text) #code,
		ERROR_TABLE(ROW)
#undef ROW
	};
	for (unsigned i = 0; i < ERROR_CODES; i++) {
		const char *name = error_name((enum error_code)i);
		assert_true(span_equal_nocase(span_of(name), span_of(codes[i])));
		for (const char *at = name; *at; at++)
			assert_false(*at >= 'A' && *at <= 'Z');
	}
}

static void test_error_values(void **state)
{
	struct error error = error_make(ERROR_CONNECT_REFUSED, NULL);
	assert_true(error_is(&error));
	assert_int_equal(error_status(&error), 502);
	assert_string_equal(error_proxy_status(&error), "connection_refused");
	assert_string_equal(error_text(&error), "the server refused the connection");
	assert_string_equal(error_source_name(error_source(&error)), "server");
	error = error_make(ERROR_MALFORMED_REQUEST, "bare LF");
	assert_string_equal(error_text(&error), "bare LF");
	error = error_system(ERROR_SYSTEM, 5);
	assert_int_equal(error.system, 5);
	error = ERROR_OK;
	assert_false(error_is(&error));
	assert_int_equal(error_status(&error), 0);
	assert_null(error_proxy_status(&error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),      cmocka_unit_test(test_find),
		cmocka_unit_test(test_trim_and_cut), cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_hash),         cmocka_unit_test(test_error_names),
		cmocka_unit_test(test_error_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
