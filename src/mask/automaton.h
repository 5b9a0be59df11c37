/*
 * Finds any of many texts in one pass over the bytes (Aho-Corasick), whatever the case of ASCII letters. Built with the snapshot, immutable
 * afterwards; any thread.
 *
 * States are numbered breadth first, so that the children of one stand in a row: what a state needs beside that is its link to the longest other
 * state that ends in the same bytes. Only the states near the root, in which texts spend their time, have a table of all that may follow.
 */
#ifndef GUISE_MASK_AUTOMATON_H
#define GUISE_MASK_AUTOMATON_H

#include "core/arena.h"
#include "core/span.h"

enum { AUTOMATON_PATTERN_MOST = 1024 }; /* bytes of one */

struct automaton {
	uint8_t classes[256]; /* of bytes; 0: it is in no pattern */
	uint32_t class_count;
	uint32_t states, dense; /* the first `dense` states have a row in `rows` */
	uint32_t longest;       /* bytes of the longest pattern */
	uint32_t *rows;
	uint32_t *children; /* of state s: children[s] up to children[s + 1] */
	uint8_t *labels;    /* the class by which a state is reached from its parent */
	uint32_t *links;
	uint16_t *depths;
	uint32_t *patterns; /* that end here: index + 1; 0: none */
	uint32_t *shorter;  /* the next state by links where one ends; 0: none */
};

/*
 * None of `patterns` is empty or longer than AUTOMATON_PATTERN_MOST; of several that are the same the first one counts. They are not needed afterwards. With none,
 * nothing is found. NULL: out of memory.
 */
WARN_UNUSED const struct automaton *automaton_build(const struct span *patterns, size_t count,
						    struct arena *arena);

/* The state that follows `state` (0 at the beginning) by a byte. Its depth says how many of the last bytes may be the beginning of a pattern. */
static inline uint32_t automaton_step(const struct automaton *automaton, uint32_t state, uint8_t byte)
{
	uint32_t class = automaton->classes[byte];

	if (class == 0)
		return 0;
	while (state >= automaton->dense) {
		for (uint32_t child = automaton->children[state]; child < automaton->children[state + 1];
		     child++)
			if (automaton->labels[child] == class)
				return child;
		state = automaton->links[state];
	}
	return automaton->rows[state * automaton->class_count + class];
}

/* Walks the patterns that end with the last byte, longest first: begin with *at = the state. The index of one, or -1. */
static inline ptrdiff_t automaton_match(const struct automaton *automaton, uint32_t *at)
{
	while (*at) {
		uint32_t pattern = automaton->patterns[*at];
		*at = automaton->shorter[*at];
		if (pattern)
			return (ptrdiff_t)pattern - 1;
	}
	return -1;
}

#endif
