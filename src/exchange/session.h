/*
 * An upstream connection that carries exchanges, whatever its protocol: HTTP/1 one at a time, HTTP/2 many. Pools keep
 * sessions; codecs make them.
 */
#ifndef GUISE_EXCHANGE_SESSION_H
#define GUISE_EXCHANGE_SESSION_H

#include "exchange/exchange.h"

struct session;

struct session_ops {
	/* A stream to be given to exchange_set_up; `running` is one more. Only while running < most. NULL: out of memory. */
	struct stream *(*open)(struct session *session, struct exchange *x);
	/* Ends a session on which nothing runs; on_gone does not follow. */
	void (*close)(struct session *session);
};

/* Who keeps the session. */
struct session_owner_ops {
	/*
	 * It can carry another exchange: one on it has ended, or the server allows more now, or has said for the first time how many
	 * (HTTP/2's first SETTINGS). Told again after each exchange; not while it is gone.
	 */
	void (*on_ready)(struct session *session);
	/*
	 * It takes no other exchange: it has ended, or ends with those that still run on it (GOAWAY). The owner must forget it; it will be
	 * freed at the end of the turn in which its last one ends. Once.
	 */
	void (*on_gone)(struct session *session);
};

struct session {
	const struct session_ops *ops;
	const struct session_owner_ops *owner_ops;
	void *owner;
	struct link link;  /* the owner's */
	struct link rest;  /* the owner's too */
	struct conn *conn; /* borrowed, for its addresses */
	uint32_t served;   /* exchanges so far */
	uint32_t running;  /* exchanges now */
	uint32_t most;     /* that may run at a time; 1 for HTTP/1; the server may change it */
	bool idle;         /* the owner's too */
	bool pinned;       /* it is no pool's any more: see pin.h */
};

/* Ends a session that was taken, but not used; one on which others run goes on. The owner is told if it ends. */
static inline void session_discard(struct session *session)
{
	if (session->running > 0)
		return;
	session->owner_ops->on_gone(session);
	session->ops->close(session);
}

#endif
