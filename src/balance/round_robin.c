/*
 * Turn-taking by weight. Pure; each worker has its own state.
 */
#include "balance/round_robin.h"

static int round_robin_pick(struct balance *balance, const struct balance_query *query)
{
	unsigned count = balance->options.count;

	for (unsigned i = 0; i < count; i++) {
		unsigned index = balance->options.offset++ % count;
		if (balance_may_pick(balance, index, query))
			return (int)index;
	}
	return BALANCE_NONE;
}

const struct balance_ops balance_round_robin = {
	.name = "round_robin",
	.pick = round_robin_pick,
};
