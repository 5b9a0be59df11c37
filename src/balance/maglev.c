/*
 * Maglev hashing (Eisenbud et al., 2016): a table of a prime size, in which each server has as many slots as its weight says. Slots are given
 * out in turns; each server takes the next free one of a row of its own. Shares are even to a slot, and a key is found by one look; but a few keys
 * move between servers that stay when another one goes. Pure; each worker has its own table, the same as all others have.
 */
#include "balance/algorithms_internal.h"
#include "balance/keyed.h"
#include "balance/turn.h"

#include <string.h>

enum {
	FREE = BALANCE_ENTRIES_MAX, /* a slot that is nobody's yet; no index is so high */
	REHASHES = 8,               /* slots that are tried */
};

struct maglev {
	size_t size;
	uint32_t slots;    /* prime */
	uint16_t *table;   /* NULL: nobody has a weight */
	uint32_t *weights; /* by which it was laid out */
};

/* Row of an entry: offset, offset + skip, and so on, modulo the number of slots. */
struct row {
	uint32_t at, skip;
};

/*
 * A table of another size moves all keys, so that there are only two, and the step is where few groups ever come: up to there an entry
 * has at least 16 slots.
 */
static uint32_t slots_for(unsigned count)
{
	return count <= 4096 ? 65537 : 1048583;
}

/* Turns in an order that hangs on ids alone: each begins somewhere in its first turn. */
static unsigned line_up(const struct balance_options *options, uint32_t slots, struct turn *turns,
			struct row *rows)
{
	unsigned live = 0;

	for (unsigned i = 0; i < options->count; i++) {
		uint64_t hash = keyed_mix(options->entries[i].id);
		uint32_t weight = keyed_weight(&options->entries[i]);

		if (weight == 0)
			continue;
		turns[live++] = (struct turn){
			.due = (turn_length(weight) >> 28) * (keyed_hash(hash, 3) >> 36),
			.weight = weight,
			.index = i,
		};
		rows[i] = (struct row){
			.at = (uint32_t)(keyed_hash(hash, 1) % slots),
			.skip = (uint32_t)(keyed_hash(hash, 2) % (slots - 1) + 1),
		};
	}
	turns_heapify(turns, live);
	return live;
}

/* Each row passes every slot, since their number is prime, so there is always a free one ahead. */
static void fill(uint16_t *table, uint32_t slots, struct turn *turns, unsigned live, struct row *rows)
{
	memset(table, 0xff, slots * sizeof(*table));
	for (uint32_t filled = 0; filled < slots; filled++) {
		unsigned index = turns[0].index;
		struct row *row = &rows[index];

		while (table[row->at] != FREE)
			row->at = row->at + row->skip < slots ? row->at + row->skip :
								row->at + row->skip - slots;
		table[row->at] = (uint16_t)index;
		turns_take(turns, live, 0);
	}
}

static void table_free(struct maglev *state, struct memory *memory)
{
	memory_free(memory, state->table, state->slots * sizeof(*state->table));
	state->table = NULL;
}

/* A new table in place of the old one, which stays when there is no memory for it. */
static bool lay_out(struct maglev *state, const struct balance_options *options)
{
	size_t turns_size = options->count * sizeof(struct turn),
	       rows_size = options->count * sizeof(struct row);
	struct turn *turns = memory_alloc(options->memory, turns_size);
	struct row *rows = memory_alloc(options->memory, rows_size);
	uint16_t *table = memory_alloc(options->memory, state->slots * sizeof(*table));
	bool good = turns && rows && table;
	unsigned live = good ? line_up(options, state->slots, turns, rows) : 0;

	if (live > 0)
		fill(table, state->slots, turns, live, rows);
	if (good) {
		table_free(state, options->memory);
		keyed_weights_keep(options, state->weights);
	}
	if (live > 0) {
		state->table = table;
		table = NULL;
	}
	memory_free(options->memory, table, state->slots * sizeof(*table));
	memory_free(options->memory, rows, rows_size);
	memory_free(options->memory, turns, turns_size);
	return good;
}

static bool maglev_update(struct balance *balance)
{
	struct maglev *state = balance->state;

	return !keyed_weights_changed(&balance->options, state->weights) || lay_out(state, &balance->options);
}

static bool maglev_init(struct balance *balance)
{
	size_t size = sizeof(struct maglev) + balance->options.count * sizeof(uint32_t);
	struct maglev *state = memory_alloc(balance->options.memory, size);

	if (!state)
		return false;
	memset(state, 0, size);
	state->size = size;
	state->slots = slots_for(balance->options.count);
	state->weights = (uint32_t *)(state + 1);
	balance->state = state;
	if (maglev_update(balance))
		return true;
	memory_free(balance->options.memory, state, size);
	return false;
}

static void maglev_fini(struct balance *balance)
{
	struct maglev *state = balance->state;

	table_free(state, balance->options.memory);
	memory_free(balance->options.memory, state, state->size);
}

static int maglev_pick(struct balance *balance, const struct balance_query *query)
{
	const struct maglev *state = balance->state;

	for (unsigned i = 0; i < REHASHES && state->table; i++) {
		unsigned index = state->table[(keyed_hash(query->hash, i) >> 32) * state->slots >> 32];
		if (balance_may_pick(balance, index, query))
			return (int)index;
	}
	return state->table ? keyed_among_all(balance, query, balance_may_pick) : BALANCE_NONE;
}

const struct balance_ops balance_maglev = {
	.name = "maglev",
	.keyed = true,
	.init = maglev_init,
	.fini = maglev_fini,
	.update = maglev_update,
	.pick = maglev_pick,
};
