/*
 * Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam). Each server has points on a ring, as many as its weight says; a key
 * goes to the server of the next point, and on from there past those that may not be picked, or that have more in flight than `bound` percent
 * of their fair share. Pure; each worker has its own ring, the same as all others have.
 *
 * The ring is cut into many equal slots, and what is kept is the server of each: that of the first point in it or after it. So a look at one
 * place of a small table finds the server, and more points, for shares that are closer to the weights, cost nothing.
 *
 * How many points a server has depends on the other servers as little as possible, since a ring with a new measure moves keys among all:
 * the greatest weight decides in steps of four, and the number of servers only where each has so small a part that it makes little difference.
 */
#include "balance/algorithms_internal.h"
#include "balance/keyed.h"

#include <string.h>

enum {
	POINTS = 16384,           /* at most, for one server */
	POINTS_ALL = 20 * POINTS, /* for all, in proportion; up to there nothing depends on their number */
	POINTS_FEW = 32,          /* on average, at least */
	STEPS = 256,              /* slots that are tried */
	REFRESHES = 4,            /* entries whose requests in flight are looked at in turn at each pick */
};

#define NO_POINT UINT64_MAX

struct hash {
	size_t size;
	unsigned bits;     /* of a hash, that say in which slot it is */
	uint16_t *ring;    /* the entry of each slot; NULL: nobody has a weight */
	uint32_t *weights; /* by which it was laid out */
	/* With a bound: */
	uint32_t *counted;          /* each entry's weight while it is available, else 0 */
	uint32_t *seen;             /* of its requests in flight; 0 while it is not available */
	uint64_t weight, in_flight; /* the sums of both */
	unsigned next;              /* entry to be looked at */
};

/* What the ring is measured by: points of an entry = weight * points / per. */
struct measure {
	uint64_t points, per;
};

static struct measure measure(const struct balance_options *options)
{
	uint64_t total = 0, greatest = 0, step = 4 * 256;

	for (unsigned i = 0; i < options->count; i++) {
		uint64_t weight = keyed_weight(&options->entries[i]);

		total += weight;
		greatest = weight > greatest ? weight : greatest;
	}
	while (step < greatest)
		step *= 4;
	uint64_t few = (uint64_t)POINTS_FEW * options->count, most = few > POINTS_ALL ? few : POINTS_ALL;
	if (total * POINTS / step > most)
		return (struct measure){most, total};
	return (struct measure){POINTS, step};
}

static unsigned points_of(const struct measure *measure, const struct balance_entry *entry)
{
	uint64_t points = keyed_weight(entry) * measure->points / measure->per;

	return (unsigned)(points > 0 ? points : keyed_weight(entry) > 0);
}

static size_t slots_of(const struct hash *state)
{
	return (size_t)1 << state->bits;
}

/* The first point in each slot: 48 bits of its hash, which it is ordered by, and 16 of its entry's index. */
static void lay_points(const struct hash *state, const struct balance_options *options, uint64_t *first)
{
	const struct measure how = measure(options);

	for (size_t slot = 0; slot < slots_of(state); slot++)
		first[slot] = NO_POINT;
	for (unsigned i = 0; i < options->count; i++) {
		uint64_t id = keyed_mix(options->entries[i].id);
		for (unsigned k = points_of(&how, &options->entries[i]); k > 0; k--) {
			uint64_t hash = keyed_hash(id, k), point = (hash & ~UINT64_C(0xffff)) | i;
			uint64_t *slot = &first[hash >> (64 - state->bits)];
			*slot = point < *slot ? point : *slot;
		}
	}
}

/* Backwards, and round once more for what lies behind the last point. False: there are no points. */
static bool close_ring(const struct hash *state, const uint64_t *first, uint16_t *ring)
{
	uint64_t next = NO_POINT;

	for (size_t i = 2 * slots_of(state); i-- > 0;) {
		size_t slot = i & (slots_of(state) - 1);
		next = first[slot] != NO_POINT ? first[slot] : next;
		ring[slot] = (uint16_t)next;
	}
	return next != NO_POINT;
}

static void ring_free(struct hash *state, struct memory *memory)
{
	memory_free(memory, state->ring, slots_of(state) * sizeof(*state->ring));
	state->ring = NULL;
}

