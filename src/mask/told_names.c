/*
 * See told_names.h. A table that only ever fills: a name that is there is found by reads alone.
 */
#include "mask/told_names.h"

enum { COUNT_BITS = 8 };

/* The second of `now_ms` has room for one more, which is taken. */
static bool told_has_room(struct told_names *told, uint64_t now_ms)
{
	uint64_t now = now_ms / 1000, old = atomic_load_explicit(&told->second, memory_order_relaxed), count;

	do {
		count = old >> COUNT_BITS == now ? old & ((1 << COUNT_BITS) - 1) : 0;
		if (count >= TOLD_A_SECOND)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&told->second, &old, now << COUNT_BITS | (count + 1),
							memory_order_relaxed, memory_order_relaxed));
	return true;
}

bool told_names_first(struct told_names *told, struct span name, uint64_t now_ms)
{
	uint64_t hash = span_hash_nocase(name, 0) | 1;

	for (unsigned i = 0; i < TOLD_NAMES; i++) {
		atomic_uint_fast64_t *slot = &told->names[(hash + i) % TOLD_NAMES];
		uint64_t there = atomic_load_explicit(slot, memory_order_relaxed);

		if (there == hash)
			return false;
		if (there)
			continue;
		if (!told_has_room(told, now_ms))
			return false;
		if (atomic_compare_exchange_strong_explicit(slot, &there, hash, memory_order_relaxed,
							    memory_order_relaxed))
			return true;
		if (there == hash)
			return false;
	}
	return false;
}
