/*
 * A heap of turns. Four children to a node: half as many levels as with two, and the children of one lie in one line of the cache.
 */
#include "balance/turn.h"

/* The one of four that is due earliest. Which one that is cannot be foretold, so there are no branches. */
static unsigned earliest(const struct turn *four)
{
	unsigned low = turn_earlier(four[1].due, four[0].due);
	unsigned high = 2U + turn_earlier(four[3].due, four[2].due);

	return turn_earlier(four[high].due, four[low].due) ? high : low;
}

static void sink(struct turn *turns, unsigned count, unsigned at)
{
	struct turn sinking = turns[at];

	for (;;) {
		unsigned child = 4 * at + 1, least = child;

		if (child >= count)
			break;
		if (child + 4 <= count) {
			least = child + earliest(&turns[child]);
		} else {
			for (child++; child < count; child++)
				least = turn_earlier(turns[child].due, turns[least].due) ? child : least;
		}
		if (!turn_earlier(turns[least].due, sinking.due))
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
