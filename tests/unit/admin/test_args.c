/*
 * Paths and queries of the operator's interface.
 */
#include "admin/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct memory memory;
static struct arena arena;

static int start(void **state)
{
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	return 0;
}

static int end(void **state)
{
	arena_fini(&arena);
	return atomic_load(&memory.used) != 0;
}

static void assert_span(struct span is, const char *wanted)
{
	assert_int_equal(is.len, strlen(wanted));
	assert_memory_equal(is.at, wanted, is.len);
}

static void test_decode(void **state)
{
	struct span out;

	assert_true(args_decode(SPAN("a%2Fb+c%20d%C3%a9"), false, &arena, &out));
	assert_span(out, "a/b+c d\xc3\xa9");
	assert_true(args_decode(SPAN("a+b%2B"), true, &arena, &out));
	assert_span(out, "a b+");
	assert_true(args_decode(SPAN(""), true, &arena, &out));
	assert_int_equal(out.len, 0);
	assert_false(args_decode(SPAN("%"), false, &arena, &out));
	assert_false(args_decode(SPAN("a%2"), false, &arena, &out));
	assert_false(args_decode(SPAN("%2g"), false, &arena, &out));
	assert_false(args_decode(SPAN("%g2"), false, &arena, &out));
	assert_false(args_decode(SPAN("a%00"), false, &arena, &out));
}

static void test_match(void **state)
{
	struct span found[ARGS_SEGMENTS];

	assert_true(args_match("/", SPAN("/"), &arena, found));
	assert_true(args_match("/a", SPAN("/a"), &arena, found));
	assert_false(args_match("/a", SPAN("/a/"), &arena, found));
	assert_false(args_match("/a", SPAN("/"), &arena, found));
	assert_false(args_match("/a", SPAN("/b"), &arena, found));
	assert_false(args_match("/a", SPAN("/a/b"), &arena, found));
	assert_false(args_match("/a/b", SPAN("/a"), &arena, found));
	assert_false(args_match("/a", SPAN("//a"), &arena, found));
	assert_false(args_match("/a", SPAN(""), &arena, found));
	assert_true(args_match("/a/{*}/b/{*}", SPAN("/a/x%2Fy/b/z"), &arena, found));
	assert_span(found[0], "x/y");
	assert_span(found[1], "z");
	assert_false(args_match("/a/{*}", SPAN("/a/"), &arena, found));
	assert_false(args_match("/a/{*}", SPAN("/a/%zz"), &arena, found));
	assert_false(args_match("/{*}/{*}/{*}/{*}/{*}/{*}/{*}", SPAN("/1/2/3/4/5/6/7"), &arena, found));
}

static void test_query(void **state)
{
	struct span query = SPAN("&a=1&&b&c=%3D+x&=d&"), name, value;
	static const char *const wanted[][2] = {{"a", "1"}, {"b", ""}, {"c", "= x"}, {"", "d"}};
	bool wrong;

	for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
		assert_true(args_next(&query, &arena, &name, &value, &wrong));
		assert_span(name, wanted[i][0]);
		assert_span(value, wanted[i][1]);
	}
	assert_false(args_next(&query, &arena, &name, &value, &wrong));
	assert_false(wrong);
	query = SPAN("a=%&b=1");
	assert_false(args_next(&query, &arena, &name, &value, &wrong));
	assert_true(wrong);
}

/* Whatever fails, it says so. */
static void test_memory(void **state)
{
	struct span query = SPAN("a=1"), found[ARGS_SEGMENTS], name, value;
	uint8_t lent[8];
	struct arena poor;
	bool wrong;

	arena_init(&poor, &memory, NULL, lent, sizeof(lent));
	memory_fail_every(&memory, 1);
	while (arena_alloc(&poor, 8))
		continue;
	assert_false(args_decode(SPAN("abcdefghijklmnop"), false, &poor, &name));
	assert_false(args_match("/{*}", SPAN("/a"), &poor, found));
	assert_false(args_next(&query, &poor, &name, &value, &wrong));
	assert_true(wrong);
	memory_fail_every(&memory, 0);
	arena_fini(&poor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_decode, start, end),
		cmocka_unit_test_setup_teardown(test_match, start, end),
		cmocka_unit_test_setup_teardown(test_query, start, end),
		cmocka_unit_test_setup_teardown(test_memory, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
