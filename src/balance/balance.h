/*
 * Picking one server among several: pure arithmetic over an array, no input or output. Each algorithm is one file and one struct balance_ops.
 * A struct balance belongs to one worker; its owner keeps the entries up to date and says so (balance_update). Picking takes no lock and, for
 * what an algorithm keeps, no memory.
 */
#ifndef GUISE_BALANCE_BALANCE_H
#define GUISE_BALANCE_BALANCE_H

#include "core/memory.h"
#include "core/random.h"

enum {
	BALANCE_NONE = -1,
	BALANCE_WEIGHT_MAX = 65536, /* a server's weight (1..256) times 256, so that slow start has steps */
	BALANCE_ENTRIES_MAX = 65535,
};

struct balance_entry {
	uint64_t id; /* of the server: the same in every process, whoever stands beside it; no two are equal */
	uint32_t weight; /* 0 .. BALANCE_WEIGHT_MAX; 0 = takes nothing */
	bool available;  /* set by the owner (health, orders) */
	uint32_t most;   /* requests in flight at most: with more it is passed over; 0 = any number */
	/* The algorithm's own, with latency_us: what it has beyond whole microseconds, in 2^-32. */
	uint32_t latency_part;
	const atomic_uint *in_flight; /* counted by all workers; never NULL */
	/* The algorithm's own; the owner starts it with zero and carries it over when the array is made anew. */
	uint64_t latency_us;    /* of what was answered lately */
	uint64_t latency_at_us; /* when that was last brought up to date */
};

struct balance_query {
	const unsigned *avoid; /* indices: not these ones; few */
	unsigned avoid_count;
	uint64_t hash;   /* of the key, for algorithms that stick to one */
	uint64_t now_us; /* the loop's clock */
};

struct balance;

struct balance_ops {
	const char *name; /* as the key `balance` says it */
	bool keyed; /* looks at query->hash; a change of weights is expensive, so that slow start is left out */
	bool counts; /* looks at in_flight, which need not be kept for others without `most` */
	bool times;  /* wants on_latency */
	/* What it keeps, into balance->state. False: out of memory. May be NULL. */
	bool (*init)(struct balance *balance);
	void (*fini)(struct balance *balance);
	/* Weights, availability or `most` are new. False: out of memory, and it goes on with the old ones (availability counts at once). */
	bool (*update)(struct balance *balance);
	/* The index of an entry that is available, not full and not to be avoided; BALANCE_NONE: there is none. */
	int (*pick)(struct balance *balance, const struct balance_query *query);
	/* This worker has changed an entry's in_flight. May be NULL. */
	void (*on_in_flight)(struct balance *balance, unsigned index);
	/* A request that this worker had sent was answered after so long. May be NULL. */
	void (*on_latency)(struct balance *balance, unsigned index, uint64_t latency_us, uint64_t now_us);
};

struct balance_options {
	const struct balance_ops *ops;
	struct memory *memory;
	struct random *random;
	struct balance_entry *entries; /* the owner's, for as long as the balance lives */
	unsigned count;                /* at most BALANCE_ENTRIES_MAX */
	unsigned offset;               /* workers start at different entries */
	unsigned bound; /* percent of its fair share that a keyed server may have in flight; 0 = any */
};

struct balance {
	struct balance_options options;
	void *state; /* the algorithm's */
};

/* False: out of memory, and there is nothing to fini. */
WARN_UNUSED bool balance_init(struct balance *balance, const struct balance_options *options);
void balance_fini(struct balance *balance);   /* harmless when it is zero */
bool balance_update(struct balance *balance); /* false: see balance_ops.update */
int balance_pick(struct balance *balance, const struct balance_query *query);
void balance_on_in_flight(struct balance *balance, unsigned index);
void balance_on_latency(struct balance *balance, unsigned index, uint64_t latency_us, uint64_t now_us);

/* Whether an entry may be picked for this query. */
bool balance_may_pick(const struct balance *balance, unsigned index, const struct balance_query *query);

/* All algorithms, NULL-terminated, in the order of the choices of the key `balance`. */
extern const struct balance_ops *const balance_algorithms[];
extern const char *const balance_names[]; /* the same as choices, NULL-terminated */

#endif
