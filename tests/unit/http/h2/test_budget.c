/*
 * The budget of a connection: what each kind of abuse costs, and what gives points back. And the Priority field.
 */
#include "http/h2/budget.h"

#include "http/h2/priority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* How often this may be done at once. */
static unsigned times_of(enum h2_abuse kind)
{
	struct h2_budget budget;
	unsigned times = 0;

	h2_budget_init(&budget, 7000);
	while (times < 2000 && h2_budget_spend(&budget, kind, 7000))
		times++;
	return times;
}

static void test_kinds(void **state)
{
	static const unsigned most[H2_ABUSE_KINDS] = {
		[H2_ABUSE_RESET] = 100,       [H2_ABUSE_FAULT] = 100,     [H2_ABUSE_REFUSED] = 200,
		[H2_ABUSE_CONTINUATION] = 50, [H2_ABUSE_SETTINGS] = 100,  [H2_ABUSE_PING] = 500,
		[H2_ABUSE_EMPTY] = 200,       [H2_ABUSE_PRIORITY] = 1000, [H2_ABUSE_WINDOW] = 1000,
		[H2_ABUSE_UNKNOWN] = 1000,    [H2_ABUSE_LATE] = 1000,     [H2_ABUSE_HEAD] = 0,
	};

	for (unsigned kind = 0; kind < H2_ABUSE_KINDS; kind++) {
		assert_int_equal(times_of((enum h2_abuse)kind), most[kind]);
		assert_non_null(h2_abuse_name((enum h2_abuse)kind));
	}
}

static void empty(struct h2_budget *budget, uint64_t now)
{
	h2_budget_init(budget, now);
	while (h2_budget_spend(budget, H2_ABUSE_UNKNOWN, now))
		;
	assert_int_equal(budget->points, 0);
}

/* A hundred points a second, however finely time is cut, and never more than at first. */
static void test_time(void **state)
{
	struct h2_budget budget;
	unsigned times = 0;

	empty(&budget, 1000);
	for (uint64_t now = 1001; now <= 2000; now++)
		times += h2_budget_spend(&budget, H2_ABUSE_UNKNOWN, now);
	assert_int_equal(times, H2_BUDGET_A_SECOND);
	assert_true(h2_budget_spend(&budget, H2_ABUSE_UNKNOWN, UINT64_C(1) << 60));
	assert_int_equal(budget.points, H2_BUDGET_POINTS - 1);
}

static void test_content(void **state)
{
	struct h2_budget budget;

	empty(&budget, 1000);
	for (unsigned i = 0; i < 10; i++)
		h2_budget_earn(&budget, H2_BUDGET_BYTES / 2);
	assert_int_equal(budget.points, 5);
	h2_budget_earn(&budget, SIZE_MAX);
	assert_int_equal(budget.points, H2_BUDGET_POINTS);
}

/* A frame of content pays for a PING or a WINDOW_UPDATE, and for nothing else, and for each once. */
static void test_frames_of_content(void **state)
{
	struct h2_budget budget;

	empty(&budget, 1000);
	h2_budget_earn_frame(&budget);
	assert_int_equal(budget.points, 0);

	h2_budget_init(&budget, 1000);
	for (unsigned i = 0; i < 10000; i++) {
		assert_true(h2_budget_spend(&budget, H2_ABUSE_PING, 1000));
		h2_budget_earn_frame(&budget);
	}
	assert_int_equal(budget.points, H2_BUDGET_POINTS);

	assert_true(h2_budget_spend(&budget, H2_ABUSE_PING, 1000));
	assert_true(h2_budget_spend(&budget, H2_ABUSE_RESET, 1000));
	assert_true(h2_budget_spend(&budget, H2_ABUSE_WINDOW, 1000));
	for (unsigned i = 0; i < 100; i++)
		h2_budget_earn_frame(&budget);
	assert_int_equal(budget.points, H2_BUDGET_POINTS - 10);
}

/* What time has given back, a frame of content does not give back again. */
static void test_given_back_once(void **state)
{
	struct h2_budget budget;

	h2_budget_init(&budget, 1000);
	for (unsigned i = 0; i < 100; i++)
		assert_true(h2_budget_spend(&budget, H2_ABUSE_PING, 1000));
	for (unsigned i = 0; i < 50; i++)
		assert_true(h2_budget_spend(&budget, H2_ABUSE_RESET, 60000));
	for (unsigned i = 0; i < 100; i++)
		h2_budget_earn_frame(&budget);
	assert_int_equal(budget.points, H2_BUDGET_POINTS - 500);
}

/* ---- priorities ---- */

static void assert_priority(const char *text, bool good, unsigned urgency, int incremental)
{
	nghttp2_extpri priority = {.urgency = 3, .inc = 0};

	if (h2_priority_parse(span_of(text), &priority) != good || priority.urgency != urgency ||
	    priority.inc != incremental)
		fail_msg("\"%s\": %u %d", text, priority.urgency, priority.inc);
}

static void test_priorities(void **state)
{
	assert_priority("", true, 3, 0);
	assert_priority("u=0", true, 0, 0);
	assert_priority("u=7, i", true, 7, 1);
	assert_priority(" i ,u=1 ", true, 1, 1);
	assert_priority("i=?1", true, 3, 1);
	assert_priority("i, i=?0", true, 3, 0);
	assert_priority("i;x=1, u=2;y", true, 2, 1);
	assert_priority("u=1, u=2", true, 2, 0);
	assert_priority("x-new=5, *a.b_c-d, u=4", true, 4, 0);
	/* out of range, or of another type: as if it were not there */
	assert_priority("u=8, i=1", true, 3, 0);
	assert_priority("u=-1", true, 3, 0);
	assert_priority("u=10", true, 3, 0);
	assert_priority("u, i=?2", true, 3, 0);
	/* not a dictionary: nothing of it counts */
	assert_priority("u=1, U=2", false, 3, 0);
	assert_priority("u=1,, i", false, 3, 0);
	assert_priority("u=1, =2", false, 3, 0);
	assert_priority("u=", false, 3, 0);
	assert_priority("1u=1", false, 3, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),           cmocka_unit_test(test_time),
		cmocka_unit_test(test_content),         cmocka_unit_test(test_frames_of_content),
		cmocka_unit_test(test_given_back_once), cmocka_unit_test(test_priorities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
