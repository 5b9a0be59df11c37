/*
 * Least connections: the server with the fewest requests in flight for its weight; among equals turns are taken by weight (turn.h), so
 * that idle servers have their exact shares. Pure; each worker has its own state.
 *
 * A few entries are looked through at each pick. More of them are in a heap by what was last seen of them. What this worker changes
 * is seen at once; what others change is seen when the entry is on top, and otherwise by looking at a few entries at each pick, in turn.
 */
#include "balance/algorithms_internal.h"
#include "balance/turn.h"

enum {
	FEW = 16,      /* entries that are looked through */
	REFRESHES = 4, /* entries that are looked at in turn at each pick */
	ROUNDS = 8,    /* tops that are looked at */
};

#define NOWHERE UINT32_MAX
#define FULL UINT64_MAX
#define AGES (UINT64_C(1) << 62)

struct place {
	uint64_t load;  /* requests in flight for a weight of 1, in 2^-32; FULL: it has as many as it may */
	uint64_t due;   /* of its next turn, in virtual time */
	uint32_t index; /* of the entry */
};

struct known {
	uint64_t due;
	uint32_t at;     /* in places[]; NOWHERE: it may not be picked */
	uint32_t weight; /* as the last update found it */
	uint32_t seen;   /* of its requests in flight */
};

struct least_conn {
	size_t size;
	uint64_t now;         /* in virtual time: when the latest of the turns taken was due */
	struct place *places; /* of live entries; a heap, unless they are few */
	struct known *known;  /* of all entries */
	unsigned live;
	unsigned next;      /* entry to be looked at */
	unsigned visited;   /* place to be looked at */
	uint32_t newcomers; /* so far */
};

/* By load, then by due time, as one number: which is less cannot be foretold, so there are no branches. */
static inline unsigned __int128 rank(const struct least_conn *state, const struct place *place)
{
	return (unsigned __int128)place->load << 64 | (place->due - state->now + 2 * AGES);
}

static inline bool before(const struct least_conn *state, unsigned at, unsigned __int128 other)
{
	return rank(state, &state->places[at]) < other;
}

static void put(struct least_conn *state, unsigned at, struct place place)
{
	state->places[at] = place;
	state->known[place.index].at = at;
}

/* The least of the children from `child` on. */
static unsigned least_child(const struct least_conn *state, unsigned child)
{
	const struct place *four = &state->places[child];
	unsigned least = 0;

	if (child + 4 > state->live) {
		for (unsigned i = 1; child + i < state->live; i++)
			least = rank(state, &four[i]) < rank(state, &four[least]) ? i : least;
		return child + least;
	}
	unsigned low = rank(state, &four[1]) < rank(state, &four[0]);
	unsigned high = 2U + (rank(state, &four[3]) < rank(state, &four[2]));
	return child + (rank(state, &four[high]) < rank(state, &four[low]) ? high : low);
}

static void sink(struct least_conn *state, unsigned at)
{
	struct place sinking = state->places[at];
	unsigned __int128 its = rank(state, &sinking);

	while (4 * at + 1 < state->live) {
		unsigned least = least_child(state, 4 * at + 1);

		if (!before(state, least, its))
			break;
		put(state, at, state->places[least]);
		at = least;
	}
	put(state, at, sinking);
}

static void rise(struct least_conn *state, unsigned at)
{
	struct place rising = state->places[at];
	unsigned __int128 its = rank(state, &rising);

	while (at > 0 && its < rank(state, &state->places[(at - 1) / 4])) {
		put(state, at, state->places[(at - 1) / 4]);
		at = (at - 1) / 4;
	}
	put(state, at, rising);
}

static uint64_t load_of(const struct balance_entry *entry, uint32_t in_flight, uint32_t weight)
{
	if (entry->most && in_flight >= entry->most)
		return FULL;
	return ((uint64_t)in_flight << 32) / weight;
}

/* Looks at an entry of the heap, and moves it when there is something new. True: there was not. */
static bool refresh(struct balance *balance, unsigned index)
{
	struct least_conn *state = balance->state;
	const struct balance_entry *entry = &balance->options.entries[index];
	struct known *known = &state->known[index];
	uint32_t in_flight = balance_in_flight(entry);

	if (known->seen == in_flight || known->at == NOWHERE)
		return true;
	struct place *place = &state->places[known->at];
	uint64_t old = place->load;
	known->seen = in_flight;
	place->load = load_of(entry, in_flight, known->weight);
	if (place->load < old)
		rise(state, known->at);
	else
		sink(state, known->at);
	return false;
}

static bool few(const struct least_conn *state)
{
	return state->live <= FEW;
}

