/*
 * What all algorithms hold to: shares by weight while servers are idle, nobody who may not be picked, memory that runs out, updates at any time,
 * any number of servers.
 */
#include "fixture.h"

static void test_names_and_algorithms_agree(void **state)
{
	static const char *const names[] = {"round_robin", "least_conn", "random", "p2c",
					    "ewma",        "hash",       "maglev", NULL};
	size_t i = 0;

	for (; balance_algorithms[i]; i++) {
		assert_string_equal(balance_algorithms[i]->name, balance_names[i]);
		assert_string_equal(balance_names[i], names[i]);
		assert_int_equal(balance_algorithms[i]->keyed, i >= 5);
		assert_int_equal(balance_algorithms[i]->times, i == 4);
	}
	assert_null(balance_names[i]);
	assert_null(names[i]);
}

/* Ten thousand picks, for the keyed ones with as many keys: within 2 percentage points, those that take turns within a tenth of one. */
static void check_shares(const char *name, const unsigned *weights, unsigned kinds, unsigned count,
			 unsigned number)
{
	struct fixture fixture;
	bool exact = strcmp(name, "round_robin") == 0 || strcmp(name, "least_conn") == 0;

	fixture_start(&fixture, name, weights, kinds, count);
	seed(&fixture.random, number);
	fixture.keys = number * 10000;
	pick_many(&fixture, 10000);
	assert_in_range(worst_share(&fixture, 10000), 0, exact ? 10 : 199);
	fixture_end(&fixture);
}

static void test_shares(void **state)
{
	static const unsigned weights[][5] = {
		{1},     {1, 1},          {2, 1},         {1, 1, 1},     {5, 3, 2},
		{10, 1}, {1, 2, 3, 4, 5}, {100, 100, 50}, {256, 1, 128},
	};
	static const unsigned kinds[] = {1, 2, 2, 3, 3, 2, 5, 3, 3};

	for (size_t a = 0; balance_names[a]; a++)
		for (size_t w = 0; w < ARRAY_LENGTH(weights); w++)
			for (unsigned number = 0; number < 10; number++) {
				check_shares(balance_names[a], weights[w], kinds[w], kinds[w], number);
				check_shares(balance_names[a], weights[w], kinds[w], 30, number);
			}
}

/* Shares in steps of a thousandth for many servers: no group of ten is forgotten. */
static void test_shares_of_many(void **state)
{
	struct fixture fixture;

	for (size_t a = 0; balance_names[a]; a++) {
		fixture_start(&fixture, balance_names[a], (unsigned[]){1, 3}, 2, 1000);
		pick_many(&fixture, 200000);
		for (unsigned i = 0; i < 1000; i += 10) {
			unsigned sum = 0;
			for (unsigned k = i; k < i + 10; k++)
				sum += fixture.picked[k];
			assert_in_range(sum, 1600, 2400);
		}
		fixture_end(&fixture);
	}
}

static void test_nobody_is_there(void **state)
{
	struct fixture fixture;

	for (size_t a = 0; balance_names[a]; a++)
		for (unsigned count = 0; count < 40; count = count * 3 + 1)
			for (unsigned bound = 0; bound < 200; bound += 125) {
				fixture_prepare(&fixture, balance_names[a], (unsigned[]){0}, 1, count);
				fixture.options.bound = bound;
				fixture.options.offset = 7;
				assert_true(balance_init(&fixture.balance, &fixture.options));
				assert_int_equal(pick(&fixture), BALANCE_NONE);
				for (unsigned i = 0; i < count; i++) {
					fixture.entries[i].weight = 256;
					fixture.entries[i].available = false;
				}
				assert_true(balance_update(&fixture.balance));
				assert_int_equal(pick(&fixture), BALANCE_NONE);
				for (unsigned i = 0; i < count; i++) {
					fixture.entries[i].available = true;
					fixture.entries[i].most = 1;
					atomic_store(&fixture.in_flight[i], 1);
				}
				assert_true(balance_update(&fixture.balance));
				assert_int_equal(pick(&fixture), BALANCE_NONE);
				if (count > 0) {
					set_in_flight(&fixture, count / 2, 0);
					assert_int_equal(pick(&fixture), count / 2);
					assert_int_equal(pick_avoiding(&fixture, (unsigned[]){count / 2}, 1),
							 BALANCE_NONE);
				}
				fixture_end(&fixture);
			}
}

