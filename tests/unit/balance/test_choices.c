/*
 * The power of two choices and peak EWMA: which of two is picked.
 */
#include "fixture.h"

enum { SECOND_US = 1000000 };

/* Picks at a given time; how many of 1,000 went to the first entry. */
static unsigned first_of_1000(struct fixture *fixture, uint64_t now_us)
{
	unsigned count = 0;

	for (int i = 0; i < 1000; i++) {
		int index = balance_pick(&fixture->balance, &(struct balance_query){.now_us = now_us});
		assert_in_range(index, 0, fixture->options.count - 1);
		count += index == 0;
	}
	return count;
}

static void test_p2c_takes_the_less_loaded(void **state)
{
	struct fixture fixture;

	fixture_start(&fixture, "p2c", (unsigned[]){1}, 1, 2);
	set_in_flight(&fixture, 0, 1);
	assert_int_equal(first_of_1000(&fixture, 0), 0);
	set_in_flight(&fixture, 1, 2);
	assert_int_equal(first_of_1000(&fixture, 0), 1000);
	set_in_flight(&fixture, 0, 2);
	assert_in_range(first_of_1000(&fixture, 0), 450, 550);
	fixture_end(&fixture);

	/* For its weight: 5 of 3 is less than 2 of 1. */
	fixture_start(&fixture, "p2c", (unsigned[]){3, 1}, 2, 2);
	set_in_flight(&fixture, 0, 5);
	set_in_flight(&fixture, 1, 2);
	assert_int_equal(first_of_1000(&fixture, 0), 1000);
	set_in_flight(&fixture, 0, 7);
	assert_int_equal(first_of_1000(&fixture, 0), 0);
	set_in_flight(&fixture, 0, 6);
	assert_in_range(first_of_1000(&fixture, 0), 700, 800);
	fixture_end(&fixture);

	/* The most loaded of many is never picked, the least loaded twice as often as it is drawn. */
	fixture_start(&fixture, "p2c", (unsigned[]){1}, 1, 10);
	for (unsigned i = 0; i < 10; i++)
		set_in_flight(&fixture, i, i);
	pick_many(&fixture, 10000);
	assert_int_equal(fixture.picked[9], 0);
	assert_in_range(fixture.picked[0], 1850, 2150);
	fixture_end(&fixture);
}

static void start_pair(struct fixture *fixture, uint64_t first_us, uint64_t second_us)
{
	fixture_start(fixture, "ewma", (unsigned[]){3, 1}, 2, 2);
	balance_on_latency(&fixture->balance, 0, first_us, SECOND_US);
	balance_on_latency(&fixture->balance, 1, second_us, SECOND_US);
}

static void test_ewma_takes_the_faster(void **state)
{
	struct fixture fixture;

	start_pair(&fixture, 5000, 1000);
	assert_int_equal(first_of_1000(&fixture, SECOND_US), 0);
	/* Until the faster one has so many under way that the slower one promises more. */
	set_in_flight(&fixture, 1, 20);
	assert_int_equal(first_of_1000(&fixture, SECOND_US), 1000);
	fixture_end(&fixture);

	/* Nearly as fast: the weights decide, and the load for the weight. */
	start_pair(&fixture, 1200, 1000);
	assert_in_range(first_of_1000(&fixture, SECOND_US), 700, 800);
	set_in_flight(&fixture, 0, 2);
	set_in_flight(&fixture, 1, 1);
	assert_int_equal(first_of_1000(&fixture, SECOND_US), 1000);
	fixture_end(&fixture);
}

