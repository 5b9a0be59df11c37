/*
 * Rates in whole numbers. What a rate has earned since a beginning is a function of the time alone, rounded down once and never summed up, so that nothing
 * drifts; a bucket is what has been spent of it, one atomic number. Any thread.
 *
 * In any time t no more is granted than the rate earns in t, and the depth.
 */
#ifndef GUISE_ACCOUNT_BUCKET_H
#define GUISE_ACCOUNT_BUCKET_H

#include "core/base.h"

#include <stdatomic.h>

struct rate {
	uint64_t amount, period_us; /* so much in so many µs; amount 0: without a bound */
	uint64_t depth;             /* granted at once after a pause, >= 1 */
};

struct bucket {
	atomic_uint_fast64_t spent; /* of what is earned since the beginning; unused depth counts as spent in time */
};

/* Earned in so many µs since the beginning. */
uint64_t rate_earned(const struct rate *rate, uint64_t elapsed_us);

/*
 * Spends `amount` at once or in advance, and answers how many µs it takes until it is earned (0: it is). If that is more than `most_us`, nothing
 * is spent.
 */
uint64_t bucket_take(struct bucket *bucket, const struct rate *rate, uint64_t elapsed_us, uint64_t amount,
		     uint64_t most_us);
/* What was taken was not used after all. */
void bucket_refund(struct bucket *bucket, const struct rate *rate, uint64_t amount);

#endif
