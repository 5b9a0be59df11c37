/*
 * So many a second and no more, for lines of a log that peers can cause: counted without locks; any thread.
 */
#ifndef GUISE_CORE_PACE_H
#define GUISE_CORE_PACE_H

#include "core/base.h"

#include <stdatomic.h>

struct pace {
	atomic_uint_fast64_t second; /* of the clock, and above it how many there were in it */
};

enum { PACE_COUNT_BITS = 8 };

/* The second of `now_ms` has room for one more, which is taken. `most` < 256. */
WARN_UNUSED static inline bool pace_allows(struct pace *pace, unsigned most, uint64_t now_ms)
{
	uint64_t now = now_ms / 1000, old = atomic_load_explicit(&pace->second, memory_order_relaxed), count;

	do {
		count = old >> PACE_COUNT_BITS == now ? old & ((1 << PACE_COUNT_BITS) - 1) : 0;
		if (count >= most)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&pace->second, &old,
							now << PACE_COUNT_BITS | (count + 1),
							memory_order_relaxed, memory_order_relaxed));
	return true;
}

#endif
