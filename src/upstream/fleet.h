/*
 * The servers of all groups as the whole process sees them: who they are, how they are, how much they have to do. Workers have views of
 * it (group.h); health checks, discovery and orders at run time change it.
 *
 * Who a group's servers are is a roster: immutable, counted, published to each worker by letter. How a server is (orders, checks, ejection) are
 * atomics; each change moves the group's version on, which workers compare whenever they pick. The one lock
 * is around the pointer to a group's roster, taken when there is a new one.
 */
#ifndef GUISE_UPSTREAM_FLEET_H
#define GUISE_UPSTREAM_FLEET_H

#include "core/worker.h"
#include "net/address_set.h"
#include "net/conn.h"
#include "upstream/plan.h"

#include <stdalign.h>
#include <stdatomic.h>

struct fleet;
struct fleet_group;

enum fleet_order {
	FLEET_READY,
	FLEET_DRAIN,       /* only those that stick to it */
	FLEET_MAINTENANCE, /* nobody; not checked either */
};

enum fleet_health {
	FLEET_UNCHECKED, /* there are no checks, or none has decided yet: taken for up */
	FLEET_UP,
	FLEET_DOWN,
};

/* What one worker has seen of one server; written by that worker alone. */
struct fleet_counters {
	alignas(64) atomic_uint_fast64_t requests; /* tried, answered or not */
	atomic_uint_fast64_t failures;             /* not answered */
	atomic_uint_fast64_t errors;               /* answered with 5xx */
	atomic_uint_fast64_t answers;              /* with any status */
	atomic_uint_fast64_t latency_us;           /* of the answers, summed up */
	atomic_uint_fast64_t running;
};

/* One server of one group. Counted; rosters, workers and checks hold it. */
struct fleet_server {
	struct memory *memory;
	void *block; /* that it stands in, and its size in bytes */
	size_t size;
	atomic_uint references;

	/* who it is; never changes */
	struct span text; /* for logs and orders: as it was written; "10.0.0.7:80" of a name that was looked up */
	struct span written; /* as it was written, or "target:port" of an SRV record: for Host */
	struct span host; /* the name in it; empty with a literal or unix address: what a certificate is for */
	struct address address; /* family ADDRESS_NONE: host is resolved at each connect */
	uint16_t port;
	uint64_t id;             /* from `text` */
	unsigned most;           /* max_connections; 0 = any number */
	struct address_set *set; /* that it is in as long as it is; NULL: in none */
	struct address_entry entry;

	/* how it is; any thread */
	atomic_uint order;                      /* enum fleet_order */
	atomic_uint health;                     /* enum fleet_health */
	atomic_uint weight;                     /* by order; 0: the roster's counts */
	atomic_uint_fast64_t well_since;        /* loop clock, ms: for slow start; 0: always */
	atomic_uint_fast64_t ejected_until;     /* loop clock, ms; 0: not */
	atomic_uint ejections;                  /* in a row */
	atomic_uint connects, failures, errors; /* in a row: see outlier_settings */

	/* how much it has to do; any thread, often */
	alignas(64) atomic_uint in_flight;
	struct fleet_counters counters[]; /* by worker->index */
};

struct roster_member {
	struct fleet_server *server; /* held */
	uint64_t id;                 /* the server's: here it is found without a look at each server */
	uint32_t weight;             /* 1..256 */
	uint32_t tier;               /* lower ones first */
};

/* Sorted by tier; within one in the order of the configuration and of answers. */
struct roster {
	struct memory *memory;
	atomic_uint references;
	unsigned count, most;
	struct roster_member members[];
};

/* ---- the fleet ---- */

/*
 * For groups as `plans` say. Servers that are in `previous` too (same group, same text) are taken over from there, with all that is known of
 * them; NULL: there is none. `workers`: how many there will be; the index behind theirs is the control thread's, which carries no traffic. NULL:
 * out of memory.
 */
WARN_UNUSED struct fleet *fleet_new(struct memory *memory, const struct upstream_plan *plans, size_t count,
				    unsigned workers, struct fleet *previous);
void fleet_free(struct fleet *fleet); /* NULL is fine; workers and checks have ended */

/*
 * From now on the addresses of all servers are in the set, those that are there already too. It outlives the fleet and its servers. Before anything runs.
 */
void fleet_keep_addresses(struct fleet *fleet, struct address_set *set);

size_t fleet_count(const struct fleet *fleet);
unsigned fleet_workers(const struct fleet *fleet); /* without the control thread */
struct fleet_group *fleet_group_at(struct fleet *fleet, size_t index);
struct fleet_group *fleet_group_find(struct fleet *fleet, struct span name); /* NULL: there is none */

/*
 * From now on `look` is called on the worker, soon after something has changed in a group that cannot wait until the next pick: its roster,
 * a server that went down, or a place that became free. Before the worker runs.
 */
typedef void fleet_look_fn(struct worker *worker, size_t group);
void fleet_attach(struct fleet *fleet, struct worker *worker, fleet_look_fn *look);

/* ---- a group ---- */

