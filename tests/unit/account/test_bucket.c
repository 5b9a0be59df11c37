/* Buckets against a model in exact fractions: no order of arrival and no length of time makes a rate drift. */
#include "account/bucket.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define YEAR (365 * 86400 * SECOND)

static const struct rate rates[] = {
	{.amount = 1, .period_us = SECOND, .depth = 1},
	{.amount = 3, .period_us = 7, .depth = 2},
	{.amount = 10, .period_us = 60 * SECOND, .depth = 5},
	{.amount = 65536, .period_us = SECOND, .depth = 8192},
	{.amount = UINT64_C(64) << 30, .period_us = SECOND, .depth = 1 << 30},
	{.amount = 999999937, .period_us = 86400 * SECOND, .depth = 1000},
};

static uint64_t state = 1;

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static void test_an_eager_taker_gets_the_rate_and_no_more(void **context)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(rates); i++) {
		const struct rate *rate = &rates[i];
		struct bucket bucket = {0};
		uint64_t amount = rate->depth < 3 ? 1 : rate->depth / 3, now = 0, taken = 0;

		for (unsigned n = 0; n < 20000; n++) {
			uint64_t wait = bucket_take(&bucket, rate, now, amount, UINT64_MAX);
			now += wait;
			taken += amount;
			assert_true(taken <= rate->depth + rate_earned(rate, now));
			/* not one µs later than it could be: just before, it was too much */
			if (wait)
				assert_true(taken > rate->depth + rate_earned(rate, now - 1));
		}
	}
}

static void test_years(void **context)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(rates); i++) {
		const struct rate *rate = &rates[i];
		struct bucket bucket = {0};
		uint64_t now = 4 * YEAR + 12345;

		assert_int_equal(bucket_take(&bucket, rate, now, rate->depth, 0), 0);
		uint64_t wait = bucket_take(&bucket, rate, now, 1, UINT64_MAX);
		assert_true(wait > 0);
		assert_true(wait <= rate->period_us / rate->amount + 1);
	}
}

/*
 * The model: a level in amount × period, which gains `amount` in each µs. Takers come at any time, in any size, patient or not.
 */
static void test_against_a_model(void **context)
{
	for (unsigned round = 0; round < 300; round++) {
		struct rate rate = {
			.amount = 1 + draw(100000), .period_us = 1 + draw(2000000), .depth = 1 + draw(1000)};
		struct bucket bucket = {0};
		__int128 full = (__int128)rate.depth * rate.period_us, level = full, slack = rate.period_us;
		uint64_t now = 0;

		for (unsigned n = 0; n < 400; n++) {
			uint64_t pause = draw(3) ? draw(1 + rate.period_us / rate.amount * 2) : 0;
			uint64_t amount = 1 + draw(rate.depth + 3);
			uint64_t patience = draw(2) ? 0 : draw(1 + 3 * rate.period_us);
			now += pause;
			level += (__int128)pause * rate.amount;
			if (level > full)
				level = full;
			__int128 after = level - (__int128)amount * rate.period_us;
			__int128 wait = after < 0 ? (-after + rate.amount - 1) / rate.amount : 0;
			uint64_t got = bucket_take(&bucket, &rate, now, amount, patience);
			/* What is earned is rounded down: a difference of less than one unit. */
			__int128 most = wait + (slack + rate.amount - 1) / rate.amount;
			__int128 least = wait - (slack + rate.amount - 1) / rate.amount;
			assert_true(got <= (uint64_t)most);
			assert_true(least < 0 || got >= (uint64_t)least);
			if (got <= patience)
				level = after;
			/* the two may differ by a unit: the model follows, or the clamp at `full` would part them */
			__int128 real = full + (__int128)now * rate.amount -
					(__int128)atomic_load(&bucket.spent) * rate.period_us;
			if (real > full)
				real = full;
			assert_true(real - level <= slack && level - real <= slack);
			level = real;
		}
	}
}

static void test_refused_is_not_spent(void **context)
{
	struct bucket bucket = {0};
	const struct rate rate = {.amount = 1, .period_us = SECOND, .depth = 1};

	assert_int_equal(bucket_take(&bucket, &rate, 0, 1, 0), 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(bucket_take(&bucket, &rate, SECOND / 2, 1, SECOND / 2 - 1), SECOND / 2);
	assert_int_equal(bucket_take(&bucket, &rate, SECOND, 1, 0), 0);
}

static void test_those_who_wait_are_in_line(void **context)
{
	struct bucket bucket = {0};
	const struct rate rate = {.amount = 10, .period_us = SECOND, .depth = 1};

	for (uint64_t i = 0; i < 50; i++)
		assert_int_equal(bucket_take(&bucket, &rate, 0, 1, UINT64_MAX), i * SECOND / 10);
}

static void test_refund(void **context)
{
	struct bucket bucket = {0};
	const struct rate rate = {.amount = 100, .period_us = SECOND, .depth = 100};

	assert_int_equal(bucket_take(&bucket, &rate, 0, 100, 0), 0);
	assert_int_equal(bucket_take(&bucket, &rate, 0, 50, UINT64_MAX), SECOND / 2);
	bucket_refund(&bucket, &rate, 50);
	assert_int_equal(bucket_take(&bucket, &rate, 0, 10, UINT64_MAX), SECOND / 10);
	/* long after, it is not more than the depth */
	bucket_refund(&bucket, &rate, 10);
	assert_int_equal(bucket_take(&bucket, &rate, 100 * SECOND, 100, 0), 0);
	assert_true(bucket_take(&bucket, &rate, 100 * SECOND, 1, 0) > 0);
}

static void test_without_a_bound(void **context)
{
	struct bucket bucket = {0};
	const struct rate rate = {0};

	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(bucket_take(&bucket, &rate, 0, UINT64_MAX, 0), 0);
	bucket_refund(&bucket, &rate, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_eager_taker_gets_the_rate_and_no_more),
		cmocka_unit_test(test_years),
		cmocka_unit_test(test_against_a_model),
		cmocka_unit_test(test_refused_is_not_spent),
		cmocka_unit_test(test_those_who_wait_are_in_line),
		cmocka_unit_test(test_refund),
		cmocka_unit_test(test_without_a_bound),
	};
	return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
