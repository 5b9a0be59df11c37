/*
 * Round robin: exact shares in every cycle, spread evenly; what may not be picked is stepped over; an update keeps everyone's turn.
 */
#include "fixture.h"

static void test_equal_weights_take_turns(void **state)
{
	struct fixture fixture;

	fixture_start(&fixture, "round_robin", (unsigned[]){1}, 1, 3);
	for (int i = 0; i < 9; i++)
		assert_int_equal(pick(&fixture), i % 3);
	fixture_end(&fixture);
}

static void test_shares_are_exact(void **state)
{
	static const unsigned weights[][4] = {
		{5, 1, 1, 0}, {1, 2, 3, 4}, {256, 1, 7, 13}, {2, 2, 2, 2}, {3, 3, 3, 1}};
	struct fixture fixture;

	for (size_t w = 0; w < ARRAY_LENGTH(weights); w++) {
		unsigned total = 0;

		fixture_start(&fixture, "round_robin", weights[w], 4, 4);
		for (int i = 0; i < 4; i++)
			total += weights[w][i];
		for (int round = 0; round < 50; round++) {
			pick_many(&fixture, total);
			for (int i = 0; i < 4; i++)
				assert_int_equal(fixture.picked[i], weights[w][i]);
		}
		fixture_end(&fixture);
	}
}

/* The longest time that an entry goes without a pick, and the longest run of it, among `picks`. */
static void measure(struct fixture *fixture, unsigned entry, unsigned picks, unsigned *gap, unsigned *run)
{
	unsigned since = 0, length = 0;

	*gap = *run = 0;
	for (unsigned i = 0; i < picks; i++) {
		if ((unsigned)pick(fixture) == entry) {
			since = 0;
			length++;
		} else {
			since++;
			length = 0;
		}
		*gap = since > *gap ? since : *gap;
		*run = length > *run ? length : *run;
	}
}

static void test_shares_are_spread(void **state)
{
	struct fixture fixture;
	unsigned gap, run;

	/* 5, 1, 1: never more than three in a row, where plain turn-taking has five. */
	fixture_start(&fixture, "round_robin", (unsigned[]){5, 1, 1}, 3, 3);
	measure(&fixture, 0, 700, &gap, &run);
	assert_in_range(run, 2, 3);
	assert_int_equal(gap, 1);
	fixture_end(&fixture);

	/* The light one comes regularly. */
	fixture_start(&fixture, "round_robin", (unsigned[]){5, 1, 1}, 3, 3);
	measure(&fixture, 1, 700, &gap, &run);
	assert_int_equal(run, 1);
	assert_in_range(gap, 6, 7);
	fixture_end(&fixture);

	/* A hundred servers, one of them with the weight of all others: every other request is its. */
	fixture_prepare(&fixture, "round_robin", (unsigned[]){1}, 1, 100);
	fixture.entries[40].weight = 99 * 256;
	assert_true(balance_init(&fixture.balance, &fixture.options));
	measure(&fixture, 40, 19800, &gap, &run);
	assert_in_range(run, 1, 4);
	assert_in_range(gap, 1, 4);
	measure(&fixture, 7, 19800, &gap, &run);
	assert_int_equal(run, 1);
	assert_in_range(gap, 197, 205);
	fixture_end(&fixture);
}

static void test_share_of_the_missing_goes_by_weight(void **state)
{
	struct fixture fixture;

	fixture_start(&fixture, "round_robin", (unsigned[]){1}, 1, 4);
	fixture.entries[1].available = false;
	assert_true(balance_update(&fixture.balance));
	pick_many(&fixture, 300);
	assert_int_equal(worst_share(&fixture, 300), 0);
	fixture_end(&fixture);

	fixture_start(&fixture, "round_robin", (unsigned[]){4, 1, 2, 2}, 4, 4);
	fixture.entries[0].available = false;
	pick_many(&fixture, 50); /* before the owner has said so */
	assert_int_equal(fixture.picked[0], 0);
	assert_true(balance_update(&fixture.balance));
	pick_many(&fixture, 50);
	assert_int_equal(worst_share(&fixture, 50), 0);
	fixture.entries[0].available = true;
	assert_true(balance_update(&fixture.balance));
	pick_many(&fixture, 90);
	assert_int_equal(worst_share(&fixture, 90), 0);
	fixture_end(&fixture);
}

