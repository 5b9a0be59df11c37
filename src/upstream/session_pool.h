/*
 * Idle upstream connections to one place, for reuse: the last one used is taken first, since it is the least likely to be
 * closed by the server and its caches are warm. One worker's own.
 */
#ifndef GUISE_UPSTREAM_SESSION_POOL_H
#define GUISE_UPSTREAM_SESSION_POOL_H

#include "exchange/session.h"
#include "http/h1/client.h"

struct session_pool;
typedef void session_pool_empty_fn(struct session_pool *pool);

/* Idle sessions of many pools, the one that is idle for longest first: it goes when there are too many. */
struct session_rest {
	struct link all; /* session.rest */
	uint32_t count, most;
};

struct session_pool {
	struct worker *worker;
	struct link idle; /* sessions, the last one used first */
	uint32_t idle_count;
	uint32_t keep;                   /* idle ones at most */
	uint32_t open;                   /* idle or busy */
	struct session_rest *rest;       /* shared with other pools; may be NULL */
	session_pool_empty_fn *on_empty; /* the last session has ended; may be NULL */
};

void session_pool_init(struct session_pool *pool, struct worker *worker, uint32_t keep,
		       session_pool_empty_fn *on_empty);
/* Closes the idle sessions. Busy ones must have ended. */
void session_pool_fini(struct session_pool *pool);

/* Closes the idle sessions; the pool may be gone afterwards (on_empty). */
void session_pool_drain(struct session_pool *pool);

/* An idle session, or NULL. */
struct session *session_pool_take(struct session_pool *pool);
/* Makes a session of a connection that has just been established, busy at once. NULL: out of memory; conn is still the caller's. */
WARN_UNUSED struct session *session_pool_adopt(struct session_pool *pool, struct conn *conn,
					       const struct h1_client_settings *settings);

#endif