const struct upstream_plan *fleet_plan(const struct fleet_group *group);
unsigned fleet_group_workers(const struct fleet_group *group); /* fleet_workers of its fleet */
/* It has taken servers over from a fleet that may still be at work. */
bool fleet_has_before(const struct fleet_group *group);
/* Held for the caller. */
WARN_UNUSED struct roster *fleet_roster(struct fleet_group *group);
uint64_t fleet_version(const struct fleet_group *group);
/* Something of a server has changed: pickers look again; at once, where exchanges wait for a server. */
void fleet_touch(struct fleet_group *group);
/* The same, and workers look at once: exchanges may wait for the answer of a server that is down now. */
void fleet_alarm(struct fleet_group *group);

/* A new roster, whose one reference is the group's from now on; workers look at once. One thread at a time for each group. */
void fleet_publish(struct fleet_group *group, struct roster *roster);

/* Room for `most` members. NULL: out of memory. */
WARN_UNUSED struct roster *roster_new(struct memory *memory, unsigned most);
/*
 * The server is held once more by it. One that is in it stays there once: in the lower tier of the two, with both weights if they are the same.
 */
void roster_add(struct roster *roster, struct fleet_server *server, uint32_t weight, uint32_t tier);
void roster_sort(struct roster *roster); /* by tier, stable */
struct roster *roster_retain(struct roster *roster);
void roster_release(struct roster *roster);

/* ---- a server ---- */

struct fleet_identity {
	struct span written;           /* as configured */
	const struct address *address; /* of a name that was looked up: with its port; NULL: `written` says it */
	struct span host; /* with `address`: the name that it was found by; else from `written` */
	unsigned most;
};

/*
 * The server of the group's roster (or of the previous fleet's) that is the same, held once more; or a new one. NULL: out of memory, or
 * `written` is no address.
 */
WARN_UNUSED struct fleet_server *fleet_server_get(struct fleet_group *group,
						  const struct fleet_identity *identity);
struct fleet_server *fleet_server_retain(struct fleet_server *server);
void fleet_server_release(struct fleet_server *server);

/* A name whose addresses are servers of their own, or that stands for SRV records. */
bool fleet_is_discovered(const struct upstream_server_settings *server);

/* Of a server's counters, over all who have some. */
struct fleet_sums {
	uint64_t requests, answers, errors, failures, latency_us, running;
};

struct fleet_sums fleet_server_sums(const struct fleet_server *server, unsigned counters);

/* As ordered, else as the roster has it. */
uint32_t roster_weight(const struct roster_member *member);

/* Nothing speaks against it but maybe an order: no check has found it down, and it is not ejected. */
bool fleet_server_is_sound(const struct fleet_server *server, uint64_t now_ms);
/* Whether it takes new requests, as checks, orders and ejection have it. */
bool fleet_server_is_well(const struct fleet_server *server, uint64_t now_ms);

/* ---- limits of a group, of all workers ---- */

enum fleet_gauge { FLEET_CONNECTIONS, FLEET_REQUESTS, FLEET_PENDING, FLEET_RETRIES, FLEET_GAUGES };

/* One more, unless there are as many as the group's limits allow. A gauge without a limit is not kept. */
WARN_UNUSED bool fleet_enter(struct fleet_group *group, enum fleet_gauge gauge);
void fleet_leave(struct fleet_group *group, enum fleet_gauge gauge);
/* How many there are now, and may be. False: it is not kept. */
WARN_UNUSED bool fleet_gauge_read(const struct fleet_group *group, enum fleet_gauge gauge, unsigned *now,
				  unsigned *most);

/*
 * The same for a connection of this worker. One that is left while others wait stays counted, and is granted to the worker whose turn it is, which looks
 * soon: or those would have it that come by first.
 */
WARN_UNUSED bool fleet_connection_enter(struct fleet_group *group, const struct worker *worker);
void fleet_connection_leave(struct fleet_group *group, const struct worker *worker);
/* Nobody of this worker waits any more: what was granted to it goes on. */
void fleet_connection_pass_on(struct fleet_group *group, const struct worker *worker);
/* What was entered is left when this connection is closed. */
void fleet_connection_give(struct fleet_group *group, struct conn *conn);
/* Whether this worker has more than an equal share of the connections that there may be. */
bool fleet_connections_unfair(const struct fleet_group *group, const struct worker *worker);

/* ---- waiting in line ---- */

/* What exchanges wait for. */
enum fleet_line {
	FLEET_FOR_PLACE,      /* a server that may be given more: max_connections */
	FLEET_FOR_CONNECTION, /* limits.connections */
	FLEET_LINES,
};

/* So many of this worker wait more, or less. */
void fleet_wait(struct fleet_group *group, const struct worker *worker, enum fleet_line line, int change);
bool fleet_waits(const struct fleet_group *group, enum fleet_line line); /* anybody, on any worker */
/*
 * There is something for one of those in line. Workers whose exchanges wait take turns: true if it is the turn of `worker` itself (NULL: of nobody),
 * which looks; else another one looks soon.
 */
bool fleet_on_place(struct fleet_group *group, enum fleet_line line, const struct worker *worker);
/* Whether it is the turn of this worker, which is over then. */
bool fleet_has_turn(struct fleet_group *group, enum fleet_line line, const struct worker *worker);
/* All other workers look soon. */
void fleet_call_others(struct fleet_group *group, const struct worker *worker);

#endif
