/*
 * Turns by weight: who is due earliest has the next one, and is due again after a time that is the shorter the more it weighs. In any
 * full cycle (the sum of all weights, over their common divisor) each has exactly as many turns as its weight says, evenly spread.
 *
 * Virtual time wraps; the dues of one heap never lie further apart than half of it.
 */
#ifndef GUISE_BALANCE_TURN_H
#define GUISE_BALANCE_TURN_H

#include "core/base.h"

struct turn {
	uint64_t due;
	uint32_t weight; /* 1 .. BALANCE_WEIGHT_MAX */
	uint32_t index;  /* of the entry */
};

/* From one turn to the next; fine enough that what rounding takes away is one turn in 2^31. */
static inline uint64_t turn_length(uint32_t weight)
{
	return (UINT64_C(1) << 47) / weight;
}

/*
 * How long the `number`th newcomer (0, 1, ...) waits for its first turn: a part of its turn's length. Multiples of the golden ratio, which fall
 * evenly into the time however many there are, so that newcomers of the same weight are not due together.
 */
static inline uint64_t turn_wait(uint32_t weight, uint32_t number)
{
	return (turn_length(weight) >> 16) * (number * UINT32_C(2654435769) >> 16);
}

/* Whether a due time comes before another. */
static inline bool turn_earlier(uint64_t due, uint64_t other)
{
	return (int64_t)(due - other) < 0;
}

/* turns[0] is the one that is due earliest, once they are a heap. */
void turns_heapify(struct turn *turns, unsigned count);
/* turns[at] has its turn. */
void turns_take(struct turn *turns, unsigned count, unsigned at);

#endif
