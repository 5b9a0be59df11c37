/*
 * Smooth weighted round robin. Pure; each worker has its own state.
 *
 * Weighted: at each pick every eligible entry gains its weight, the one that has most is picked and pays the sum of
 * all weights. Over a cycle of that sum each is picked exactly as often as its weight says, spread evenly. With equal
 * weights that is plain turn-taking, for which a cursor is enough.
 */
#include "balance/round_robin.h"

static bool eligible(const struct balance *balance, unsigned index, const struct balance_query *query)
{
	const struct balance_entry *entry = &balance->entries[index];

	return entry->available && entry->weight > 0 && !(query->tried && query->tried[index]);
}

static int pick_equal(struct balance *balance, const struct balance_query *query)
{
	unsigned index = balance->cursor;

	for (unsigned i = 0; i < balance->count; i++) {
		if (index >= balance->count)
			index = 0;
		if (eligible(balance, index, query)) {
			balance->cursor = index + 1;
			return (int)index;
		}
		index++;
	}
	return BALANCE_NONE;
}

static int pick_weighted(struct balance *balance, const struct balance_query *query)
{
	int best = BALANCE_NONE;
	int32_t total = 0;

	for (unsigned i = 0; i < balance->count; i++) {
		struct balance_entry *entry = &balance->entries[i];

		if (!eligible(balance, i, query))
			continue;
		entry->current += (int32_t)entry->weight;
		total += (int32_t)entry->weight;
		if (best == BALANCE_NONE || entry->current > balance->entries[best].current)
			best = (int)i;
	}
	if (best != BALANCE_NONE)
		balance->entries[best].current -= total;
	return best;
}

static int round_robin_pick(struct balance *balance, const struct balance_query *query)
{
	return balance->equal ? pick_equal(balance, query) : pick_weighted(balance, query);
}

static void round_robin_reset(struct balance *balance, unsigned offset)
{
	uint64_t total = 0;

	balance->equal = true;
	for (unsigned i = 0; i < balance->count; i++) {
		ENSURE(balance->entries[i].weight <= BALANCE_WEIGHT_MAX);
		balance->entries[i].current = 0;
		total += balance->entries[i].weight;
		if (balance->entries[i].weight != balance->entries[0].weight)
			balance->equal = false;
	}
	ENSURE(total <= INT32_MAX / 2);
	balance->cursor = balance->count ? offset % balance->count : 0;
	if (balance->equal || total == 0)
		return;
	for (uint64_t i = offset % total; i > 0; i--)
		pick_weighted(balance, &(struct balance_query){.tried = NULL});
}

const struct balance_ops balance_round_robin = {
	.name = "round_robin",
	.reset = round_robin_reset,
	.pick = round_robin_pick,
};
