/*
 * Who the servers of the groups are, where the configuration does not say it all: names whose addresses are servers of their own, SRV records (RFC 2782),
 * lists from files. What changes is published as a new roster (fleet.h). On one worker, the control thread's, which has a resolver.
 *
 * A name is asked for again when its time to live has passed; while nobody answers, and when a name has nothing any more, what was known last stays
 * in use. A service that says that it is not available ("." as its only target) has no servers.
 */
#ifndef GUISE_UPSTREAM_DISCOVERY_H
#define GUISE_UPSTREAM_DISCOVERY_H

#include "core/arena.h"
#include "upstream/fleet.h"

struct discovery;

/* A list of servers from a file. Whoever makes it gives it away. */
struct discovery_list {
	struct memory *memory;
	struct arena arena;          /* what the list is in */
	struct setting_list servers; /* struct upstream_server_settings */
};

WARN_UNUSED struct discovery_list *discovery_list_new(struct memory *memory); /* empty; NULL: out of memory */
void discovery_list_free(struct discovery_list *list);

/*
 * Begins to ask. What is known without asking, the lists that were read with the configuration among it, is published before this returns. The fleet
 * outlives it. Before the worker runs, or on it. NULL: out of memory.
 */
WARN_UNUSED struct discovery *discovery_start(struct worker *worker, struct fleet *fleet);
void discovery_stop(struct discovery *discovery); /* before the resolver ends, with a turn to follow; NULL is fine */

/* Whether there is anything to ask for in a list of struct upstream_server_settings. */
bool discovery_is_needed(const struct setting_list *servers);

/* Whether each name has been answered, in one way or the other. */
bool discovery_settled(const struct discovery *discovery);

/* The group's file says something else now. Takes the list, whose memory is the process's. On the worker. */
void discovery_replace(struct discovery *discovery, size_t group, struct discovery_list *list);

/* A name that has no server behind it now. */
struct discovery_missing {
	const struct upstream_plan *plan;
	const struct upstream_server_settings *server;
	bool file; /* it stands in the group's file */
	struct span name;
	const char *why; /* static text */
};

typedef void discovery_missing_fn(void *owner, const struct discovery_missing *missing);
void discovery_each_missing(const struct discovery *discovery, discovery_missing_fn *tell, void *owner);

#endif
