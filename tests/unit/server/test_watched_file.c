/*
 * When a file that is looked at is read again.
 */
#include "server/watched_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { OLD = 11, NEW = 13, NEWER = 15, NODE = 1, OTHER = 2 };

static struct watched_file loaded(void)
{
	struct watched_file file;

	watched_file_init(&file, OLD, OLD, NODE);
	return file;
}

static void test_same(void **state)
{
	struct watched_file file = loaded();

	assert_int_equal(watched_file_look(&file, OLD, NODE), WATCHED_SAME);
}

/* Half of a file is not taken for all: it has to stay as it is from one look to the next. */
static void test_written_in_place(void **state)
{
	struct watched_file file = loaded();

	assert_int_equal(watched_file_look(&file, NEW, NODE), WATCHED_SAME);
	assert_int_equal(watched_file_look(&file, NEWER, NODE), WATCHED_SAME);
	assert_int_equal(watched_file_look(&file, NEWER, NODE), WATCHED_CHANGED);
	watched_file_done(&file, NEWER, NODE, NEWER, WATCHED_TAKEN);
	assert_int_equal(watched_file_look(&file, NEWER, NODE), WATCHED_SAME);
}

static void test_put_in_its_place(void **state)
{
	struct watched_file file = loaded();

	assert_int_equal(watched_file_look(&file, NEW, OTHER), WATCHED_CHANGED);
	watched_file_done(&file, NEW, OTHER, NEW, WATCHED_TAKEN);
	assert_int_equal(watched_file_look(&file, NEW, OTHER), WATCHED_SAME);
	assert_int_equal(watched_file_look(&file, NEWER, OTHER), WATCHED_SAME);
	assert_int_equal(watched_file_look(&file, NEWER, OTHER), WATCHED_CHANGED);
}

static void test_changed_while_it_was_read(void **state)
{
	struct watched_file file = loaded();

	assert_int_equal(watched_file_look(&file, NEW, OTHER), WATCHED_CHANGED);
	watched_file_done(&file, NEW, OTHER, NEWER, WATCHED_TAKEN);
	assert_int_equal(watched_file_look(&file, NEWER, OTHER), WATCHED_CHANGED);
}

static void test_of_no_use(void **state)
{
	struct watched_file file = loaded();

	assert_int_equal(watched_file_look(&file, NEW, OTHER), WATCHED_CHANGED);
	watched_file_done(&file, NEW, OTHER, NEW, WATCHED_MISTAKEN);
	assert_int_equal(watched_file_look(&file, NEW, OTHER), WATCHED_SAME);
	/* Without memory it is tried again. */
	assert_int_equal(watched_file_look(&file, NEWER, NODE), WATCHED_CHANGED);
	watched_file_done(&file, NEWER, NODE, NEWER, WATCHED_NO_MEMORY);
	assert_int_equal(watched_file_look(&file, NEWER, NODE), WATCHED_CHANGED);
}

static void test_gone(void **state)
{
	struct watched_file file = loaded();

	assert_int_equal(watched_file_look(&file, 0, 0), WATCHED_SAME); /* it may be on its way */
	assert_int_equal(watched_file_look(&file, 0, 0), WATCHED_GONE);
	assert_int_equal(watched_file_look(&file, 0, 0), WATCHED_SAME);
	assert_int_equal(watched_file_look(&file, OLD, NODE), WATCHED_SAME);
	assert_int_equal(watched_file_look(&file, 0, 0), WATCHED_SAME);
	assert_int_equal(watched_file_look(&file, 0, 0), WATCHED_GONE);
	assert_int_equal(watched_file_look(&file, NEW, OTHER), WATCHED_CHANGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_written_in_place),
		cmocka_unit_test(test_put_in_its_place),
		cmocka_unit_test(test_changed_while_it_was_read),
		cmocka_unit_test(test_of_no_use),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
