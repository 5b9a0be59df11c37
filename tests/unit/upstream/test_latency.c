/* Running percentiles: no further off than a bucket is wide, and the past fades. */
#include "core/random.h"
#include "upstream/latency.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct latency_digest digest;

static int set_up(void **state)
{
	memset(&digest, 0, sizeof(digest));
	return 0;
}

static void test_too_little_is_nothing(void **state)
{
	for (unsigned i = 0; i < 63; i++)
		latency_digest_add(&digest, 1000);
	assert_int_equal(latency_digest_at(&digest, 50), 0);
	latency_digest_add(&digest, 1000);
	assert_int_not_equal(latency_digest_at(&digest, 50), 0);
}

static void test_a_bucket_holds_what_it_says(void **state)
{
	for (uint64_t us = 64; us < UINT64_C(900) * 1000 * 1000; us += us / 7 + 1) {
		memset(&digest, 0, sizeof(digest));
		for (unsigned i = 0; i < 64; i++)
			latency_digest_add(&digest, us);
		uint64_t at = latency_digest_at(&digest, 95);
		assert_true(at > us);
		assert_true(at <= us + us / 4 + 1);
	}
}

static void test_the_ends(void **state)
{
	for (unsigned i = 0; i < 64; i++)
		latency_digest_add(&digest, 0);
	assert_int_equal(latency_digest_at(&digest, 99), 64);
	memset(&digest, 0, sizeof(digest));
	for (unsigned i = 0; i < 64; i++)
		latency_digest_add(&digest, UINT64_MAX);
	assert_true(latency_digest_at(&digest, 50) > UINT64_C(800) * 1000 * 1000);
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static void test_percentiles_of_a_spread(void **state)
{
	static uint64_t values[4000];
	static const unsigned percentiles[] = {50, 75, 90, 95, 99};
	struct random random;

	random = (struct random){{7, 8, 9, 10}};
	for (unsigned i = 0; i < ARRAY_LENGTH(values); i++) {
		values[i] = 200 +
			    (UINT64_C(1) << (random_next(&random) % 20)) * (random_next(&random) % 100) / 10;
		latency_digest_add(&digest, values[i]);
	}
	qsort(values, ARRAY_LENGTH(values), sizeof(values[0]), compare);
	for (unsigned i = 0; i < ARRAY_LENGTH(percentiles); i++) {
		uint64_t exact = values[ARRAY_LENGTH(values) * percentiles[i] / 100 - 1];
		uint64_t at = latency_digest_at(&digest, percentiles[i]);
		assert_true(at >= exact);
		assert_true(at <= exact + exact / 4 + 1);
	}
}

static void test_the_past_fades(void **state)
{
	for (unsigned i = 0; i < 4000; i++)
		latency_digest_add(&digest, 100000);
	for (unsigned i = 0; i < 3 * 4096; i++)
		latency_digest_add(&digest, 1000);
	assert_true(latency_digest_at(&digest, 75) <= 1250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_too_little_is_nothing, set_up),
		cmocka_unit_test_setup(test_a_bucket_holds_what_it_says, set_up),
		cmocka_unit_test_setup(test_the_ends, set_up),
		cmocka_unit_test_setup(test_percentiles_of_a_spread, set_up),
		cmocka_unit_test_setup(test_the_past_fades, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
