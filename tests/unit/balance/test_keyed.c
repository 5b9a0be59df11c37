/*
 * The algorithms that stick to a key: few keys move when servers come, go or fail; everybody lays them out alike; loads are bounded.
 */
#include "fixture.h"

enum { KEYS = 20000 };

static const char *const keyed[] = {"hash", "maglev"};

/* The ids of the servers that keys go to. */
static void map_keys(struct fixture *fixture, uint64_t *ids)
{
	fixture->keys = 0;
	for (int i = 0; i < KEYS; i++) {
		int index = pick(fixture);
		assert_int_not_equal(index, BALANCE_NONE);
		ids[i] = fixture->entries[index].id;
	}
}

/* Keys that moved, in hundredths of a percent; `lost` of them had been on `id`. */
static unsigned moved(const uint64_t *before, const uint64_t *after, uint64_t id, unsigned *lost)
{
	unsigned count = 0;

	*lost = 0;
	for (int i = 0; i < KEYS; i++) {
		count += before[i] != after[i];
		*lost += before[i] == id;
	}
	*lost = *lost * 10000 / KEYS;
	return count * 10000 / KEYS;
}

/* Takes entry `gone` out of the array, and makes everything anew. */
static void remove_entry(struct fixture *fixture, unsigned gone)
{
	balance_fini(&fixture->balance);
	for (unsigned i = gone; i + 1 < fixture->options.count; i++)
		fixture->entries[i] = fixture->entries[i + 1];
	fixture->options.count--;
	assert_true(balance_init(&fixture->balance, &fixture->options));
}

static void check_removal(const char *name, const unsigned *weights, unsigned kinds, unsigned count,
			  unsigned gone)
{
	static uint64_t before[KEYS], after[KEYS];
	struct fixture fixture;
	unsigned lost;

	fixture_start(&fixture, name, weights, kinds, count);
	map_keys(&fixture, before);
	uint64_t id = fixture.entries[gone].id;
	remove_entry(&fixture, gone);
	map_keys(&fixture, after);
	unsigned share = moved(before, after, id, &lost);
	assert_in_range(share, lost, lost + 500);
	/* With equal weights that is 1/n, and 2 points for the draw. */
	if (kinds == 1)
		assert_in_range(lost, 0, 10000 / count + 200);
	fixture_end(&fixture);
}

/* At most 1/n and 5 % of the keys, at any size; for unequal weights that is its share and 5 %. */
static void test_one_goes(void **state)
{
	static const unsigned counts[] = {2, 3, 5, 10, 33, 80, 81, 100, 129, 513, 1000};

	for (int a = 0; a < 2; a++)
		for (size_t i = 0; i < ARRAY_LENGTH(counts); i++)
			for (unsigned gone = 0; gone < 3 && gone < counts[i]; gone++) {
				check_removal(keyed[a], (unsigned[]){1}, 1, counts[i], gone);
				check_removal(keyed[a], (unsigned[]){100}, 1, counts[i], gone);
				if (counts[i] >= 10) /* so that somebody else still has each weight */
					check_removal(keyed[a], (unsigned[]){1, 2, 10}, 3, counts[i], gone);
			}
}

/* Of the ring, exactly its own keys. */
static void test_ring_moves_no_other_keys(void **state)
{
	static uint64_t before[KEYS], after[KEYS];
	struct fixture fixture;

	for (unsigned count = 2; count <= 80; count += 13) {
		fixture_start(&fixture, "hash", (unsigned[]){1}, 1, count);
		map_keys(&fixture, before);
		uint64_t id = fixture.entries[count / 2].id;
		remove_entry(&fixture, count / 2);
		map_keys(&fixture, after);
		for (int i = 0; i < KEYS; i++)
			assert_int_equal(before[i] != after[i], before[i] == id);
		fixture_end(&fixture);
	}
}

/* One that fails, is full or is to be avoided moves its own keys and no others; they come back with it. */
static void test_one_fails(void **state)
{
	static uint64_t before[KEYS], after[KEYS];
	struct fixture fixture;

	for (int a = 0; a < 2; a++)
		for (unsigned count = 2; count <= 200; count *= 10)
			for (int how = 0; how < 2; how++) {
				fixture_start(&fixture, keyed[a], (unsigned[]){1, 200}, 2, count);
				map_keys(&fixture, before);
				fixture.entries[1].available = how != 0;
				fixture.entries[1].most = how == 1;
				atomic_store(&fixture.in_flight[1], how == 1);
				assert_true(balance_update(&fixture.balance));
				map_keys(&fixture, after);
				for (int i = 0; i < KEYS; i++)
					assert_int_equal(before[i] != after[i],
							 before[i] == fixture.entries[1].id);
				fixture.entries[1].available = true;
				fixture.entries[1].most = 0;
				assert_true(balance_update(&fixture.balance));
				map_keys(&fixture, after);
				assert_memory_equal(before, after, sizeof(before));
				fixture_end(&fixture);
			}
}

/* Its keys go to all others, not to one. */
static void test_keys_of_a_failed_one_spread(void **state)
{
	struct fixture fixture;

	for (int a = 0; a < 2; a++) {
		fixture_start(&fixture, keyed[a], (unsigned[]){1}, 1, 5);
		fixture.entries[2].available = false;
		assert_true(balance_update(&fixture.balance));
		pick_many(&fixture, 10000);
		assert_in_range(worst_share(&fixture, 10000), 0, 250);
		fixture_end(&fixture);

		/* Nor when it had nearly all. */
		fixture_start(&fixture, keyed[a], (unsigned[]){1, 256, 1, 1}, 4, 4);
		fixture.entries[1].available = false;
		assert_true(balance_update(&fixture.balance));
		pick_many(&fixture, 10000);
		assert_in_range(worst_share(&fixture, 10000), 0, 500);
		fixture_end(&fixture);
	}
}

