/*
 * See automaton.h.
 */
#include "mask/automaton.h"

#include <stdlib.h>

enum { ROOM_OF_ROWS = 64 * 1024 }; /* entries */

struct sorted {
	struct span text;
	uint32_t index; /* as it was given */
};

/* A state while it is made: the patterns that begin with what leads to it. */
struct range {
	uint32_t begin, end;
};

struct builder {
	struct automaton *automaton;
	struct sorted *sorted;
	struct range *ranges; /* by state */
};

static int compare_texts(const void *left, const void *right)
{
	const struct sorted *a = left, *b = right;
	size_t common = size_min(a->text.len, b->text.len);

	for (size_t i = 0; i < common; i++) {
		int difference = ascii_lower(a->text.at[i]) - ascii_lower(b->text.at[i]);
		if (difference)
			return difference;
	}
	if (a->text.len != b->text.len)
		return a->text.len < b->text.len ? -1 : 1;
	return a->index < b->index ? -1 : 1;
}

/* Both cases of a letter are one class. Classes follow the order of bytes in lower case, as sorting does. */
static void set_classes(struct automaton *automaton, const struct span *patterns, size_t count)
{
	bool seen[256] = {false};

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < patterns[i].len; j++)
			seen[ascii_lower(patterns[i].at[j])] = true;
	automaton->class_count = 1;
	for (unsigned byte = 0; byte < 256; byte++)
		if (seen[byte])
			automaton->classes[byte] = (uint8_t)automaton->class_count++;
	for (unsigned byte = 'A'; byte <= 'Z'; byte++)
		automaton->classes[byte] = automaton->classes[ascii_lower((uint8_t)byte)];
}

/* An upper bound: each byte of each pattern but what it shares with the one before it in order, and the root. */
static size_t count_states(const struct sorted *sorted, size_t count)
{
	size_t states = 1;

	for (size_t i = 0; i < count; i++) {
		struct span text = sorted[i].text;
		size_t shared = 0;
		if (i > 0)
			while (shared < text.len && shared < sorted[i - 1].text.len &&
			       ascii_lower(text.at[shared]) == ascii_lower(sorted[i - 1].text.at[shared]))
				shared++;
		states += text.len - shared;
	}
	return states;
}

static bool make_room(struct builder *builder, size_t states, struct arena *arena)
{
	struct automaton *automaton = builder->automaton;

	if (states > UINT32_MAX / 2)
		return false;
	automaton->states = (uint32_t)states;
	automaton->dense = (uint32_t)size_min(states, ROOM_OF_ROWS / automaton->class_count);
	automaton->rows =
		arena_zalloc(arena, (size_t)automaton->dense * automaton->class_count, sizeof(uint32_t));
	automaton->children = arena_zalloc(arena, states + 1, sizeof(uint32_t));
	automaton->labels = arena_zalloc(arena, states, 1);
	automaton->links = arena_zalloc(arena, states, sizeof(uint32_t));
	automaton->depths = arena_zalloc(arena, states, sizeof(uint16_t));
	automaton->patterns = arena_zalloc(arena, states, sizeof(uint32_t));
	automaton->shorter = arena_zalloc(arena, states, sizeof(uint32_t));
	return automaton->rows && automaton->children && automaton->labels && automaton->links &&
	       automaton->depths && automaton->patterns && automaton->shorter;
}

