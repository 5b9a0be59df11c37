/*
 * What the algorithms that stick to a key share. They are laid out from ids, weights and constants alone, so that every worker and every process
 * comes to the same, in whatever order it knows the servers; and over all entries that have a weight, available or not, so
 * that one that fails moves no keys but its own.
 */
#ifndef GUISE_BALANCE_KEYED_H
#define GUISE_BALANCE_KEYED_H

#include "balance/balance.h"

/* Every bit of the result depends on every bit of the number (the finisher of SplitMix64, by Stafford). */
static inline uint64_t keyed_mix(uint64_t number)
{
	number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
	return number ^ number >> 31;
}

/* The `number`th of an endless row of hashes. */
static inline uint64_t keyed_hash(uint64_t hash, uint64_t number)
{
	return keyed_mix(hash + number * UINT64_C(0x9e3779b97f4a7c15));
}

/* The weight that the layout goes by. */
static inline uint32_t keyed_weight(const struct balance_entry *entry)
{
	return entry->weight < BALANCE_WEIGHT_MAX ? entry->weight : BALANCE_WEIGHT_MAX;
}

/* The weights to `weights`; whether one of them is new. */
bool keyed_weights_changed(const struct balance_options *options, const uint32_t *weights);
void keyed_weights_keep(const struct balance_options *options, uint32_t *weights);

typedef bool keyed_may_pick(const struct balance *balance, unsigned index, const struct balance_query *query);

/* The same for the same key as long as the same entries may be picked; looks at all. BALANCE_NONE: there are none. */
int keyed_among_all(const struct balance *balance, const struct balance_query *query, keyed_may_pick *may_pick);

#endif