/* One slow answer counts at once, and it takes time to be forgotten. */
static void test_ewma_peaks_and_decays(void **state)
{
	struct fixture fixture;

	start_pair(&fixture, 1000, 1000);
	balance_on_latency(&fixture.balance, 0, 50000, SECOND_US);
	assert_int_equal(fixture.entries[0].latency_us, 50000);
	assert_int_equal(first_of_1000(&fixture, SECOND_US), 0);
	/* Good answers each millisecond, for ten seconds: 1 ms and 1/e of what was above. */
	for (uint64_t ms = 1; ms <= 10000; ms++) {
		balance_on_latency(&fixture.balance, 0, 1000, SECOND_US + ms * 1000);
		balance_on_latency(&fixture.balance, 1, 1000, SECOND_US + ms * 1000);
	}
	assert_in_range(fixture.entries[0].latency_us, 1000 + 49000 * 36 / 100, 1000 + 49000 * 38 / 100);
	assert_int_equal(fixture.entries[1].latency_us, 1000);
	for (uint64_t ms = 10001; ms <= 60000; ms++) {
		balance_on_latency(&fixture.balance, 0, 1000, SECOND_US + ms * 1000);
		balance_on_latency(&fixture.balance, 1, 1000, SECOND_US + ms * 1000);
	}
	assert_in_range(first_of_1000(&fixture, UINT64_C(61) * SECOND_US), 700, 800);
	fixture_end(&fixture);

	/* Nor is a slow one that gets no requests forgotten for ever: its average fades by itself. */
	start_pair(&fixture, 10000, 1000);
	for (uint64_t second = 2; second <= 60; second++)
		balance_on_latency(&fixture.balance, 1, 1000, second * SECOND_US);
	assert_int_not_equal(first_of_1000(&fixture, UINT64_C(60) * SECOND_US), 0);
	fixture_end(&fixture);
}

/* Many answers in a short time fade as one does; microseconds are not lost to rounding. */
static void test_ewma_does_not_depend_on_the_rate(void **state)
{
	struct fixture fixture;

	start_pair(&fixture, 1000, 1000);
	for (uint64_t us = 10; us <= 1000000; us += 10)
		balance_on_latency(&fixture.balance, 0, 900, SECOND_US + us);
	/* 900 + 100 * e^-0.1 */
	assert_in_range(fixture.entries[0].latency_us, 989, 991);
	balance_on_latency(&fixture.balance, 0, 0, SECOND_US + 1000000); /* a clock that stands still */
	balance_on_latency(&fixture.balance, 0, 1, 0);                   /* or goes back */
	assert_in_range(fixture.entries[0].latency_us, 989, 991);
	fixture_end(&fixture);
}

/* A newcomer is asked at once, but not flooded before it has answered; nobody waits for it either. */
static void test_ewma_newcomer(void **state)
{
	struct fixture fixture;

	fixture_start(&fixture, "ewma", (unsigned[]){1}, 1, 2);
	balance_on_latency(&fixture.balance, 1, 1000, SECOND_US);
	assert_int_equal(first_of_1000(&fixture, SECOND_US), 1000);
	/* What it has in flight counts double. */
	set_in_flight(&fixture, 1, 3);
	set_in_flight(&fixture, 0, 1);
	assert_int_equal(first_of_1000(&fixture, SECOND_US), 1000);
	set_in_flight(&fixture, 0, 2);
	assert_int_equal(first_of_1000(&fixture, SECOND_US), 0);
	/* Its answer makes it one like any other. */
	balance_on_latency(&fixture.balance, 0, 1100, SECOND_US);
	assert_int_equal(first_of_1000(&fixture, SECOND_US), 1000);
	fixture_end(&fixture);

	/* All are new: by load. */
	fixture_start(&fixture, "ewma", (unsigned[]){1}, 1, 2);
	set_in_flight(&fixture, 0, 2);
	set_in_flight(&fixture, 1, 3);
	assert_int_equal(first_of_1000(&fixture, SECOND_US), 1000);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_p2c_takes_the_less_loaded),
		cmocka_unit_test(test_ewma_takes_the_faster),
		cmocka_unit_test(test_ewma_peaks_and_decays),
		cmocka_unit_test(test_ewma_does_not_depend_on_the_rate),
		cmocka_unit_test(test_ewma_newcomer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
