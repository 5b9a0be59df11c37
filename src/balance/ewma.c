/*
 * Peak EWMA: of two servers drawn by weight the one that promises the shorter wait. What a server promises is the average of its
 * latencies, weighted exponentially by age, times the requests that it has in flight for its weight, and one more. A latency above
 * the average becomes the average at once, so that a server that gets slow is noticed by its first answer. Pure; each worker has its
 * own averages, in the entries.
 *
 * Latencies that are near each other count as equal: what then decides is in_flight as with p2c, and if that is equal too the first drawn.
 * Otherwise the noise of a few microseconds would decide, and not the weights.
 */
#include "balance/algorithms_internal.h"
#include "balance/draw.h"

enum { DECAY_US = 10 * 1000 * 1000 /* in which a latency's part of the average falls to 1/e */ };

/* What is left of a part of the average after so long: e^-x, near enough, and never quite nothing. */
static double fade(uint64_t from_us, uint64_t now_us)
{
	double x = now_us > from_us ? (double)(now_us - from_us) / DECAY_US : 0;

	return 1 / (1 + x * (1 + x * (0.5 + x / 6)));
}

static double average(const struct balance_entry *entry)
{
	return (double)entry->latency_us + entry->latency_part * 0x1p-32;
}

static bool unknown(const struct balance_entry *entry)
{
	return entry->latency_us == 0 && entry->latency_part == 0;
}

static void ewma_on_latency(struct balance *balance, unsigned index, uint64_t latency_us, uint64_t now_us)
{
	struct balance_entry *entry = &balance->options.entries[index];
	double latency = (double)(latency_us > 0 ? latency_us : 1);
	double kept = fade(entry->latency_at_us, now_us), old = average(entry);

	if (!unknown(entry) && latency < old)
		latency += (old - latency) * kept;
	entry->latency_us = (uint64_t)latency;
	entry->latency_part = (uint32_t)((latency - (double)entry->latency_us) * 0x1p32);
	entry->latency_at_us = now_us;
}

/* With no answers for a while, a slow server's average fades too, so that it is tried again. */
static double expected(const struct balance_entry *entry, uint64_t now_us)
{
	return average(entry) * fade(entry->latency_at_us, now_us);
}

/*
 * Whether the second promises a shorter wait than the first. Of whom nothing is known yet, as much is expected as of the other; but what it has
 * in flight counts double, so that it is asked soon, and not much more until it has answered.
 */
static bool second_is_better(const struct balance_entry *first, const struct balance_entry *second,
			     uint64_t now_us)
{
	double weight = balance_weight(first), other_weight = balance_weight(second);
	double load = balance_in_flight(first) / weight, other_load = balance_in_flight(second) / other_weight;
	double wait = 1, other_wait = 1, mean = (weight + other_weight) / 2;

	if (unknown(first) != unknown(second)) {
		double *new = unknown(first) ? &load : &other_load;
		if (*new == 0)
			return new == &other_load;
		*new *= 2;
	} else if (!unknown(first)) {
		wait = expected(first, now_us);
		other_wait = expected(second, now_us);
		if (wait * 2 < other_wait * 3 && other_wait * 2 < wait * 3)
			wait = other_wait = 1;
	}
	return other_wait * (other_load * mean + 1) < wait * (load * mean + 1);
}

static int ewma_pick(struct balance *balance, const struct balance_query *query)
{
	const struct balance_entry *entries = balance->options.entries;
	int first = draw_one(balance, query);
	int second = first == BALANCE_NONE ? BALANCE_NONE : draw_another(balance, query, first);

	if (second == BALANCE_NONE)
		return first;
	return second_is_better(&entries[first], &entries[second], query->now_us) ? second : first;
}

const struct balance_ops balance_ewma = {
	.name = "ewma",
	.counts = true,
	.times = true,
	.init = draw_init,
	.fini = draw_fini,
	.update = draw_update,
	.pick = ewma_pick,
	.on_latency = ewma_on_latency,
};
