/*
 * Upstream groups at work: the servers of each group, who is next, and their pools. Each worker has its own.
 */
#ifndef GUISE_UPSTREAM_GROUP_H
#define GUISE_UPSTREAM_GROUP_H

#include "balance/balance.h"
#include "exchange/settings.h"
#include "net/address.h"
#include "tls/client.h"
#include "upstream/session_pool.h"
#include "upstream/settings.h"

/* A group as the configuration describes it, with what was read for it. Immutable, shared by workers, borrowed by them. */
struct upstream_plan {
	const struct upstream_settings *settings;
	const struct limits_settings *limits;
	struct upstream_timeouts timeouts; /* ms, all set */
	struct tls_trust *trust;           /* of `tls`; NULL: servers are not verified */
	struct span certificate, key;      /* of `tls`, PEM: our own; may be empty */
};

enum upstream_speaks {
	UPSTREAM_SPEAKS_UNKNOWN, /* until the first TLS handshake tells */
	UPSTREAM_SPEAKS_HTTP1,
	UPSTREAM_SPEAKS_HTTP2,
};

struct upstream_server {
	const struct upstream_server_settings *settings;
	struct span text;       /* as it was written: for logs */
	struct span host;       /* a name to resolve; empty with a literal or unix address */
	struct address address; /* family ADDRESS_NONE: resolve host */
	uint16_t port;
	struct session_pool pool;
	struct link attempts; /* to connect: see acquire.h */
	uint8_t speaks;       /* enum upstream_speaks: on its last connection */
	uint32_t most;        /* streams that it allowed on its last HTTP/2 connection; 0: not known */
	struct tls_peer peer;
	atomic_uint in_flight;
};

struct upstream_group {
	const struct upstream_plan *plan;
	const struct upstream_settings *settings;  /* the plan's */
	struct tls_client *tls[TLS_ALPN_NONE + 1]; /* by what is offered; NULL: not needed yet */
	struct upstream_server *servers;
	struct balance_entry *entries; /* one for each server */
	unsigned count;                /* of both */
	struct balance balance;
};

/* Sets up this worker's groups, in the order of `plans`. Slot WORKER_SLOT_UPSTREAM. False: out of memory. */
WARN_UNUSED bool upstream_room_init(struct worker *worker, const struct upstream_plan *plans, size_t count);
void upstream_room_fini(struct worker *worker);

struct upstream_group *upstream_group(const struct worker *worker, size_t index);

/* The index of the server for the next request, not one of those that `tried` marks (NULL: none); -1: there is none. */
int upstream_group_pick(struct upstream_group *group, const bool *tried);

/* Closes all idle connections, and gives up those being made that nobody waits for: the worker is draining. */
void upstream_drain(struct worker *worker);

#endif
