/*
 * The alias table, built anew over the available entries at each update, in memory that was taken at the start.
 */
#include "balance/draw.h"

#include "balance/algorithms_internal.h"

enum {
	DRAWS = 8, /* before all are looked at */
	DRAWS_ANOTHER = 4,
	STEPS_ANOTHER = 16, /* from there on to the next */
};

bool draw_init(struct balance *balance)
{
	unsigned count = balance->options.count;
	size_t slots = count * sizeof(struct draw_slot), left = count * sizeof(uint32_t);
	size_t size = sizeof(struct draw) + slots + left + count * sizeof(uint16_t);
	struct draw *draw = memory_alloc(balance->options.memory, size);

	if (!draw)
		return false;
	char *after = (char *)(draw + 1);
	*draw = (struct draw){
		.size = size,
		.slots = (struct draw_slot *)after,
		.left = (uint32_t *)(after + slots),
		.order = (uint16_t *)(after + slots + left),
	};
	balance->state = draw;
	return draw_update(balance);
}

void draw_fini(struct balance *balance)
{
	struct draw *draw = balance->state;

	memory_free(balance->options.memory, draw, draw->size);
}

/* A slot for each live entry; the sum of their weights. */
static uint64_t gather(struct draw *draw, const struct balance_options *options)
{
	uint64_t total = 0;

	draw->live = 0;
	for (unsigned i = 0; i < options->count; i++) {
		uint32_t weight = balance_weight(&options->entries[i]);

		if (weight == 0)
			continue;
		draw->slots[draw->live].own = (uint16_t)i;
		draw->left[draw->live++] = weight;
		total += weight;
	}
	return total;
}

/*
 * All weights times the number of slots, so that a slot holds the total, and no fractions. Those that do not fill a slot stand at the
 * front of order[], the others at its back; one of these fills up a slot of one of those, until it has less than a slot left itself.
 */
bool draw_update(struct balance *balance)
{
	struct draw *draw = balance->state;
	uint64_t total = gather(draw, &balance->options);
	unsigned live = draw->live, low = 0, high = live;

	for (unsigned i = 0; i < live; i++) {
		_Static_assert((uint64_t)BALANCE_WEIGHT_MAX * BALANCE_ENTRIES_MAX <= UINT32_MAX,
			       "left[] holds it");
		draw->left[i] *= live;
		draw->slots[i].share = UINT32_MAX;
		draw->slots[i].other = draw->slots[i].own;
		draw->order[draw->left[i] < total ? low++ : --high] = (uint16_t)i;
	}
	while (low > 0 && high < live) {
		unsigned small = draw->order[--low], great = draw->order[high];
		uint64_t given = total - draw->left[small];

		draw->slots[small].share = (uint32_t)(((uint64_t)draw->left[small] << 32) / total);
		draw->slots[small].other = draw->slots[great].own;
		draw->left[great] -= (uint32_t)given;
		if (draw->left[great] < total) {
			high++;
			draw->order[low++] = (uint16_t)great;
		}
	}
	return true;
}

static int draw_few(const struct balance *balance, const struct balance_query *query, int draws, int except)
{
	const struct draw *draw = balance->state;

	for (int i = 0; i < draws && draw->live > 0; i++) {
		uint64_t chance = random_next(balance->options.random);
		const struct draw_slot *slot = &draw->slots[(chance >> 32) * draw->live >> 32];
		unsigned index = (uint32_t)chance < slot->share ? slot->own : slot->other;

		if ((int)index != except && balance_may_pick(balance, index, query))
			return (int)index;
	}
	return BALANCE_NONE;
}

/* By weight among those that may be picked. */
static int draw_among_all(const struct balance *balance, const struct balance_query *query)
{
	const struct balance_options *options = &balance->options;
	uint64_t total = 0, passed = 0;
	int last = BALANCE_NONE;

	for (unsigned i = 0; i < options->count; i++)
		if (balance_may_pick(balance, i, query))
			total += balance_weight(&options->entries[i]);
	if (total == 0)
		return BALANCE_NONE;
	uint64_t drawn = random_below(options->random, (uint32_t)total);
	/* Others may have filled one since; then there is less to pass, and the last one will do. */
	for (unsigned i = 0; i < options->count && passed <= drawn; i++) {
		if (!balance_may_pick(balance, i, query))
			continue;
		passed += balance_weight(&options->entries[i]);
		last = (int)i;
	}
	return last;
}

int draw_one(const struct balance *balance, const struct balance_query *query)
{
	int index = draw_few(balance, query, DRAWS, BALANCE_NONE);

	return index == BALANCE_NONE ? draw_among_all(balance, query) : index;
}

int draw_another(const struct balance *balance, const struct balance_query *query, int first)
{
	const struct draw *draw = balance->state;

	if (draw->live < 2)
		return BALANCE_NONE;
	int index = draw_few(balance, query, DRAWS_ANOTHER, first);
	unsigned slot = index == BALANCE_NONE ? random_below(balance->options.random, draw->live) : 0;
	for (int i = 0; i < STEPS_ANOTHER && index == BALANCE_NONE; i++) {
		unsigned next = draw->slots[slot].own;

		slot = slot + 1 < draw->live ? slot + 1 : 0;
		if ((int)next != first && balance_may_pick(balance, next, query))
			index = (int)next;
	}
	return index;
}
