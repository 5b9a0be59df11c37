/*
 * See bucket.h.
 */
#include "account/bucket.h"

uint64_t rate_earned(const struct rate *rate, uint64_t elapsed_us)
{
	return (uint64_t)((unsigned __int128)elapsed_us * rate->amount / rate->period_us);
}

/* The first moment at which so much is earned. */
static uint64_t rate_when(const struct rate *rate, uint64_t earned)
{
	unsigned __int128 wanted = (unsigned __int128)earned * rate->period_us;

	return (uint64_t)((wanted + rate->amount - 1) / rate->amount);
}

uint64_t bucket_take(struct bucket *bucket, const struct rate *rate, uint64_t elapsed_us, uint64_t amount,
		     uint64_t most_us)
{
	if (rate->amount == 0)
		return 0;
	uint64_t earned = rate_earned(rate, elapsed_us), next, wait;
	uint64_t spent = atomic_load_explicit(&bucket->spent, memory_order_relaxed);

	do {
		next = (spent > earned ? spent : earned) + amount;
		wait = next > earned + rate->depth ? rate_when(rate, next - rate->depth) - elapsed_us : 0;
		if (wait > most_us)
			break;
	} while (!atomic_compare_exchange_weak_explicit(&bucket->spent, &spent, next, memory_order_relaxed,
							memory_order_relaxed));
	return wait;
}

void bucket_refund(struct bucket *bucket, const struct rate *rate, uint64_t amount)
{
	/* Not below zero: it was taken before. */
	if (rate->amount)
		atomic_fetch_sub_explicit(&bucket->spent, amount, memory_order_relaxed);
}