/* The only one left is found, whatever the reason for which the others are out, and whether or not an update told of it. */
static void test_the_last_one_is_found(void **state)
{
	struct fixture fixture;

	for (size_t a = 0; balance_names[a]; a++)
		for (unsigned count = 2; count < 300; count = count * 5 + 3)
			for (unsigned left = 0; left < count; left += count / 2) {
				fixture_start(&fixture, balance_names[a], (unsigned[]){1, 2, 7}, 3, count);
				for (unsigned i = 0; i < count; i++) {
					if (i == left)
						continue;
					if (i % 3 == 0)
						fixture.entries[i].available = false;
					else if (i % 3 == 1)
						fixture.entries[i].weight = 0;
					fixture.entries[i].most = 3;
					atomic_store(&fixture.in_flight[i], 3);
				}
				for (int i = 0; i < 50; i++)
					assert_int_equal(pick(&fixture), left);
				assert_true(balance_update(&fixture.balance));
				for (int i = 0; i < 50; i++)
					assert_int_equal(pick(&fixture), left);
				fixture_end(&fixture);
			}
}

static void test_avoided_ones_are_left_out(void **state)
{
	struct fixture fixture;
	static const unsigned weights[][3] = {{1, 1, 1}, {1, 1, 30}};

	for (size_t a = 0; balance_names[a]; a++)
		for (int w = 0; w < 2; w++) {
			fixture_start(&fixture, balance_names[a], weights[w], 3, 3);
			for (int i = 0; i < 200; i++) {
				unsigned avoid[3];
				for (unsigned n = 0; n < 3; n++) {
					int index = pick_avoiding(&fixture, avoid, n);
					assert_int_not_equal(index, BALANCE_NONE);
					avoid[n] = (unsigned)index;
				}
				assert_int_equal(avoid[0] + avoid[1] + avoid[2], 3);
				assert_int_equal(pick_avoiding(&fixture, avoid, 3), BALANCE_NONE);
			}
			fixture_end(&fixture);
		}
}

/* Anything at any time, under the sanitizers: what is picked may be picked, and nobody is found only when there is nobody. */
static void storm(struct fixture *fixture, struct random *random, unsigned steps)
{
	unsigned count = fixture->options.count;

	for (unsigned step = 0; step < steps; step++) {
		unsigned index = random_below(random, count), kind = random_below(random, 10);
		struct balance_entry *entry = &fixture->entries[index];
		const unsigned avoid[] = {random_below(random, count)};

		if (kind == 0)
			entry->available = !entry->available;
		else if (kind == 1)
			entry->weight =
				random_below(random, 4) ? random_below(random, BALANCE_WEIGHT_MAX + 1) : 0;
		else if (kind == 2)
			entry->most = random_below(random, 4);
		else if (kind < 5)
			set_in_flight(fixture, index, random_below(random, 5));
		else if (kind == 5)
			atomic_store(&fixture->in_flight[index], random_below(random, 5)); /* by another worker */
		else if (kind == 6)
			balance_on_latency(&fixture->balance, index, random_below(random, 100000),
					   fixture->keys * 1000);
		if (kind < 3)
			assert_true(balance_update(&fixture->balance));
		int picked = pick_avoiding(fixture, avoid, kind % 2);
		const struct balance_query query = {.avoid = avoid, .avoid_count = kind % 2};
		bool somebody = false;
		for (unsigned i = 0; i < count && !somebody; i++)
			somebody = balance_may_pick(&fixture->balance, i, &query);
		assert_int_equal(picked != BALANCE_NONE, somebody);
		if (somebody)
			assert_true(balance_may_pick(&fixture->balance, (unsigned)picked, &query));
	}
}

