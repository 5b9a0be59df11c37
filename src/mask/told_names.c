/*
 * See told_names.h. A table that only ever fills: a name that is there is found by reads alone.
 */
#include "mask/told_names.h"

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
		if (!pace_allows(&told->pace, TOLD_A_SECOND, now_ms))
			return false;
		if (atomic_compare_exchange_strong_explicit(slot, &there, hash, memory_order_relaxed,
							    memory_order_relaxed))
			return true;
		if (there == hash)
			return false;
	}
	return false;
}
