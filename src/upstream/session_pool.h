/*
 * Upstream connections to one place that can carry another exchange. One on which exchanges run is preferred, so that a connection that
 * carries many is filled before another is begun; then the idle one that was used last, since it is the least likely to be closed by
 * the server and its caches are warm. One worker's own.
 */
#ifndef GUISE_UPSTREAM_SESSION_POOL_H
#define GUISE_UPSTREAM_SESSION_POOL_H

#include "upstream/idle_share.h"

struct session_pool;
typedef void session_pool_empty_fn(struct session_pool *pool);
typedef void session_pool_room_fn(struct session_pool *pool); /* nothing may be taken or closed inside */

struct session_pool {
	struct worker *worker;
	struct link ready;        /* sessions with room: those on which exchanges run, then idle ones */
	uint32_t busy_count;      /* of them: exchanges run, or one was just taken */
	uint32_t idle_count;      /* of them: nothing runs */
	uint32_t keep;            /* idle ones at most */
	uint32_t open;            /* all, with room or without */
	struct idle_share *share; /* of all that are idle, together with other pools; may be NULL */
	session_pool_empty_fn *on_empty; /* the last session has ended; may be NULL */
	session_pool_room_fn *on_room;   /* a session has room that had none, or is idle; may be NULL */
};

/* For the codec that opens a session for a pool; the owner is the pool. */
extern const struct session_owner_ops session_pool_owner_ops;

void session_pool_init(struct session_pool *pool, struct worker *worker, uint32_t keep,
		       session_pool_empty_fn *on_empty);
/* Closes the idle sessions. Exchanges on others must have ended. */
void session_pool_fini(struct session_pool *pool);

/* Closes the idle sessions; others end with their last exchange, since the worker drains. The pool may be gone afterwards (on_empty). */
void session_pool_drain(struct session_pool *pool);

/* Closes the session that is idle for longest. False: there is none. */
bool session_pool_close_idle(struct session_pool *pool);

/* A session with room, to be opened at once or discarded; NULL: there is none. */
struct session *session_pool_take(struct session_pool *pool);

/* A session that was opened with session_pool_owner_ops belongs to the pool from now on, and is taken. */
void session_pool_add(struct session_pool *pool, struct session *session);

/* The session, on which an exchange runs or is about to, is the pool's no more: whoever calls keeps it, with owner_ops of its own. The pool may be gone afterwards. */
void session_pool_give_up(struct session_pool *pool, struct session *session);

/*
 * For a session that was just added and that many may use: offer it, take this very one as often as it has room (false: it has none,
 * or has ended), then settle. All in one turn.
 */
void session_pool_offer(struct session_pool *pool, struct session *session);
WARN_UNUSED bool session_pool_take_this(struct session_pool *pool, struct session *session);
void session_pool_settle(struct session_pool *pool, struct session *session);

#endif
