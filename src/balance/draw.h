/*
 * Drawing an entry by weight in constant time: the alias method (Walker; Vose's way to build the table). One random number for each draw.
 */
#ifndef GUISE_BALANCE_DRAW_H
#define GUISE_BALANCE_DRAW_H

#include "balance/balance.h"

/* A slot stands for an equal part of all weight: `share` of it (in 2^32) is its own entry's, the rest another one's. */
struct draw_slot {
	uint32_t share;
	uint16_t own, other;
};

struct draw {
	size_t size;
	unsigned live; /* slots: entries with weight that are available */
	struct draw_slot *slots;
	uint32_t *left;  /* while it is built: the weight that a slot's own entry has yet to place */
	uint16_t *order; /* while it is built */
};

/* The init, fini and update of an algorithm that keeps nothing but a struct draw, as its state. */
WARN_UNUSED bool draw_init(struct balance *balance);
void draw_fini(struct balance *balance);
bool draw_update(struct balance *balance);

/* An entry that may be picked, by weight. BALANCE_NONE: there are none. A few draws, or if they fail a look at all. */
int draw_one(const struct balance *balance, const struct balance_query *query);
/* Another one than `first`; BALANCE_NONE: it was not found at once. By weight, unless the first has nearly all of it. */
int draw_another(const struct balance *balance, const struct balance_query *query, int first);

#endif
