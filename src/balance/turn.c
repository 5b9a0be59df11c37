/*
 * A heap of turns. Four children to a node: half as many levels as with two, and the children of one lie in one line of the cache.
 */
#include "balance/turn.h"

static bool before(const struct turn *turn, const struct turn *other)
{
	return turn->due == other->due ? turn->index < other->index : turn_earlier(turn->due, other->due);
}

static void sink(struct turn *turns, unsigned count, unsigned at)
{
	struct turn sinking = turns[at];

	for (;;) {
		unsigned child = 4 * at + 1, least = child;

		if (child >= count)
			break;
		unsigned end = child + 4 < count ? child + 4 : count;
		for (child++; child < end; child++)
			if (before(&turns[child], &turns[least]))
				least = child;
		if (!before(&turns[least], &sinking))
			break;
		turns[at] = turns[least];
		at = least;
	}
	turns[at] = sinking;
}

void turns_heapify(struct turn *turns, unsigned count)
{
	for (unsigned at = count; at-- > 0;)
		if (4 * at + 1 < count)
			sink(turns, count, at);
}

void turns_take(struct turn *turns, unsigned count, unsigned at)
{
	turns[at].due += turn_length(turns[at].weight);
	sink(turns, count, at);
}