/* The children of `state`, numbered from `next` on. Answers the number behind the last one. */
static uint32_t grow(struct builder *builder, uint32_t state, uint32_t next)
{
	struct automaton *automaton = builder->automaton;
	struct range range = builder->ranges[state];
	uint16_t depth = automaton->depths[state];

	automaton->children[state] = next;
	/* Those that end here stand first, in the order in which they were given. */
	if (range.begin < range.end && builder->sorted[range.begin].text.len == depth && depth > 0)
		automaton->patterns[state] = builder->sorted[range.begin].index + 1;
	while (range.begin < range.end && builder->sorted[range.begin].text.len == depth)
		range.begin++;
	while (range.begin < range.end) {
		uint8_t class = automaton->classes[builder->sorted[range.begin].text.at[depth]];
		uint32_t end = range.begin;
		while (end < range.end && automaton->classes[builder->sorted[end].text.at[depth]] == class)
			end++;
		builder->ranges[next] = (struct range){range.begin, end};
		automaton->labels[next] = class;
		automaton->depths[next] = (uint16_t)(depth + 1);
		range.begin = end;
		next++;
	}
	return next;
}

static uint32_t child_of(const struct automaton *automaton, uint32_t state, uint32_t class)
{
	for (uint32_t child = automaton->children[state]; child < automaton->children[state + 1]; child++)
		if (automaton->labels[child] == class)
			return child;
	return 0;
}

/* Where a class leads from `state`, over links where need be. */
static uint32_t follow(const struct automaton *automaton, uint32_t state, uint32_t class)
{
	for (;;) {
		uint32_t child = child_of(automaton, state, class);
		if (child || state == 0)
			return child;
		state = automaton->links[state];
	}
}

/* Parents come before their children, and links lead to states that are less deep: all that is asked for is there. */
static void link_states(struct automaton *automaton)
{
	for (uint32_t state = 0; state < automaton->states; state++) {
		for (uint32_t child = automaton->children[state]; child < automaton->children[state + 1];
		     child++) {
			uint32_t link =
				state ? follow(automaton, automaton->links[state], automaton->labels[child]) :
					0;
			automaton->links[child] = link;
			automaton->shorter[child] = automaton->patterns[link] ? link : automaton->shorter[link];
		}
	}
}

static void fill_rows(struct automaton *automaton)
{
	for (uint32_t state = 0; state < automaton->dense; state++) {
		uint32_t *row = automaton->rows + (size_t)state * automaton->class_count;
		if (state > 0)
			memcpy(row, automaton->rows + (size_t)automaton->links[state] * automaton->class_count,
			       automaton->class_count * sizeof(*row));
		for (uint32_t child = automaton->children[state]; child < automaton->children[state + 1];
		     child++)
			row[automaton->labels[child]] = child;
	}
}

const struct automaton *automaton_build(const struct span *patterns, size_t count, struct arena *arena)
{
	struct automaton *automaton = arena_zalloc(arena, 1, sizeof(*automaton));
	struct builder builder = {.automaton = automaton};
	struct arena scratch;
	uint32_t next = 1;

	arena_init(&scratch, arena->memory, NULL, NULL, 0);
	builder.sorted = arena_zalloc(&scratch, count + 1, sizeof(*builder.sorted));
	if (!automaton || !builder.sorted || count >= UINT32_MAX)
		goto fail;
	for (size_t i = 0; i < count; i++) {
		ENSURE(patterns[i].len > 0 && patterns[i].len <= AUTOMATON_PATTERN_MOST);
		builder.sorted[i] = (struct sorted){.text = patterns[i], .index = (uint32_t)i};
		automaton->longest = (uint32_t)size_max(automaton->longest, patterns[i].len);
	}
	qsort(builder.sorted, count, sizeof(*builder.sorted), compare_texts);
	set_classes(automaton, patterns, count);
	size_t states = count_states(builder.sorted, count);
	builder.ranges = arena_zalloc(&scratch, states, sizeof(*builder.ranges));
	if (!builder.ranges || !make_room(&builder, states, arena))
		goto fail;
	builder.ranges[0] = (struct range){0, (uint32_t)count};
	for (uint32_t state = 0; state < next; state++)
		next = grow(&builder, state, next);
	ENSURE(next == states);
	automaton->children[states] = next;
	link_states(automaton);
	fill_rows(automaton);
	arena_fini(&scratch);
	return automaton;
fail:
	arena_fini(&scratch);
	return NULL;
}
