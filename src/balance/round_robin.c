/*
 * Smooth weighted round robin: each server gets exactly its share in every full cycle, spread evenly through it. Pure; each worker has
 * its own state.
 *
 * While all weights are equal, a cursor that goes round; else a heap of turns. Entries that are not available have no part in
 * either, from the next update on.
 */
#include "balance/algorithms_internal.h"
#include "balance/turn.h"

enum { SKIPS = 8 /* entries that are passed over before all are looked at */ };

/* What outlives an update, for each entry: when its next turn is due, if it has a weight here. */
struct known {
	uint64_t due;
	uint32_t weight;
};

struct round_robin {
	size_t size;
	uint64_t now; /* in virtual time: when the last turn was due */
	struct turn *turns;
	struct known *known;
	unsigned live;   /* entries that take turns */
	unsigned next;   /* while weights are equal: the place in turns[] that is next */
	unsigned first;  /* the entry to begin with */
	uint32_t seeded; /* newcomers so far */
	bool equal;
};

/* Takes down where everybody was: in known[], and in first. */
static void remember(struct round_robin *state)
{
	if (state->live == 0)
		return;
	state->first = state->turns[state->equal ? state->next : 0].index;
	for (unsigned i = 0; i < state->live && !state->equal; i++)
		state->known[state->turns[i].index].due = state->turns[i].due;
}

/* The live entries into turns[], beginning with the first; whether their weights are equal. */
static bool gather(struct round_robin *state, const struct balance_options *options)
{
	bool equal = true;

	state->live = 0;
	state->next = 0;
	for (unsigned i = 0; i < options->count; i++) {
		unsigned index = (state->first + i) % options->count;
		uint32_t weight = balance_weight(&options->entries[index]);

		if (weight == 0)
			continue;
		state->turns[state->live++] = (struct turn){.weight = weight, .index = index};
		equal = equal && weight == state->turns[0].weight;
	}
	return equal;
}

/* Keeps how much of its time a known one has waited; a newcomer waits for a part of it. */
static uint64_t due(struct round_robin *state, const struct turn *turn)
{
	const struct known *known = &state->known[turn->index];

	if (known->weight == 0)
		return state->now + turn_wait(turn->weight, state->seeded++);
	if (known->weight == turn->weight)
		return known->due;
	uint64_t left = turn_earlier(known->due, state->now) ? 0 : known->due - state->now;
	uint64_t part = left / (turn_length(known->weight) >> 16);
	uint64_t whole = turn_length(turn->weight);
	return state->now + (part < UINT64_C(1) << 16 ? part * (whole >> 16) : whole);
}

static bool round_robin_update(struct balance *balance)
{
	struct round_robin *state = balance->state;
	bool was_equal = state->equal;

	remember(state);
	state->equal = gather(state, &balance->options);
	if (was_equal)
		state->seeded = 0;
	for (unsigned i = 0; i < state->live && !state->equal; i++)
		state->turns[i].due = due(state, &state->turns[i]);
	for (unsigned i = 0; i < balance->options.count; i++)
		state->known[i].weight = 0;
	if (state->equal)
		return true;
	for (unsigned i = 0; i < state->live; i++)
		state->known[state->turns[i].index].weight = state->turns[i].weight;
	turns_heapify(state->turns, state->live);
	return true;
}

static bool round_robin_init(struct balance *balance)
{
	unsigned count = balance->options.count;
	size_t turns = count * sizeof(struct turn), known = count * sizeof(struct known);
	size_t size = sizeof(struct round_robin) + turns + known;
	struct round_robin *state = memory_alloc(balance->options.memory, size);

	if (!state)
		return false;
	*state = (struct round_robin){
		.size = size,
		.turns = (struct turn *)(state + 1),
		.known = (struct known *)((char *)(state + 1) + turns),
		.first = count ? balance->options.offset % count : 0,
		.equal = true,
	};
	for (unsigned i = 0; i < count; i++)
		state->known[i] = (struct known){0};
	balance->state = state;
	return round_robin_update(balance);
}

static void round_robin_fini(struct balance *balance)
{
	struct round_robin *state = balance->state;

	memory_free(balance->options.memory, state, state->size);
}

static int pick_equal(struct balance *balance, const struct balance_query *query)
{
	struct round_robin *state = balance->state;

	for (unsigned i = 0; i < state->live; i++) {
		unsigned index = state->turns[state->next].index;

		state->next = state->next + 1 < state->live ? state->next + 1 : 0;
		if (balance_may_pick(balance, index, query))
			return (int)index;
	}
	return BALANCE_NONE;
}

/* Looks at all; no one's turn passes but the one's that is picked. */
static int pick_among_all(struct balance *balance, const struct balance_query *query)
{
	struct round_robin *state = balance->state;
	int best = -1;

	for (unsigned at = 0; at < state->live; at++) {
		const struct turn *turn = &state->turns[at];

		if (best >= 0 && !turn_earlier(turn->due, state->turns[best].due))
			continue;
		if (balance_may_pick(balance, turn->index, query))
			best = (int)at;
	}
	if (best < 0)
		return BALANCE_NONE;
	unsigned index = state->turns[best].index;
	turns_take(state->turns, state->live, (unsigned)best);
	return (int)index;
}

/* The turn of one that is full passes. One that is to be avoided this time keeps it. */
static int pick_weighted(struct balance *balance, const struct balance_query *query)
{
	struct round_robin *state = balance->state;

	for (int i = 0; i < SKIPS; i++) {
		unsigned index = state->turns[0].index;
		bool good = balance_may_pick(balance, index, query);

		if (!good && balance_avoids(query, index))
			break;
		state->now = state->turns[0].due;
		turns_take(state->turns, state->live, 0);
		if (good)
			return (int)index;
	}
	return pick_among_all(balance, query);
}

static int round_robin_pick(struct balance *balance, const struct balance_query *query)
{
	const struct round_robin *state = balance->state;

	return state->equal ? pick_equal(balance, query) : pick_weighted(balance, query);
}

const struct balance_ops balance_round_robin = {
	.name = "round_robin",
	.init = round_robin_init,
	.fini = round_robin_fini,
	.update = round_robin_update,
	.pick = round_robin_pick,
};
