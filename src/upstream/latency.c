/*
 * See latency.h. Pure.
 */
#include "upstream/latency.h"

enum {
	FIRST_US = 64,
	HALVE_AT = 4096, /* answers */
	ENOUGH = 64,
};

/* Four buckets for each power of two. */
static unsigned bucket_of(uint64_t latency_us)
{
	if (latency_us < FIRST_US)
		return 0;
	unsigned power = 63 - (unsigned)__builtin_clzll(latency_us);
	unsigned quarter = (unsigned)(latency_us >> (power - 2)) & 3;
	unsigned bucket = (power - 6) * 4 + quarter + 1;
	return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* Where a bucket ends, µs. */
static uint64_t bucket_end(unsigned bucket)
{
	if (bucket == 0)
		return FIRST_US;
	unsigned power = (bucket - 1) / 4 + 6, quarter = (bucket - 1) % 4;
	return (UINT64_C(5) + quarter) << (power - 2);
}

void latency_digest_add(struct latency_digest *digest, uint64_t latency_us)
{
	digest->counts[bucket_of(latency_us)]++;
	if (++digest->total < HALVE_AT)
		return;
	digest->total = 0;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		digest->counts[i] /= 2;
		digest->total += digest->counts[i];
	}
}

uint64_t latency_digest_at(const struct latency_digest *digest, unsigned percentile)
{
	uint64_t wanted = ((uint64_t)digest->total * percentile + 99) / 100, seen = 0;

	if (digest->total < ENOUGH)
		return 0;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		seen += digest->counts[i];
		if (seen >= wanted)
			return bucket_end(i);
	}
	return bucket_end(LATENCY_BUCKETS - 1);
}
