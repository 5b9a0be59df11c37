/*
 * Any server, by weight. Pure; each worker has its own table.
 */
#include "balance/algorithms_internal.h"
#include "balance/draw.h"

static int random_pick(struct balance *balance, const struct balance_query *query)
{
	return draw_one(balance, query);
}

const struct balance_ops balance_random = {
	.name = "random",
	.init = draw_init,
	.fini = draw_fini,
	.update = draw_update,
	.pick = random_pick,
};