/* A retry goes elsewhere, and the one that it avoids has its turn all the same; one that is full comes again. */
static void test_stepped_over(void **state)
{
	struct fixture fixture;
	const unsigned avoid[] = {0};

	fixture_start(&fixture, "round_robin", (unsigned[]){1, 8, 8}, 3, 3);
	for (int i = 0; i < 10; i++)
		assert_int_not_equal(pick_avoiding(&fixture, avoid, 1), 0);
	assert_int_equal(pick(&fixture), 0);
	fixture_end(&fixture);

	fixture_start(&fixture, "round_robin", (unsigned[]){8, 1, 1}, 3, 3);
	for (int i = 0; i < 100; i++)
		assert_int_not_equal(pick_avoiding(&fixture, avoid, 1), 0);
	pick_many(&fixture, 80);
	assert_true(fixture.picked[0] >= 64);
	fixture.entries[0].most = 2;
	atomic_store(&fixture.in_flight[0], 2);
	pick_many(&fixture, 100);
	assert_int_equal(fixture.picked[0], 0);
	assert_int_equal(fixture.picked[1], 50);
	atomic_store(&fixture.in_flight[0], 1);
	pick_many(&fixture, 100);
	assert_in_range(fixture.picked[0], 77, 83);
	fixture_end(&fixture);
}

static void test_workers_start_apart(void **state)
{
	struct fixture fixture;
	unsigned first[3] = {0};

	for (unsigned worker = 0; worker < 6; worker++) {
		fixture_prepare(&fixture, "round_robin", (unsigned[]){1}, 1, 3);
		fixture.options.offset = worker;
		assert_true(balance_init(&fixture.balance, &fixture.options));
		assert_int_equal(pick(&fixture), worker % 3);
		fixture_end(&fixture);
	}
	for (unsigned worker = 0; worker < 3; worker++) {
		fixture_prepare(&fixture, "round_robin", (unsigned[]){2, 1, 1}, 3, 3);
		fixture.options.offset = worker;
		assert_true(balance_init(&fixture.balance, &fixture.options));
		first[pick(&fixture)]++;
		pick_many(&fixture, 400);
		assert_int_equal(worst_share(&fixture, 400), 0);
		fixture_end(&fixture);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(first[i], 1);
}

/* Updates that come as often as picks take nobody's share: neither those that say nothing new, nor those of a weight that grows. */
static void test_updates_keep_turns(void **state)
{
	struct fixture fixture;

	fixture_start(&fixture, "round_robin", (unsigned[]){1}, 1, 5);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(pick(&fixture), i % 5);
		assert_true(balance_update(&fixture.balance));
	}
	fixture_end(&fixture);

	fixture_start(&fixture, "round_robin", (unsigned[]){4, 1, 2, 3}, 4, 4);
	for (int i = 0; i < 1000; i++) {
		fixture.picked[pick(&fixture)]++;
		assert_true(balance_update(&fixture.balance));
	}
	assert_int_equal(worst_share(&fixture, 1000), 0);
	fixture_end(&fixture);

	/* Slow start: over a ramp from 0 to 256 the newcomer has half of a full share. */
	fixture_start(&fixture, "round_robin", (unsigned[]){1}, 1, 4);
	for (unsigned i = 0; i < 4096; i++) {
		fixture.entries[2].weight = i / 16;
		assert_true(balance_update(&fixture.balance));
		fixture.picked[pick(&fixture)]++;
	}
	/* The integral of x / (3 + x) over 0..1 is 0.137. */
	assert_in_range(fixture.picked[2], 4096 * 127 / 1000, 4096 * 147 / 1000);
	for (int i = 0; i < 4; i++)
		if (i != 2)
			assert_in_range(fixture.picked[i], 4096 * 270 / 1000, 4096 * 305 / 1000);
	fixture_end(&fixture);
}

/* No server is lost when another one flaps. */
static void test_flapping(void **state)
{
	struct fixture fixture;

	for (int weighted = 0; weighted < 2; weighted++) {
		fixture_start(&fixture, "round_robin", (unsigned[]){1, 1, 1, 1, 1 + (unsigned)weighted}, 5, 5);
		for (int i = 0; i < 10000; i++) {
			fixture.entries[3].available = i % 2;
			assert_true(balance_update(&fixture.balance));
			fixture.picked[pick(&fixture)]++;
		}
		for (int i = 0; i < 3; i++)
			assert_true(fixture.picked[i] > 1000);
		fixture_end(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_weights_take_turns),
		cmocka_unit_test(test_shares_are_exact),
		cmocka_unit_test(test_shares_are_spread),
		cmocka_unit_test(test_share_of_the_missing_goes_by_weight),
		cmocka_unit_test(test_stepped_over),
		cmocka_unit_test(test_workers_start_apart),
		cmocka_unit_test(test_updates_keep_turns),
		cmocka_unit_test(test_flapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