/* Another worker, another process, another order: the same. */
static void test_everybody_comes_to_the_same(void **state)
{
	static uint64_t before[KEYS], after[KEYS];
	struct fixture fixture;

	for (int a = 0; a < 2; a++) {
		fixture_start(&fixture, keyed[a], (unsigned[]){1, 2, 3}, 3, 30);
		map_keys(&fixture, before);
		balance_fini(&fixture.balance);
		for (unsigned i = 0; i < 15; i++) {
			struct balance_entry entry = fixture.entries[i];
			fixture.entries[i] = fixture.entries[29 - i];
			fixture.entries[29 - i] = entry;
		}
		fixture.options.offset = 11;
		seed(&fixture.random, 99);
		assert_true(balance_init(&fixture.balance, &fixture.options));
		map_keys(&fixture, after);
		assert_memory_equal(before, after, sizeof(before));
		fixture_end(&fixture);
	}
}

/* A weight that changes moves keys in proportion, and back again. */
static void test_weight_changes(void **state)
{
	static uint64_t before[KEYS], after[KEYS];
	struct fixture fixture;
	unsigned lost;

	for (int a = 0; a < 2; a++) {
		fixture_start(&fixture, keyed[a], (unsigned[]){3, 2}, 2, 10);
		map_keys(&fixture, before);
		fixture.entries[1].weight = 256; /* from 8 % to about 4 % */
		assert_true(balance_update(&fixture.balance));
		map_keys(&fixture, after);
		assert_in_range(moved(before, after, 0, &lost), 200, 800);
		fixture.entries[1].weight = 2 * 256;
		assert_true(balance_update(&fixture.balance));
		map_keys(&fixture, after);
		assert_memory_equal(before, after, sizeof(before));
		fixture_end(&fixture);
	}
}

/* Even when all ask for one key, nobody has more than the bound of the fair share; without a bound one has all. */
static void check_bound(unsigned bound, unsigned count, const unsigned *weights, unsigned kinds, bool one_key)
{
	struct fixture fixture;
	uint64_t total = 0;

	fixture_prepare(&fixture, "hash", weights, kinds, count);
	fixture.options.bound = bound;
	assert_true(balance_init(&fixture.balance, &fixture.options));
	for (unsigned i = 0; i < count; i++)
		total += fixture.entries[i].weight;
	for (unsigned held = 1; held <= 20 * count; held++) {
		fixture.keys = one_key ? 5 : fixture.keys;
		int index = pick(&fixture);
		assert_int_not_equal(index, BALANCE_NONE);
		begin(&fixture, (unsigned)index);
		uint64_t share = (uint64_t)bound * held * fixture.entries[index].weight;
		uint64_t most = (share + 100 * total - 1) / (100 * total);
		assert_true(atomic_load(&fixture.in_flight[index]) <= most);
	}
	fixture_end(&fixture);
}

static void test_bound(void **state)
{
	static const unsigned bounds[] = {100, 110, 125, 200};

	for (size_t b = 0; b < ARRAY_LENGTH(bounds); b++)
		for (unsigned count = 1; count <= 100; count *= 10)
			for (int one_key = 0; one_key < 2; one_key++) {
				check_bound(bounds[b], count, (unsigned[]){1}, 1, one_key);
				check_bound(bounds[b], count, (unsigned[]){1, 4, 9}, 3, one_key);
			}
}

/* Under little load a bound leaves keys where they are; and it gives way where there is nobody else. */
static void test_bound_yields(void **state)
{
	static uint64_t before[KEYS], after[KEYS];
	struct fixture fixture;

	fixture_prepare(&fixture, "hash", (unsigned[]){1}, 1, 10);
	assert_true(balance_init(&fixture.balance, &fixture.options));
	map_keys(&fixture, before);
	balance_fini(&fixture.balance);
	fixture.options.bound = 125;
	assert_true(balance_init(&fixture.balance, &fixture.options));
	map_keys(&fixture, after);
	assert_memory_equal(before, after, sizeof(before));
	set_in_flight(&fixture, 3, 1000);
	map_keys(&fixture, after);
	for (int i = 0; i < KEYS; i++)
		assert_int_equal(before[i] != after[i], before[i] == fixture.entries[3].id);
	for (unsigned i = 0; i < 10; i++)
		fixture.entries[i].available = i == 3;
	assert_int_equal(pick(&fixture), 3); /* not updated yet */
	assert_true(balance_update(&fixture.balance));
	assert_int_equal(pick(&fixture), 3);
	fixture_end(&fixture);
}

/* A bound below the fair share could hold nobody; every request finds a server all the same. */
static void test_bound_too_low(void **state)
{
	struct fixture fixture;

	fixture_prepare(&fixture, "hash", (unsigned[]){1}, 1, 10);
	fixture.options.bound = 50;
	assert_true(balance_init(&fixture.balance, &fixture.options));
	for (int i = 0; i < 1000; i++) {
		int index = pick(&fixture);
		assert_int_not_equal(index, BALANCE_NONE);
		begin(&fixture, (unsigned)index);
	}
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_goes),
		cmocka_unit_test(test_ring_moves_no_other_keys),
		cmocka_unit_test(test_one_fails),
		cmocka_unit_test(test_keys_of_a_failed_one_spread),
		cmocka_unit_test(test_everybody_comes_to_the_same),
		cmocka_unit_test(test_weight_changes),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_bound_yields),
		cmocka_unit_test(test_bound_too_low),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
