/*
 * Least connections: really the least, as long as this worker makes all changes; soon the least when others change things too.
 */
#include "fixture.h"

static void check_least(struct fixture *fixture, int index, unsigned bans, const unsigned *banned)
{
	const struct balance_query query = {.avoid = banned, .avoid_count = bans};
	uint64_t load = atomic_load(&fixture->in_flight[index]), weight = fixture->entries[index].weight;

	for (unsigned i = 0; i < fixture->options.count; i++)
		if (balance_may_pick(&fixture->balance, i, &query))
			assert_true(load * fixture->entries[i].weight <=
				    atomic_load(&fixture->in_flight[i]) * weight);
}

/* Requests come and go at random, with latencies that differ from server to server. */
static void check_random_loads(unsigned count, const unsigned *weights, unsigned kinds, unsigned steps)
{
	struct fixture fixture;
	struct random random;
	unsigned *under_way = calloc(count * 4, sizeof(*under_way)), held = 0;

	assert_non_null(under_way);
	seed(&random, count);
	fixture_start(&fixture, "least_conn", weights, kinds, count);
	for (unsigned step = 0; step < steps; step++) {
		if (held > 0 && random_below(&random, count * 4) < held) {
			unsigned at = random_below(&random, held);
			/* Servers with low numbers are slow. */
			if (under_way[at] < count / 3 && random_below(&random, 10))
				continue;
			end(&fixture, under_way[at]);
			under_way[at] = under_way[--held];
			continue;
		}
		const unsigned banned[] = {random_below(&random, count)};
		unsigned bans = step % 8 == 0 && count > 1;
		int index = pick_avoiding(&fixture, banned, bans);
		check_least(&fixture, index, bans, banned);
		assert_true(held < count * 4);
		begin(&fixture, (unsigned)index);
		under_way[held++] = (unsigned)index;
	}
	fixture_end(&fixture);
	free(under_way);
}

static void test_the_least_is_picked(void **state)
{
	static const unsigned counts[] = {1, 3, 8, 16, 17, 100, 1000};

	for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
		check_random_loads(counts[i], (unsigned[]){1}, 1, 20000);
		check_random_loads(counts[i], (unsigned[]){1, 2, 3, 100, 256}, 5, 20000);
	}
}

/* Loads that jump to anywhere, told at once. */
static void test_jumps(void **state)
{
	struct fixture fixture;
	struct random random;

	seed(&random, 5);
	for (unsigned count = 3; count <= 1000; count = count == 3 ? 100 : count * 10) {
		fixture_start(&fixture, "least_conn", (unsigned[]){3, 1, 7}, 3, count);
		for (int i = 0; i < 20000; i++) {
			set_in_flight(&fixture, random_below(&random, count), random_below(&random, 50));
			check_least(&fixture, pick(&fixture), 0, NULL);
		}
		fixture_end(&fixture);
	}
}

/* Another worker's changes: with few servers they are seen at once, with many by and by. */
static void test_other_workers(void **state)
{
	struct fixture fixture;

	fixture_start(&fixture, "least_conn", (unsigned[]){1}, 1, 8);
	for (unsigned i = 0; i < 80; i++) {
		for (unsigned k = 0; k < 8; k++)
			atomic_store(&fixture.in_flight[k], k == i % 8 ? 1 : 2);
		assert_int_equal(pick(&fixture), i % 8);
	}
	fixture_end(&fixture);

	fixture_start(&fixture, "least_conn", (unsigned[]){1}, 1, 400);
	for (unsigned k = 0; k < 400; k++)
		atomic_store(&fixture.in_flight[k], k == 123 ? 5 : 6);
	pick_many(&fixture, 400);
	for (int i = 0; i < 100; i++)
		assert_int_equal(pick(&fixture), 123);
	/* It fills up elsewhere, and no pick follows the old picture for longer than it takes to look at the top. */
	atomic_store(&fixture.in_flight[123], 7);
	assert_int_not_equal(pick(&fixture), 123);
	/* Down again, and it is found within a round. */
	atomic_store(&fixture.in_flight[123], 4);
	pick_many(&fixture, 101);
	assert_int_equal(pick(&fixture), 123);
	fixture_end(&fixture);
}

/* A full one is passed over though its load is the least for its weight, and is back when it has room. */
static void test_full(void **state)
{
	struct fixture fixture;

	for (unsigned count = 5; count <= 50; count *= 10) {
		fixture_prepare(&fixture, "least_conn", (unsigned[]){1}, 1, count);
		fixture.entries[2].weight = 100 * 256;
		fixture.entries[2].most = 4;
		assert_true(balance_init(&fixture.balance, &fixture.options));
		for (unsigned i = 0; i < count; i++)
			set_in_flight(&fixture, i, 4);
		pick_many(&fixture, 100);
		assert_int_equal(fixture.picked[2], 0);
		set_in_flight(&fixture, 2, 3);
		pick_many(&fixture, 100);
		assert_int_equal(fixture.picked[2], 100);
		fixture_end(&fixture);
	}
}

/* Who was busy for long and is idle again has no more turns than the others because of that. */
static void test_no_turns_are_made_up_for(void **state)
{
	struct fixture fixture;

	for (unsigned count = 4; count <= 40; count *= 10) {
		fixture_start(&fixture, "least_conn", (unsigned[]){1}, 1, count);
		set_in_flight(&fixture, 0, 3);
		pick_many(&fixture, 1000 * count);
		assert_int_equal(fixture.picked[0], 0);
		set_in_flight(&fixture, 0, 0);
		pick_many(&fixture, 10 * count);
		assert_in_range(fixture.picked[0], 10, 12);
		fixture_end(&fixture);
	}
}

/* Virtual time wraps, with the least weights after some ten thousand rounds; whoever was busy all the time has its turns all the same. */
static void test_busy_for_ages(void **state)
{
	struct fixture fixture;

	for (unsigned count = 2; count <= 20; count += 18) {
		fixture_prepare(&fixture, "least_conn", (unsigned[]){1}, 1, count);
		for (unsigned i = 0; i < count; i++)
			fixture.entries[i].weight = 1;
		assert_true(balance_init(&fixture.balance, &fixture.options));
		for (unsigned rounds = 60000; rounds <= 180000; rounds += 30000) {
			set_in_flight(&fixture, 0, 1);
			pick_many(&fixture, rounds * (count - 1));
			assert_int_equal(fixture.picked[0], 0);
			set_in_flight(&fixture, 0, 0);
			pick_many(&fixture, 20 * count);
			assert_in_range(fixture.picked[0], 20, 22);
		}
		fixture_end(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_least_is_picked),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_other_workers),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_no_turns_are_made_up_for),
		cmocka_unit_test(test_busy_for_ages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
