/*
 * See name_set.h. A trie of all rows whose nodes lie in one array, interleaved (a "double array"): the child of a node by a byte is at the
 * node's base plus the byte's class, and is its child if it says so. Where only one row is left its rest is compared at once. A few bytes of memory for
 * each letter of the rows. Built with the snapshot; looked up on any thread.
 */
#include "mask/name_set.h"

#include <stdlib.h>

enum {
	CLASSES = 52, /* of bytes that a name may have, from 1 */
	ROWS_FIRST = 64,
};

#define NOBODY UINT32_MAX

/* tchar (RFC 9110 5.6.2), upper case as lower case, '_' as '-'; 0: in no name. */
static const uint8_t classes[256] = {
	['a'] = 1,  ['b'] = 2,  ['c'] = 3,  ['d'] = 4,  ['e'] = 5,  ['f'] = 6,   ['g'] = 7,  ['h'] = 8,
	['i'] = 9,  ['j'] = 10, ['k'] = 11, ['l'] = 12, ['m'] = 13, ['n'] = 14,  ['o'] = 15, ['p'] = 16,
	['q'] = 17, ['r'] = 18, ['s'] = 19, ['t'] = 20, ['u'] = 21, ['v'] = 22,  ['w'] = 23, ['x'] = 24,
	['y'] = 25, ['z'] = 26, ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,   ['E'] = 5,  ['F'] = 6,
	['G'] = 7,  ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12,  ['M'] = 13, ['N'] = 14,
	['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20,  ['U'] = 21, ['V'] = 22,
	['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['0'] = 27, ['1'] = 28,  ['2'] = 29, ['3'] = 30,
	['4'] = 31, ['5'] = 32, ['6'] = 33, ['7'] = 34, ['8'] = 35, ['9'] = 36,  ['-'] = 37, ['_'] = 37,
	['!'] = 38, ['#'] = 39, ['$'] = 40, ['%'] = 41, ['&'] = 42, ['\''] = 43, ['*'] = 44, ['+'] = 45,
	['.'] = 46, ['^'] = 47, ['`'] = 48, ['|'] = 49, ['~'] = 50,
};

struct row {
	struct span text; /* without the "*" */
	uint32_t order;   /* of adding */
	uint8_t value;
	bool begins;
};

struct node {
	uint32_t base;         /* of its children; of a node with a rest: where that is */
	uint32_t parent;       /* NOBODY: the place is free, or the root's */
	uint16_t rest;         /* bytes of the only row that goes on from here; then there are no children */
	uint8_t whole, begins; /* the values of the rows that end here, or behind the rest; 0: none does */
};

struct name_set {
	const struct node *nodes;
	const uint8_t *rests; /* classes of bytes */
	struct arena *arena;
	struct row *rows; /* until sealed */
	uint32_t count, capacity;
	uint8_t known[HTTP_FIELD_IDS];
};

/* ---- rows ---- */

struct name_set *name_set_new(struct arena *arena)
{
	struct name_set *set = arena_zalloc(arena, 1, sizeof(*set));

	if (set)
		set->arena = arena;
	return set;
}

bool name_set_add(struct name_set *set, struct span row, uint8_t value)
{
	bool begins = row.len > 0 && row.at[row.len - 1] == '*';

	ENSURE(!set->nodes && value > 0);
	if (set->count == set->capacity) {
		uint32_t capacity = set->capacity ? set->capacity * 2 : ROWS_FIRST;
		struct row *rows = arena_zalloc(set->arena, capacity, sizeof(*rows));
		if (!rows)
			return false;
		if (set->count)
			memcpy(rows, set->rows, set->count * sizeof(*rows));
		set->rows = rows;
		set->capacity = capacity;
	}
	set->rows[set->count] = (struct row){
		.text = span_first(row, row.len - begins),
		.order = set->count,
		.value = value,
		.begins = begins,
	};
	set->count++;
	return true;
}

bool name_set_add_all(struct name_set *set, const char *const rows[], uint8_t value)
{
	for (; *rows; rows++)
		if (!name_set_add(set, span_of(*rows), value))
			return false;
	return true;
}

bool name_set_add_settings(struct name_set *set, const struct setting_strings *rows, uint8_t value)
{
	for (size_t i = 0; i < rows->count; i++)
		if (!name_set_add(set, span_make(rows->items[i].text, rows->items[i].len), value))
			return false;
	return true;
}

const char *name_set_check_row(const char *text, size_t len)
{
	struct span row = span_make(text, len);

	if (len > 0 && text[len - 1] == '*')
		row.len--;
	if (row.len == 0)
		return len ? "\"*\" alone would be every field" : "a field name is missing";
	if (!http_is_token(row))
		return "not a field name, nor the beginning of one with \"*\" behind it";
	return span_find(row, '*') >= 0 ? "\"*\" stands at the end only" : NULL;
}

/* By their bytes' classes, a beginning before what begins so, then in the order of adding. */
static int compare_rows(const void *one, const void *other)
{
	const struct row *a = one, *b = other;
	size_t len = size_min(a->text.len, b->text.len);

	for (size_t i = 0; i < len; i++) {
		int difference = classes[a->text.at[i]] - classes[b->text.at[i]];
		if (difference)
			return difference;
	}
	if (a->text.len != b->text.len)
		return a->text.len < b->text.len ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

/* ---- the trie ---- */

/* A node whose children are still to be placed: rows first to last (not included) have its letters in common. */
struct range {
	uint32_t node, first, last;
	size_t depth;
};

struct builder {
	const struct row *rows;
	struct arena scratch;
	struct node *nodes;
	uint32_t size;  /* of nodes */
	uint32_t taken; /* all places below are */
	uint32_t end;   /* behind the last place that is taken */
	struct range *ranges;
	size_t count, next;
	uint8_t *rests;
	uint32_t rests_len;
};

/* At least `size` places, the new ones free. */
static bool builder_room(struct builder *builder, uint32_t size)
{
	struct node *nodes;

	if (size <= builder->size)
		return true;
	size = size > builder->size * 2 ? size : builder->size * 2;
	nodes = arena_alloc(&builder->scratch, size * sizeof(*nodes));
	if (!nodes)
		return false;
	if (builder->size)
		memcpy(nodes, builder->nodes, builder->size * sizeof(*nodes));
	for (uint32_t i = builder->size; i < size; i++)
		nodes[i] = (struct node){.parent = NOBODY};
	builder->nodes = nodes;
	builder->size = size;
	return true;
}

static bool is_free(const struct builder *builder, uint32_t place)
{
	return place != 0 && builder->nodes[place].parent == NOBODY;
}

/* The lowest base that has free places for all children; there is always one behind the end. */
static bool find_base(struct builder *builder, const uint8_t *bytes, unsigned count, uint32_t *base)
{
	for (*base = builder->taken > CLASSES ? builder->taken - CLASSES : 0;; ++*base) {
		unsigned fits = 0;
		if (!builder_room(builder, *base + 2 * CLASSES))
			return false;
		while (fits < count && is_free(builder, *base + bytes[fits]))
			fits++;
		if (fits == count)
			return true;
	}
}

/* The letters that go on from here, and the rows that have them. */
static unsigned split(const struct builder *builder, const struct range *range, struct range *children,
		      uint8_t *bytes)
{
	uint32_t at = range->first;
	unsigned count = 0;

	while (at < range->last && builder->rows[at].text.len == range->depth)
		at++;
	while (at < range->last) {
		uint8_t class = classes[builder->rows[at].text.at[range->depth]];
		uint32_t first = at;
		while (at < range->last && classes[builder->rows[at].text.at[range->depth]] == class)
			at++;
		bytes[count] = class;
		children[count++] = (struct range){.first = first, .last = at, .depth = range->depth + 1};
	}
	return count;
}

/* The only row of the range: what is left of it is not taken apart. False: nothing is left. */
static bool place_rest(struct builder *builder, const struct range *range)
{
	struct node *node = &builder->nodes[range->node];

	if (range->last - range->first != 1)
		return false;
	const struct row *row = &builder->rows[range->first];
	size_t rest = row->text.len - range->depth;
	if (rest == 0 || rest > UINT16_MAX)
		return false;
	*(row->begins ? &node->begins : &node->whole) = row->value;
	node->rest = (uint16_t)rest;
	node->base = builder->rests_len;
	for (size_t i = 0; i < rest; i++)
		builder->rests[builder->rests_len++] = classes[row->text.at[range->depth + i]];
	return true;
}

static bool place_children(struct builder *builder, const struct range *range)
{
	struct range children[CLASSES];
	uint8_t bytes[CLASSES];
	unsigned count = split(builder, range, children, bytes);
	uint32_t base;

	for (uint32_t i = range->first; i < range->last && builder->rows[i].text.len == range->depth; i++) {
		struct node *node = &builder->nodes[range->node];
		*(builder->rows[i].begins ? &node->begins : &node->whole) = builder->rows[i].value;
	}
	if (count == 0)
		return true;
	if (!find_base(builder, bytes, count, &base))
		return false;
	builder->nodes[range->node].base = base;
	for (unsigned i = 0; i < count; i++) {
		children[i].node = base + bytes[i];
		builder->nodes[children[i].node].parent = range->node;
		builder->end = (uint32_t)size_max(builder->end, children[i].node + 1);
		builder->ranges[builder->count++] = children[i];
	}
	while (!is_free(builder, builder->taken) && builder->taken < builder->end)
		builder->taken++;
	return true;
}

static bool build(struct builder *builder, uint32_t rows)
{
	size_t letters = 1;

	for (uint32_t i = 0; i < rows; i++)
		letters += builder->rows[i].text.len;
	builder->ranges = arena_zalloc(&builder->scratch, letters, sizeof(*builder->ranges));
	builder->rests = arena_alloc(&builder->scratch, letters);
	if (!builder->ranges || !builder->rests || !builder_room(builder, 2 * CLASSES))
		return false;
	builder->ranges[builder->count++] = (struct range){.last = rows};
	builder->end = 1;
	while (builder->next < builder->count) {
		const struct range *range = &builder->ranges[builder->next++];
		if (!place_rest(builder, range) && !place_children(builder, range))
			return false;
	}
	return true;
}

/* `name` from where the row's rest begins. */
static uint8_t compare_rest(const struct node *node, const uint8_t *rest, struct span name)
{
	if (name.len < node->rest)
		return 0;
	for (size_t i = 0; i < node->rest; i++)
		if (classes[name.at[i]] != rest[i])
			return 0;
	return node->whole && name.len == node->rest ? node->whole : node->begins;
}

static uint8_t walk(const struct name_set *set, struct span name)
{
	const struct node *nodes = set->nodes, *node = nodes;
	uint8_t found = 0, last;

	for (size_t i = 0; i < name.len; i++) {
		if (node->rest) {
			last = compare_rest(node, set->rests + node->base, span_from(name, i));
			return last ? last : found;
		}
		uint8_t class = classes[name.at[i]];
		const struct node *next = nodes + node->base + class;
		if (next->parent != (uint32_t)(node - nodes) || class == 0)
			return found;
		node = next;
		if (node->begins && !node->rest)
			found = node->begins;
	}
	return node->whole && !node->rest ? node->whole : found;
}

bool name_set_seal(struct name_set *set)
{
	struct builder builder = {.rows = set->rows};
	struct node *nodes = NULL;
	struct span rests = {0};

	ENSURE(!set->nodes);
	if (set->count)
		qsort(set->rows, set->count, sizeof(*set->rows), compare_rows);
	arena_init(&builder.scratch, set->arena->memory, NULL, NULL, 0);
	if (build(&builder, set->count)) {
		/* Any base plus any class is inside. */
		nodes = arena_alloc(set->arena, (builder.end + CLASSES) * sizeof(*nodes));
		if (nodes)
			memcpy(nodes, builder.nodes, (builder.end + CLASSES) * sizeof(*nodes));
		rests = arena_copy(set->arena, span_make(builder.rests, builder.rests_len));
	}
	arena_fini(&builder.scratch);
	if (!nodes || !rests.at)
		return false;
	set->nodes = nodes;
	set->rests = rests.at;
	set->rows = NULL;
	for (unsigned id = 1; id < HTTP_FIELD_IDS; id++)
		set->known[id] = walk(set, http_field_name(id));
	return true;
}

uint8_t name_set_find(const struct name_set *set, unsigned id, struct span name)
{
	return id ? set->known[id] : walk(set, name);
}
