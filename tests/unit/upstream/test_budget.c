/* What a group may spend on second tries: what requests earn, what time earns, and that no part of it is lost. */
#include "upstream/budget.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct retry_budget make(uint64_t percent, uint64_t per_second, uint64_t burst, unsigned workers)
{
	const struct retry_budget_settings settings = {
		.percent = percent, .per_second = per_second, .burst = burst};
	struct retry_budget budget;

	retry_budget_init(&budget, &settings, workers, 1000);
	return budget;
}

static unsigned spend_all(struct retry_budget *budget, uint64_t now)
{
	unsigned count = 0;

	while (count < 1000000 && retry_budget_spend(budget, now))
		count++;
	return count;
}

static void test_begins_with_a_burst(void **state)
{
	struct retry_budget budget = make(0, 0, 7, 1);

	assert_int_equal(spend_all(&budget, 1000), 7);
	assert_int_equal(spend_all(&budget, 100000), 0);
}

static void test_requests_earn_a_part(void **state)
{
	struct retry_budget budget = make(20, 0, 10, 1);

	spend_all(&budget, 1000);
	for (unsigned i = 0; i < 4; i++)
		retry_budget_earn(&budget);
	assert_int_equal(spend_all(&budget, 1000), 0);
	retry_budget_earn(&budget);
	assert_int_equal(spend_all(&budget, 1000), 1);
	for (unsigned i = 0; i < 1000; i++)
		retry_budget_earn(&budget);
	assert_int_equal(spend_all(&budget, 1000), 10); /* no more than a burst is saved */
}

/* Whoever asks every millisecond gets as much as who asks once. */
static void test_time_loses_nothing(void **state)
{
	struct retry_budget often = make(0, 7, 100, 3), once = make(0, 7, 100, 3);
	unsigned count = 0;

	spend_all(&often, 1000);
	spend_all(&once, 1000);
	for (unsigned ms = 1; ms <= 12000; ms++)
		count += spend_all(&often, 1000 + ms);
	assert_in_range(count, 27, 28); /* 7 a second, a third of them, 12 seconds */
	assert_in_range(spend_all(&once, 13000), 27, 28);
}

static void test_a_long_pause_overflows_nothing(void **state)
{
	struct retry_budget budget = make(100, 1000000, 1000000, 1);

	spend_all(&budget, 1000);
	assert_int_equal(spend_all(&budget, UINT64_MAX / 2), 1000000);
}

/* The burst is divided among workers, but one that may save up less than a try could never have any. */
static void test_each_worker_may_save_one(void **state)
{
	struct retry_budget budget = make(0, 10, 1, 16);

	assert_int_equal(spend_all(&budget, 1000), 1);
	assert_int_equal(spend_all(&budget, 1000 + 1599), 0);
	assert_int_equal(spend_all(&budget, 1000 + 1600), 1);
	budget = make(0, 10, 100, 4);
	assert_int_equal(spend_all(&budget, 1000), 25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins_with_a_burst),
		cmocka_unit_test(test_requests_earn_a_part),
		cmocka_unit_test(test_time_loses_nothing),
		cmocka_unit_test(test_a_long_pause_overflows_nothing),
		cmocka_unit_test(test_each_worker_may_save_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
