/*
 * Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam). Each server has points on a ring, as many as its weight says; a key
 * goes to the server of the next point, and on from there past those that may not be picked, or that have more in flight than `bound` percent
 * of their fair share. Pure; each worker has its own ring, the same as all others have.
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
	STEPS = 256,              /* points that are tried */
	REFRESHES = 4,            /* entries whose requests in flight are looked at in turn at each pick */
};

/* A point: 48 bits of hash, which it is ordered by, and 16 of the index. */
struct ring {
	size_t size;
	unsigned points, shift;
	uint64_t *point;
	uint32_t *first; /* by the top bits of a hash: the first point that has them, or would come after */
};

struct hash {
	size_t size;
	struct ring *ring; /* NULL: nobody has a weight */
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

static struct ring *ring_new(struct memory *memory, unsigned points)
{
	unsigned bits = points > 1 ? 32 - (unsigned)__builtin_clz(points - 1) : 1;
	size_t size = sizeof(struct ring) + points * sizeof(uint64_t) +
		      ((size_t)(1U << bits) + 1) * sizeof(uint32_t);
	struct ring *ring = memory_alloc(memory, size);

	if (!ring)
		return NULL;
	*ring = (struct ring){
		.size = size, .points = points, .shift = 64 - bits, .point = (uint64_t *)(ring + 1)};
	ring->first = (uint32_t *)(ring->point + points);
	memset(ring->first, 0, ((size_t)(1U << bits) + 1) * sizeof(uint32_t));
	return ring;
}

/*
 * Points fall evenly, so they are sorted by their top bits first, counted and placed, and what has the same top bits, which is little, one by one.
 * first[] counts, then says where the next one goes; so in the end each of its values is the one that belongs after it.
 */
static void ring_fill(struct ring *ring, const struct balance_options *options, const struct measure *measure)
{
	size_t slots = (size_t)1 << (64 - ring->shift);
	uint32_t before = 0;

	for (unsigned i = 0; i < options->count; i++) {
		uint64_t id = keyed_mix(options->entries[i].id);
		for (unsigned k = points_of(measure, &options->entries[i]); k > 0; k--)
			ring->first[keyed_hash(id, k) >> ring->shift]++;
	}
	for (size_t slot = 0; slot <= slots; slot++) {
		uint32_t here = ring->first[slot];
		ring->first[slot] = before;
		before += here;
	}
	for (unsigned i = 0; i < options->count; i++) {
		uint64_t id = keyed_mix(options->entries[i].id);
		for (unsigned k = points_of(measure, &options->entries[i]); k > 0; k--) {
			uint64_t hash = keyed_hash(id, k);
			ring->point[ring->first[hash >> ring->shift]++] = (hash & ~UINT64_C(0xffff)) | i;
		}
	}
	memmove(ring->first + 1, ring->first, slots * sizeof(*ring->first));
	ring->first[0] = 0;
	for (unsigned i = 1; i < ring->points; i++) {
		uint64_t point = ring->point[i];
		unsigned at = i;
		for (; at > 0 && ring->point[at - 1] > point; at--)
			ring->point[at] = ring->point[at - 1];
		ring->point[at] = point;
	}
}

static void ring_free(struct memory *memory, struct ring *ring)
{
	if (ring)
		memory_free(memory, ring, ring->size);
}

/* A new ring in place of the old one, which stays when there is no memory for it. */
static bool lay_out(struct hash *state, const struct balance_options *options)
{
	const struct measure how = measure(options);
	struct ring *ring = NULL;
	unsigned points = 0;

	for (unsigned i = 0; i < options->count; i++)
		points += points_of(&how, &options->entries[i]);
	if (points > 0) {
		ring = ring_new(options->memory, points);
		if (!ring)
			return false;
		ring_fill(ring, options, &how);
	}
	ring_free(options->memory, state->ring);
	state->ring = ring;
	keyed_weights_keep(options, state->weights);
	return true;
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

static bool hash_init(struct balance *balance)
{
	unsigned count = balance->options.count;
	size_t size = sizeof(struct hash) + 3 * count * sizeof(uint32_t);
	struct hash *state = memory_alloc(balance->options.memory, size);

	if (!state)
		return false;
	memset(state, 0, size);
	state->size = size;
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

	ring_free(balance->options.memory, state->ring);
	memory_free(balance->options.memory, state, state->size);
}

/* One more would not be more than `bound` percent of its share of all that would then be in flight, rounded up. */
static bool within_bound(const struct balance *balance, unsigned index, const struct balance_query *query)
{
	const struct hash *state = balance->state;
	uint64_t bound = balance->options.bound < 65536 ? balance->options.bound : 65536;
	uint64_t all = state->in_flight < UINT32_MAX / 2 ? state->in_flight + 1 : UINT32_MAX / 2;

	if (!balance_may_pick(balance, index, query))
		return false;
	if (bound == 0)
		return true;
	uint64_t fair = (bound * all * state->counted[index] + 100 * state->weight - 1) / (100 * state->weight);
	return balance_in_flight(&balance->options.entries[index]) + UINT64_C(1) <= fair;
}

/* The first point at or after a hash; the number of points where that would be the first one again. */
static unsigned ring_find(const struct ring *ring, uint64_t hash)
{
	unsigned at = ring->first[hash >> ring->shift];

	while (at < ring->points && (ring->point[at] | 0xffff) < hash)
		at++;
	return at;
}

static int walk(const struct balance *balance, const struct balance_query *query)
{
	const struct hash *state = balance->state;
	const struct ring *ring = state->ring;
	unsigned at = ring_find(ring, keyed_mix(query->hash)), last = BALANCE_ENTRIES_MAX;

	for (unsigned step = 0; step < STEPS && step < ring->points; step++, at++) {
		at = at < ring->points ? at : 0;
		unsigned index = ring->point[at] & 0xffff;
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
