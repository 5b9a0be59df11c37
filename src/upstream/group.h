/*
 * Upstream groups at work on one worker: the servers of each group with their pools, in tiers, and what is known of them. Who the servers are and how
 * they are comes from the fleet; a group looks again when something has changed there.
 */
#ifndef GUISE_UPSTREAM_GROUP_H
#define GUISE_UPSTREAM_GROUP_H

#include "balance/balance.h"
#include "tls/client.h"
#include "tls/seal.h"
#include "upstream/budget.h"
#include "upstream/fleet.h"
#include "upstream/latency.h"
#include "upstream/session_pool.h"

enum upstream_speaks {
	UPSTREAM_SPEAKS_UNKNOWN, /* until the first TLS handshake tells */
	UPSTREAM_SPEAKS_HTTP1,
	UPSTREAM_SPEAKS_HTTP2,
};

/* Lives as long as it is in the roster, and then until nobody uses it any more. */
struct health_check;
struct upstream_server {
	struct fleet_server *fleet; /* held */
	struct upstream_group *group;
	struct session_pool pool;
	struct link attempts; /* to connect: see acquire.h */
	struct link waiting;  /* tickets of exchanges that wait for its answer */
	uint8_t speaks;       /* enum upstream_speaks: on its last connection */
	bool gone;            /* not in the roster any more */
	uint32_t most;        /* streams that it allowed on its last HTTP/2 connection; 0: not known */
	uint32_t users;       /* tickets and attempts */
	unsigned tier, index; /* where it stands in the view */
	struct tls_peer peer;
	struct health_check *check; /* on the control thread; NULL: none */
	struct link link;           /* upstream_group.leaving, when gone */
	struct loop_task retire;
};

/* Servers that are used before those of the next tier. */
struct upstream_tier {
	struct balance balance;
	struct balance_entry *entries;
	struct upstream_server **servers; /* entry by entry */
	unsigned count;
	unsigned well; /* that may be picked */
	bool usable;   /* this tier is picked from, or stands behind one that is */
};

/* A roster with what this worker knows of its servers. Made anew with each roster. */
struct upstream_view {
	struct roster *roster; /* held */
	size_t size;           /* of all this, bytes */
	bool counts;           /* in_flight is kept */
	bool found;            /* some servers' addresses are from DNS or from a file */
	unsigned count;        /* servers */
	unsigned tier_count;
	struct upstream_tier *tiers;
	struct upstream_server **servers; /* of all tiers, one after the other */
	struct balance_entry *entries;    /* the same */
};

struct upstream_group {
	struct worker *worker;
	struct fleet_group *fleet;
	const struct upstream_plan *plan;
	const struct upstream_settings *settings;  /* the plan's */
	struct tls_client *tls[TLS_ALPN_NONE + 1]; /* by what is offered; NULL: not needed yet */
	struct upstream_view *view;
	struct link leaving;    /* servers that are not in it any more, and are still used */
	uint64_t version;       /* of the fleet's group, that the view shows */
	uint64_t look_again_ms; /* loop clock: something changes by then; UINT64_MAX: nothing does */
	struct retry_budget budget;
	struct latency_digest latencies; /* for hedging */
	struct seal *sticky;             /* what cookies are sealed with; NULL: nobody sticks */
	struct link queue;               /* struct upstream_wait, the first one first */
	struct timer queue_again;        /* it is served again, while it is not empty */
	struct link starved;             /* struct attempt: that wait for limits.connections */
	struct loop_task serve;          /* both */
	unsigned mirrors; /* requests on their way to it of which nobody waits for the answer */
};

/*
 * Sets up this worker's groups, those of the fleet in their order. Slot WORKER_SLOT_UPSTREAM; the worker is attached to the fleet, which outlives
 * it. False: out of memory.
 */
WARN_UNUSED bool upstream_room_init(struct worker *worker, struct fleet *fleet);
void upstream_room_fini(struct worker *worker);

struct upstream_group *upstream_group(const struct worker *worker, size_t index);
size_t upstream_group_count(const struct worker *worker);

/*
 * From now on `on_look` is called with `owner` after a group has looked because the fleet told it to (see fleet_attach): its roster may be another
 * one. For the control thread.
 */
typedef void upstream_look_fn(void *owner, size_t group);
void upstream_on_look(struct worker *worker, upstream_look_fn *on_look, void *owner);

/* Looks whether anything has changed in the fleet; cheap if not. Whoever picks or shows calls it. */
void upstream_group_refresh(struct upstream_group *group);

/* Whether one of its servers is there now, whatever the port. */
bool upstream_has_address(const struct upstream_group *group, const struct address *address);

/* Closes all idle connections, and gives up those being made that nobody waits for: the worker is draining. */
void upstream_drain(struct worker *worker);

/* Held by whoever uses the server beyond this turn. */
static inline void upstream_server_use(struct upstream_server *server)
{
	server->users++;
}
void upstream_server_unuse(struct upstream_server *server);

#endif