/* A new ring in place of the old one, which stays when there is no memory for it. */
static bool lay_out(struct hash *state, const struct balance_options *options)
{
	size_t ring_size = slots_of(state) * sizeof(*state->ring),
	       first_size = slots_of(state) * sizeof(uint64_t);
	uint16_t *ring = memory_alloc(options->memory, ring_size);
	uint64_t *first = memory_alloc(options->memory, first_size);
	bool good = ring && first;

	if (good) {
		lay_points(state, options, first);
		ring_free(state, options->memory);
		keyed_weights_keep(options, state->weights);
		if (close_ring(state, first, ring)) {
			state->ring = ring;
			ring = NULL;
		}
	}
	memory_free(options->memory, first, first_size);
	memory_free(options->memory, ring, ring_size);
	return good;
}

static uint64_t least(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

static void look_at(struct hash *state, const struct balance_options *options, unsigned index)
{
	uint32_t in_flight = state->counted[index] ? balance_in_flight(&options->entries[index]) : 0;

	state->in_flight += in_flight;
	state->in_flight -= state->seen[index];
	state->seen[index] = in_flight;
}

static void hash_on_in_flight(struct balance *balance, unsigned index)
{
	if (balance->options.bound)
		look_at(balance->state, &balance->options, index);
}

static bool hash_update(struct balance *balance)
{
	const struct balance_options *options = &balance->options;
	struct hash *state = balance->state;

	state->weight = 0;
	for (unsigned i = 0; i < options->count; i++) {
		state->counted[i] = balance_weight(&options->entries[i]);
		state->weight += state->counted[i];
		look_at(state, options, i);
	}
	return !keyed_weights_changed(options, state->weights) || lay_out(state, options);
}

/*
 * Slots of another size move some keys, so that there are only two, and the step is where few groups ever come: up to there an entry has
 * at least 64 slots.
 */
static unsigned bits_for(unsigned count)
{
	return count <= 4096 ? 18 : 21;
}

static bool hash_init(struct balance *balance)
{
	unsigned count = balance->options.count;
	size_t size = sizeof(struct hash) + 3 * count * sizeof(uint32_t);
	struct hash *state = memory_alloc(balance->options.memory, size);

	if (!state)
		return false;
	memset(state, 0, size);
	state->size = size;
	state->bits = bits_for(count);
	state->weights = (uint32_t *)(state + 1);
	state->counted = state->weights + count;
	state->seen = state->counted + count;
	balance->state = state;
	if (hash_update(balance))
		return true;
	memory_free(balance->options.memory, state, size);
	return false;
}

static void hash_fini(struct balance *balance)
{
	struct hash *state = balance->state;

	ring_free(state, balance->options.memory);
	memory_free(balance->options.memory, state, state->size);
}

/*
 * One more would not be more than `bound` percent of its share of all that would then be in flight, rounded up. Limits that no server
 * and no configuration comes near keep the products within 64 bits.
 */
static bool within_bound(const struct balance *balance, unsigned index, const struct balance_query *query)
{
	const struct hash *state = balance->state;
	uint64_t bound = least(balance->options.bound, 1 << 16);

	if (!balance_may_pick(balance, index, query))
		return false;
	if (bound == 0)
		return true;
	uint64_t all = least(state->in_flight + 1, (uint64_t)1 << 31);
	uint64_t its = least(balance_in_flight(&balance->options.entries[index]), 1 << 24);
	return its * 100 * state->weight < bound * all * state->counted[index];
}

static int walk(const struct balance *balance, const struct balance_query *query)
{
	const struct hash *state = balance->state;
	size_t slot = keyed_mix(query->hash) >> (64 - state->bits);
	unsigned last = BALANCE_ENTRIES_MAX;

	for (unsigned step = 0; step < STEPS; step++) {
		unsigned index = state->ring[(slot + step) & (slots_of(state) - 1)];
		if (index != last && within_bound(balance, index, query))
			return (int)index;
		last = index;
	}
	return BALANCE_NONE;
}

/* When all that may be picked are over their bound, which an old view of what is in flight can bring about, the bound yields. */
static int hash_pick(struct balance *balance, const struct balance_query *query)
{
	struct hash *state = balance->state;

	if (!state->ring)
		return BALANCE_NONE;
	for (int i = 0; i < REFRESHES && balance->options.bound; i++) {
		look_at(state, &balance->options, state->next);
		state->next = state->next + 1 < balance->options.count ? state->next + 1 : 0;
	}
	int index = walk(balance, query);
	if (index == BALANCE_NONE && balance->options.bound)
		index = keyed_among_all(balance, query, within_bound);
	return index == BALANCE_NONE ? keyed_among_all(balance, query, balance_may_pick) : index;
}

const struct balance_ops balance_hash = {
	.name = "hash",
	.keyed = true,
	.counts = true,
	.init = hash_init,
	.fini = hash_fini,
	.update = hash_update,
	.pick = hash_pick,
	.on_in_flight = hash_on_in_flight,
};
