/*
 * The table of balancing algorithms. Pure; each worker has its own struct balance.
 */
#include "balance/balance.h"

#include "balance/round_robin.h"

const struct balance_ops *const balance_algorithms[] = {&balance_round_robin, NULL};
const char *const balance_names[] = {"round_robin", NULL};

_Static_assert(ARRAY_LENGTH(balance_algorithms) == ARRAY_LENGTH(balance_names), "one name for each algorithm");

void balance_init(struct balance *balance, const struct balance_ops *ops, struct balance_entry *entries,
		  unsigned count, unsigned offset)
{
	*balance = (struct balance){.ops = ops, .entries = entries, .count = count};
	ops->reset(balance, offset);
}

int balance_pick(struct balance *balance, const struct balance_query *query)
{
	static const struct balance_query anything = {.tried = NULL};

	return balance->ops->pick(balance, query ? query : &anything);
}
