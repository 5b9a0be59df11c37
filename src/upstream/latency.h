/*
 * A running percentile of how long a group's servers take to answer: buckets that grow by a quarter, halved every so often so that the past fades. One
 * worker's own, no memory.
 */
#ifndef GUISE_UPSTREAM_LATENCY_H
#define GUISE_UPSTREAM_LATENCY_H

#include "core/base.h"

enum { LATENCY_BUCKETS = 96 }; /* from 64 µs to about a quarter of an hour */

struct latency_digest {
	uint32_t counts[LATENCY_BUCKETS];
	uint32_t total;
};

void latency_digest_add(struct latency_digest *digest, uint64_t latency_us);
/* µs; 0: too little is known. */
uint64_t latency_digest_at(const struct latency_digest *digest, unsigned percentile);

#endif
