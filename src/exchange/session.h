/*
 * An upstream connection that carries exchanges, whatever its protocol: HTTP/1 one at a time, HTTP/2 many. Pools keep
 * sessions; codecs make them.
 */
#ifndef GUISE_EXCHANGE_SESSION_H
#define GUISE_EXCHANGE_SESSION_H

#include "exchange/exchange.h"

struct session;

struct session_ops {
	/* A stream to be given to exchange_set_up. NULL: out of memory. */
	struct stream *(*open)(struct session *session, struct exchange *x);
	/* Ends an idle session; on_gone does not follow. */
	void (*close)(struct session *session);
};

/* Who keeps the session. */
struct session_owner_ops {
	/* It can carry another exchange. */
	void (*on_idle)(struct session *session);
	/* It cannot carry another one; it will be freed at the end of the turn. Once. */
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
};

/* Ends a session that is not idle (taken, but not used): the owner is told. */
static inline void session_discard(struct session *session)
{
	session->owner_ops->on_gone(session);
	session->ops->close(session);
}

#endif
