/*
 * Private to the room: the algorithms, and the few words that they share.
 */
#ifndef GUISE_BALANCE_ALGORITHMS_INTERNAL_H
#define GUISE_BALANCE_ALGORITHMS_INTERNAL_H

#include "balance/balance.h"

extern const struct balance_ops balance_round_robin, balance_least_conn, balance_random, balance_p2c,
	balance_ewma;
extern const struct balance_ops balance_hash, balance_maglev;

/* The weight that counts: zero while an entry is not available, and never over the greatest. */
static inline uint32_t balance_weight(const struct balance_entry *entry)
{
	if (!entry->available)
		return 0;
	return entry->weight < BALANCE_WEIGHT_MAX ? entry->weight : BALANCE_WEIGHT_MAX;
}

static inline uint32_t balance_in_flight(const struct balance_entry *entry)
{
	return atomic_load_explicit(entry->in_flight, memory_order_relaxed);
}

static inline bool balance_avoids(const struct balance_query *query, unsigned index)
{
	for (unsigned i = 0; i < query->avoid_count; i++)
		if (query->avoid[i] == index)
			return true;
	return false;
}

#endif
