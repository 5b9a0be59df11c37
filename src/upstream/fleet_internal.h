/*
 * What the files that know the inside of a fleet share.
 */
#ifndef GUISE_UPSTREAM_FLEET_INTERNAL_H
#define GUISE_UPSTREAM_FLEET_INTERNAL_H

#include "tls/seal.h"
#include "upstream/fleet.h"

#include <limits.h>
#include <pthread.h>

enum {
	FLEET_STAND_BY = 1,     /* added to the tier of addresses that stand by for others of their name */
	FLEET_PRIORITY = 2,     /* of a tier, times the priority */
	FLEET_BACKUP = 1 << 20, /* added to a backup's tier: behind whatever priority others have */
};

/* `priority`: 0..65535. */
static inline uint32_t fleet_tier(uint64_t priority, bool backup)
{
	return (uint32_t)priority * FLEET_PRIORITY + (backup ? FLEET_BACKUP : 0);
}

#define FLEET_ANY UINT_MAX

/* A worker at a group: its letter, how many wait there, and for what. */
struct fleet_seat {
	struct fleet *fleet;
	size_t group;
	struct worker *worker; /* NULL: not attached */
	struct letter letter;
	atomic_bool posted;
	atomic_uint waiting[FLEET_LINES];
	atomic_uint granted; /* connections that it may make, and that are counted already: see fleet_connection_leave */
	unsigned connections; /* of this worker, if they are limited; its own */
};

/* On a cache line of its own. */
struct fleet_gauge_count {
	atomic_uint count;
	char apart[60];
};

struct fleet_group {
	struct fleet *fleet;
	const struct upstream_plan *plan;
	struct roster *before; /* of the same group in the fleet before: its servers are taken over; NULL: none */
	unsigned hint, hint_before; /* where the next server that is looked for may stand in them */
	pthread_mutex_t lock;       /* around the next one, and around an ejection (outlier.c) */
	struct roster *roster;
	struct fleet_seat *seats; /* by worker->index */
	atomic_uint_fast64_t version;
	atomic_uint waiting[FLEET_LINES], turn[FLEET_LINES];
	struct conn_watch watch;     /* of connections that are counted */
	unsigned most[FLEET_GAUGES]; /* FLEET_ANY: not kept */
	uint8_t sticky_key[SEAL_KEY];
	struct fleet_gauge_count gauges[FLEET_GAUGES];
};

struct fleet {
	struct memory *memory;
	size_t size;
	unsigned workers; /* that carry traffic */
	unsigned seats;   /* theirs, and the control thread's behind them */
	fleet_look_fn *look;
	struct address_set *addresses; /* of all servers; NULL: nobody asks */
	size_t count;
	struct fleet_group groups[];
};

/* The key that the group's cookies are sealed with; `before`: the group of this name in the fleet before, or NULL. False: out of memory. */
WARN_UNUSED bool fleet_sticky_init(struct fleet_group *group, const struct fleet_group *before);
/* fleet.c: the worker looks soon. */
void fleet_seat_post(struct fleet_seat *seat);

/* fleet_server.c: its address comes into the set, unless it is in one. */
void fleet_server_keep(struct fleet_server *server, struct address_set *set);

/* fleet_limits.c */
void fleet_limits_init(struct fleet_group *group);

#endif
