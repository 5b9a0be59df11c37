/*
 * Picking one server of a group: pure arithmetic over an array, no input or output, no memory. Each algorithm is one
 * file and one struct balance_ops. A struct balance belongs to one worker; its owner keeps the entries up to date.
 */
#ifndef GUISE_BALANCE_BALANCE_H
#define GUISE_BALANCE_BALANCE_H

#include "core/base.h"

enum { BALANCE_NONE = -1, BALANCE_WEIGHT_MAX = 1000 };

struct balance_entry {
	uint32_t weight; /* 1 .. BALANCE_WEIGHT_MAX; 0 = takes nothing */
	bool available;  /* set by the owner (health, limits) */
	int32_t current; /* the algorithm's own */
};

struct balance_query {
	const bool *tried; /* one for each entry: not this one again; NULL = none */
	uint64_t hash;     /* for algorithms that stick to a key */
};

struct balance;

struct balance_ops {
	const char *name; /* as the key `balance` says it */
	/* Entries, count or weights are new. `offset` makes workers start at different entries. */
	void (*reset)(struct balance *balance, unsigned offset);
	/* The index of an entry, or BALANCE_NONE. */
	int (*pick)(struct balance *balance, const struct balance_query *query);
};

struct balance {
	const struct balance_ops *ops;
	struct balance_entry *entries; /* the owner's */
	unsigned count;
	unsigned cursor; /* the algorithm's own */
	bool equal;      /* all weights are the same */
};

void balance_init(struct balance *balance, const struct balance_ops *ops, struct balance_entry *entries,
		  unsigned count, unsigned offset);
/* `query` may be NULL. */
int balance_pick(struct balance *balance, const struct balance_query *query);

/* All algorithms, NULL-terminated, in the order of the choices of the key `balance`. */
extern const struct balance_ops *const balance_algorithms[];
extern const char *const balance_names[]; /* the same as choices, NULL-terminated */

#endif
