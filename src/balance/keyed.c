/*
 * The last resort of the algorithms that stick to a key, and how they notice that their layout is out of date.
 */
#include "balance/keyed.h"

bool keyed_weights_changed(const struct balance_options *options, const uint32_t *weights)
{
	for (unsigned i = 0; i < options->count; i++)
		if (keyed_weight(&options->entries[i]) != weights[i])
			return true;
	return false;
}

void keyed_weights_keep(const struct balance_options *options, uint32_t *weights)
{
	for (unsigned i = 0; i < options->count; i++)
		weights[i] = keyed_weight(&options->entries[i]);
}

/* Rendezvous hashing (Thaler and Ravishankar): the one whose hash with the key is highest; more weight lifts it, roughly in proportion. */
int keyed_among_all(const struct balance *balance, const struct balance_query *query, keyed_may_pick *may_pick)
{
	uint64_t highest = 0;
	int best = BALANCE_NONE;

	for (unsigned i = 0; i < balance->options.count; i++) {
		const struct balance_entry *entry = &balance->options.entries[i];

		if (!may_pick(balance, i, query))
			continue;
		uint64_t score = (keyed_hash(query->hash, keyed_mix(entry->id)) >> 32) * keyed_weight(entry);
		if (best == BALANCE_NONE || score > highest) {
			best = (int)i;
			highest = score;
		}
	}
	return best;
}
