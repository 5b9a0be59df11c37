/*
 * Round robin: exact shares, spread evenly; what is not available or tried already takes nothing.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include "balance/round_robin.h"

#include <string.h>

enum { MAX = 64 };

struct fixture {
	struct balance balance;
	struct balance_entry entries[MAX];
	unsigned picked[MAX];
};

static void setup(struct fixture *fixture, const uint32_t *weights, unsigned count, unsigned offset)
{
	memset(fixture, 0, sizeof(*fixture));
	for (unsigned i = 0; i < count; i++)
		fixture->entries[i] = (struct balance_entry){.weight = weights[i], .available = true};
	balance_init(&fixture->balance, &balance_round_robin, fixture->entries, count, offset);
}

static void pick_many(struct fixture *fixture, unsigned times, const struct balance_query *query)
{
	memset(fixture->picked, 0, sizeof(fixture->picked));
	for (unsigned i = 0; i < times; i++) {
		int index = balance_pick(&fixture->balance, query);

		assert_in_range(index, 0, fixture->balance.count - 1);
		fixture->picked[index]++;
	}
}

static void test_equal_weights_take_turns(void **state)
{
	struct fixture fixture;
	const uint32_t weights[] = {1, 1, 1};

	setup(&fixture, weights, 3, 0);
	for (int i = 0; i < 9; i++)
		assert_int_equal(balance_pick(&fixture.balance, NULL), i % 3);
}

static void test_shares_are_exact(void **state)
{
	static const uint32_t weights[][4] = {
		{5, 1, 1, 0}, {1, 2, 3, 4}, {1000, 1, 7, 13}, {2, 2, 2, 2}, {3, 3, 3, 1}};
	struct fixture fixture;

	for (size_t w = 0; w < ARRAY_LENGTH(weights); w++) {
		unsigned total = 0;

		setup(&fixture, weights[w], 4, 0);
		for (int i = 0; i < 4; i++)
			total += weights[w][i];
		for (int round = 0; round < 3; round++) {
			pick_many(&fixture, total, NULL);
			for (int i = 0; i < 4; i++)
				assert_int_equal(fixture.picked[i], weights[w][i]);
		}
	}
}

/* The known sequence of the smooth algorithm for 5, 1, 1: no run of five. */
static void test_shares_are_spread(void **state)
{
	static const int expected[] = {0, 0, 1, 0, 2, 0, 0};
	const uint32_t weights[] = {5, 1, 1};
	struct fixture fixture;

	setup(&fixture, weights, 3, 0);
	for (size_t i = 0; i < 21; i++)
		assert_int_equal(balance_pick(&fixture.balance, NULL), expected[i % 7]);
}

static void test_share_of_the_missing_goes_evenly(void **state)
{
	const uint32_t equal[] = {1, 1, 1, 1}, weighted[] = {4, 1, 2, 2};
	struct fixture fixture;

	setup(&fixture, equal, 4, 0);
	fixture.entries[1].available = false;
	pick_many(&fixture, 300, NULL);
	assert_int_equal(fixture.picked[0], 100);
	assert_int_equal(fixture.picked[1], 0);
	assert_int_equal(fixture.picked[2], 100);
	assert_int_equal(fixture.picked[3], 100);

	setup(&fixture, weighted, 4, 0);
	fixture.entries[0].available = false;
	pick_many(&fixture, 50, NULL);
	assert_int_equal(fixture.picked[0], 0);
	assert_int_equal(fixture.picked[1], 10);
	assert_int_equal(fixture.picked[2], 20);
	assert_int_equal(fixture.picked[3], 20);
	fixture.entries[0].available = true;
	pick_many(&fixture, 9, NULL);
	assert_int_equal(fixture.picked[0], 4);
}

static void test_tried_ones_are_left_out(void **state)
{
	const uint32_t weights[] = {1, 1, 3};
	bool tried[] = {true, false, true};
	struct balance_query query = {.tried = tried};
	struct fixture fixture;

	setup(&fixture, weights, 3, 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(balance_pick(&fixture.balance, &query), 1);
	tried[1] = true;
	assert_int_equal(balance_pick(&fixture.balance, &query), BALANCE_NONE);
}

static void test_nobody_is_there(void **state)
{
	const uint32_t zero[] = {0, 0}, one[] = {1};
	struct fixture fixture;

	setup(&fixture, one, 0, 7);
	assert_int_equal(balance_pick(&fixture.balance, NULL), BALANCE_NONE);
	setup(&fixture, zero, 2, 3);
	assert_int_equal(balance_pick(&fixture.balance, NULL), BALANCE_NONE);
	setup(&fixture, one, 1, 0);
	fixture.entries[0].available = false;
	assert_int_equal(balance_pick(&fixture.balance, NULL), BALANCE_NONE);
	fixture.entries[0].available = true;
	assert_int_equal(balance_pick(&fixture.balance, NULL), 0);
}

static void test_workers_start_apart(void **state)
{
	const uint32_t equal[] = {1, 1, 1}, weighted[] = {2, 1, 1};
	struct fixture fixture;

	for (unsigned worker = 0; worker < 6; worker++) {
		setup(&fixture, equal, 3, worker);
		assert_int_equal(balance_pick(&fixture.balance, NULL), worker % 3);
	}
	setup(&fixture, weighted, 3, 1);
	assert_int_equal(balance_pick(&fixture.balance, NULL), 1);
	pick_many(&fixture, 400, NULL);
	assert_int_equal(fixture.picked[0], 200);
}

static void test_names_and_algorithms_agree(void **state)
{
	for (size_t i = 0; balance_algorithms[i]; i++)
		assert_string_equal(balance_algorithms[i]->name, balance_names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_weights_take_turns),
		cmocka_unit_test(test_shares_are_exact),
		cmocka_unit_test(test_shares_are_spread),
		cmocka_unit_test(test_share_of_the_missing_goes_evenly),
		cmocka_unit_test(test_tried_ones_are_left_out),
		cmocka_unit_test(test_nobody_is_there),
		cmocka_unit_test(test_workers_start_apart),
		cmocka_unit_test(test_names_and_algorithms_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