/* At the next few. Who has not been picked for ages is moved nearer in virtual time, which would wrap some day. */
static void look_around(struct balance *balance)
{
	struct least_conn *state = balance->state;

	for (int i = 0; i < REFRESHES && !few(state); i++) {
		(void)refresh(balance, state->next);
		state->next = state->next + 1 < balance->options.count ? state->next + 1 : 0;
	}
	struct place *place = &state->places[state->visited];
	state->visited = state->visited + 1 < state->live ? state->visited + 1 : 0;
	if (turn_earlier(place->due, state->now - AGES)) {
		place->due = state->now - AGES / 2;
		if (!few(state))
			sink(state, state->known[place->index].at);
	}
}

/* The entry at a place has its turn; if it was long due, it does not get several for that. */
static int take(struct least_conn *state, unsigned at)
{
	struct place *place = &state->places[at];
	unsigned index = place->index;
	uint64_t length = turn_length(state->known[index].weight);

	if (turn_earlier(place->due, state->now - length))
		place->due = state->now - length;
	if (turn_earlier(state->now, place->due))
		state->now = place->due;
	place->due += length;
	if (!few(state))
		sink(state, at);
	return (int)index;
}

/* Looks at all entries, as they are now. */
static int pick_among_all(struct balance *balance, const struct balance_query *query)
{
	struct least_conn *state = balance->state;
	uint64_t best_load = 0, best_weight = 1;
	int best = -1;

	for (unsigned at = 0; at < state->live; at++) {
		const struct place *place = &state->places[at];

		if (!balance_may_pick(balance, place->index, query))
			continue;
		uint64_t load = balance_in_flight(&balance->options.entries[place->index]);
		uint64_t weight = state->known[place->index].weight;
		uint64_t mine = load * best_weight, its = best_load * weight;
		if (best >= 0 &&
		    (mine > its || (mine == its && !turn_earlier(place->due, state->places[best].due))))
			continue;
		best = (int)at;
		best_load = load;
		best_weight = weight;
	}
	return best < 0 ? BALANCE_NONE : take(state, (unsigned)best);
}

static int least_conn_pick(struct balance *balance, const struct balance_query *query)
{
	struct least_conn *state = balance->state;

	if (state->live == 0)
		return BALANCE_NONE;
	look_around(balance);
	if (few(state))
		return pick_among_all(balance, query);
	for (int i = 0; i < ROUNDS; i++)
		if (refresh(balance, state->places[0].index))
			break;
	if (balance_may_pick(balance, state->places[0].index, query))
		return take(state, 0);
	return pick_among_all(balance, query);
}

static void least_conn_on_in_flight(struct balance *balance, unsigned index)
{
	const struct least_conn *state = balance->state;

	if (!few(state))
		(void)refresh(balance, index);
}

/* A known one keeps its time, but waits no longer than a newcomer may. */
static uint64_t due(struct least_conn *state, const struct known *known, uint32_t weight)
{
	uint64_t latest = state->now + turn_length(weight);

	if (known->weight == 0)
		return state->now + turn_wait(weight, state->newcomers++);
	return turn_earlier(latest, known->due) ? latest : known->due;
}

static bool least_conn_update(struct balance *balance)
{
	struct least_conn *state = balance->state;
	const struct balance_options *options = &balance->options;

	for (unsigned i = 0; i < state->live; i++)
		state->known[state->places[i].index].due = state->places[i].due;
	state->live = state->visited = 0;
	for (unsigned i = 0; i < options->count; i++) {
		unsigned index = (options->offset % options->count + i) % options->count;
		const struct balance_entry *entry = &options->entries[index];
		struct known *known = &state->known[index];
		uint32_t weight = balance_weight(entry), in_flight = balance_in_flight(entry);
		uint64_t new_due = weight ? due(state, known, weight) : 0;

		known->weight = weight;
		known->at = NOWHERE;
		known->seen = in_flight;
		if (weight == 0)
			continue;
		put(state, state->live++, (struct place){load_of(entry, in_flight, weight), new_due, index});
	}
	for (unsigned at = few(state) ? 0 : state->live; at-- > 0;)
		sink(state, at);
	return true;
}

static bool least_conn_init(struct balance *balance)
{
	unsigned count = balance->options.count;
	size_t places = count * sizeof(struct place), known = count * sizeof(struct known);
	size_t size = sizeof(struct least_conn) + places + known;
	struct least_conn *state = memory_alloc(balance->options.memory, size);

	if (!state)
		return false;
	*state = (struct least_conn){
		.size = size,
		.places = (struct place *)(state + 1),
		.known = (struct known *)((char *)(state + 1) + places),
	};
	for (unsigned i = 0; i < count; i++)
		state->known[i] = (struct known){.at = NOWHERE};
	balance->state = state;
	return least_conn_update(balance);
}

static void least_conn_fini(struct balance *balance)
{
	struct least_conn *state = balance->state;

	memory_free(balance->options.memory, state, state->size);
}

const struct balance_ops balance_least_conn = {
	.name = "least_conn",
	.counts = true,
	.init = least_conn_init,
	.fini = least_conn_fini,
	.update = least_conn_update,
	.pick = least_conn_pick,
	.on_in_flight = least_conn_on_in_flight,
};
