/*
 * One slow server among ten, in a simulation: what looks at loads or latencies beats what does not. No clock has a part in it.
 */
#include "fixture.h"
#include "simulation.h"

static struct simulation simulate(const char *name, unsigned slow, double load, uint64_t number)
{
	struct simulation simulation = {
		.ops = algorithm(name),
		.servers = 10,
		.slow = slow,
		.service_us = 1000,
		.load = load,
		.requests = 20000,
		.seed = number,
	};

	simulation_run(&simulation);
	return simulation;
}

/* Whether round robin keeps the slow one within what it can do (8 %) or drowns it. */
static void test_they_beat_round_robin(void **state)
{
	static const char *const better[] = {"least_conn", "p2c", "ewma"};
	static const double loads[] = {0.08, 0.5, 0.8};

	for (size_t l = 0; l < ARRAY_LENGTH(loads); l++)
		for (uint64_t number = 1; number <= 3; number++) {
			struct simulation plain = simulate("round_robin", 10, loads[l], number);
			for (size_t i = 0; i < ARRAY_LENGTH(better); i++) {
				struct simulation it = simulate(better[i], 10, loads[l], number);
				assert_true(it.p99 < plain.p99);
				assert_true(it.mean < plain.mean);
				assert_true(it.picked[0] < plain.picked[0]);
			}
		}
}

/* Latencies show a slow server before its queue does. */
static void test_ewma_leaves_the_slow_one_most(void **state)
{
	for (uint64_t number = 1; number <= 3; number++) {
		struct simulation ewma = simulate("ewma", 10, 0.5, number),
				  p2c = simulate("p2c", 10, 0.5, number);

		assert_true(ewma.picked[0] * 2 < p2c.picked[0]);
		assert_true(ewma.p99 < p2c.p99);
		assert_true(ewma.picked[0] > 0); /* but it is asked again */
	}
}

/* Servers that are alike have alike shares, though none of their latencies is. */
static void test_equals_share_alike(void **state)
{
	static const char *const all[] = {"round_robin", "least_conn", "random", "p2c", "ewma"};

	for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
		struct simulation it = simulate(all[i], 1, 0.6, 1);

		for (int k = 0; k < 10; k++)
			assert_in_range(it.picked[k], 1600, 2400);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_they_beat_round_robin),
		cmocka_unit_test(test_ewma_leaves_the_slow_one_most),
		cmocka_unit_test(test_equals_share_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
