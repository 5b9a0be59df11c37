/*
 * The power of two choices (Mitzenmacher): two servers are drawn by weight, and the one with fewer requests in flight for its weight is picked;
 * of equals the first drawn, so that idle servers have their exact shares. Pure; each worker has its own table.
 */
#include "balance/algorithms_internal.h"
#include "balance/draw.h"

static int p2c_pick(struct balance *balance, const struct balance_query *query)
{
	const struct balance_entry *entries = balance->options.entries;
	int first = draw_one(balance, query);
	int second = first == BALANCE_NONE ? BALANCE_NONE : draw_another(balance, query, first);

	if (second == BALANCE_NONE)
		return first;
	uint64_t load = (uint64_t)balance_in_flight(&entries[first]) * balance_weight(&entries[second]);
	uint64_t other = (uint64_t)balance_in_flight(&entries[second]) * balance_weight(&entries[first]);
	return other < load ? second : first;
}

const struct balance_ops balance_p2c = {
	.name = "p2c",
	.counts = true,
	.init = draw_init,
	.fini = draw_fini,
	.update = draw_update,
	.pick = p2c_pick,
};
