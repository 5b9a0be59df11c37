/*
 * Upstream groups at work: the servers of each group, who is next, and their pools. Each worker has its own.
 */
#ifndef GUISE_UPSTREAM_GROUP_H
#define GUISE_UPSTREAM_GROUP_H

#include "balance/balance.h"
#include "net/address.h"
#include "upstream/session_pool.h"
#include "upstream/settings.h"

struct upstream_server {
	const struct upstream_server_settings *settings;
	struct span text;       /* as it was written: for logs */
	struct span host;       /* a name to resolve; empty with a literal or unix address */
	struct address address; /* family ADDRESS_NONE: resolve host */
	uint16_t port;
	struct session_pool pool;
};

struct upstream_group {
	const struct upstream_settings *settings;
	struct upstream_timeouts timeouts; /* ms, all set */
	struct upstream_server *servers;
	struct balance_entry *entries; /* one for each server */
	unsigned count;                /* of both */
	struct balance balance;
};

/*
 * Sets up this worker's groups, in the order of `settings`, which must outlive them; `timeouts` has one entry for each. Slot
 * WORKER_SLOT_UPSTREAM. False: out of memory.
 */
WARN_UNUSED bool upstream_room_init(struct worker *worker, const struct upstream_settings *settings,
				    const struct upstream_timeouts *timeouts, size_t count);
void upstream_room_fini(struct worker *worker);

struct upstream_group *upstream_group(const struct worker *worker, size_t index);

/* The index of the server for the next request, not one of those that `tried` marks (NULL: none); -1: there is none. */
int upstream_group_pick(struct upstream_group *group, const bool *tried);

/* Closes all idle connections: the worker is draining. */
void upstream_drain(struct worker *worker);

#endif
