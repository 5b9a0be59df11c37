/*
 * The table of balancing algorithms, and what they share. Pure; each worker has its own struct balance.
 */
#include "balance/balance.h"

#include "balance/algorithms_internal.h"

const struct balance_ops *const balance_algorithms[] = {
	&balance_round_robin, &balance_least_conn, &balance_random, &balance_p2c,
	&balance_ewma,        &balance_hash,       &balance_maglev, NULL,
};
const char *const balance_names[] = {"round_robin", "least_conn", "random", "p2c",
				     "ewma",        "hash",       "maglev", NULL};

_Static_assert(ARRAY_LENGTH(balance_algorithms) == ARRAY_LENGTH(balance_names), "one name for each algorithm");

bool balance_init(struct balance *balance, const struct balance_options *options)
{
	ENSURE(options->count <= BALANCE_ENTRIES_MAX);
	*balance = (struct balance){.options = *options};
	if (options->ops->init && !options->ops->init(balance)) {
		*balance = (struct balance){0};
		return false;
	}
	return true;
}

void balance_fini(struct balance *balance)
{
	if (balance->options.ops && balance->options.ops->fini)
		balance->options.ops->fini(balance);
	*balance = (struct balance){0};
}

bool balance_update(struct balance *balance)
{
	return !balance->options.ops->update || balance->options.ops->update(balance);
}

int balance_pick(struct balance *balance, const struct balance_query *query)
{
	return balance->options.ops->pick(balance, query);
}

void balance_on_in_flight(struct balance *balance, unsigned index)
{
	if (balance->options.ops->on_in_flight)
		balance->options.ops->on_in_flight(balance, index);
}

void balance_on_latency(struct balance *balance, unsigned index, uint64_t latency_us, uint64_t now_us)
{
	if (balance->options.ops->on_latency)
		balance->options.ops->on_latency(balance, index, latency_us, now_us);
}

bool balance_may_pick(const struct balance *balance, unsigned index, const struct balance_query *query)
{
	const struct balance_entry *entry = &balance->options.entries[index];

	if (!entry->available || entry->weight == 0)
		return false;
	if (entry->most && atomic_load_explicit(entry->in_flight, memory_order_relaxed) >= entry->most)
		return false;
	return !balance_avoids(query, index);
}