static void test_storms(void **state)
{
	static const unsigned counts[] = {1, 2, 3, 16, 17, 40};
	struct fixture fixture;
	struct random random;

	seed(&random, 77);
	for (size_t a = 0; balance_names[a]; a++)
		for (size_t c = 0; c < ARRAY_LENGTH(counts); c++) {
			fixture_prepare(&fixture, balance_names[a], (unsigned[]){1, 5}, 2, counts[c]);
			fixture.options.bound = c % 2 ? 125 : 0;
			assert_true(balance_init(&fixture.balance, &fixture.options));
			storm(&fixture, &random, balance_algorithms[a]->keyed ? 150 : 4000);
			fixture_end(&fixture);
		}
}

/* Out of memory at the start, there is nothing to clean up; out of memory at an update, picking goes on as it was. */
static void test_memory_runs_out(void **state)
{
	struct fixture fixture;

	for (size_t a = 0; balance_names[a]; a++) {
		fixture_prepare(&fixture, balance_names[a], (unsigned[]){1, 2}, 2, 20);
		for (uint64_t every = 1; every <= 4; every++) {
			memory_fail_every(&fixture.memory, every);
			if (balance_init(&fixture.balance, &fixture.options))
				balance_fini(&fixture.balance);
			else
				assert_int_equal(atomic_load(&fixture.memory.used), 0);
			assert_true(every > 1 || atomic_load(&fixture.memory.used) == 0);
		}
		memory_fail_every(&fixture.memory, 0);
		assert_true(balance_init(&fixture.balance, &fixture.options));
		for (uint64_t every = 1; every <= 4; every++) {
			memory_fail_every(&fixture.memory, every);
			fixture.entries[3].available = false;
			fixture.entries[4].weight = (uint32_t)every * 7;
			fixture.entries[5].weight = 0;
			bool good = balance_update(&fixture.balance);
			assert_true(good || balance_algorithms[a]->keyed);
			assert_false(good && every == 1 && balance_algorithms[a]->keyed);
			memory_fail_every(&fixture.memory, 1); /* picking needs none */
			pick_many(&fixture, 500);
			assert_int_equal(fixture.picked[3], 0);
			assert_int_equal(fixture.picked[5], 0);
		}
		memory_fail_every(&fixture.memory, 0);
		for (unsigned i = 0; i < 20; i++) {
			fixture.entries[i].weight = i % 2 * 256;
			fixture.entries[i].available = true;
		}
		assert_true(balance_update(&fixture.balance));
		pick_many(&fixture, 10000);
		assert_in_range(worst_share(&fixture, 10000), 0, 199);
		fixture_end(&fixture);
	}
}

/* Slow start: the share follows a weight that grows with time. Keyed ones are spared it. */
static void test_ramp(void **state)
{
	struct fixture fixture;

	for (size_t a = 0; balance_names[a]; a++) {
		if (balance_algorithms[a]->keyed)
			continue;
		fixture_start(&fixture, balance_names[a], (unsigned[]){1}, 1, 4);
		for (unsigned weight = 0; weight <= 256; weight += 16) {
			fixture.entries[1].weight = weight;
			assert_true(balance_update(&fixture.balance));
			pick_many(&fixture, 10000);
			assert_in_range(worst_share(&fixture, 10000), 0, 199);
		}
		fixture_end(&fixture);
	}
}

/* As many entries as there may be, with the greatest weights. */
static void test_as_many_as_there_may_be(void **state)
{
	struct fixture fixture;

	for (size_t a = 0; balance_names[a]; a++) {
		fixture_start(&fixture, balance_names[a], (unsigned[]){256, 256, 1}, 3, BALANCE_ENTRIES_MAX);
		pick_many(&fixture, 3000);
		fixture.entries[1].weight = 0;
		assert_true(balance_update(&fixture.balance));
		pick_many(&fixture, 3000);
		assert_int_equal(fixture.picked[1], 0);
		fixture_end(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_algorithms_agree),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_shares_of_many),
		cmocka_unit_test(test_nobody_is_there),
		cmocka_unit_test(test_the_last_one_is_found),
		cmocka_unit_test(test_avoided_ones_are_left_out),
		cmocka_unit_test(test_storms),
		cmocka_unit_test(test_memory_runs_out),
		cmocka_unit_test(test_ramp),
		cmocka_unit_test(test_as_many_as_there_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
