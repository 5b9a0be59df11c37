/*
 * From a server of a group to something to speak on: a session that has room for an exchange, or a bare connection of one's own. A session
 * comes from the pool, or from a connection that others wait for too when the server is known to take many exchanges on one, or from a
 * new one. A new connection means, as the group is configured: connect, a PROXY header, a TLS handshake, and the codec that was agreed on.
 *
 * Embedded in whoever waits; one worker's own.
 */
#ifndef GUISE_UPSTREAM_ACQUIRE_H
#define GUISE_UPSTREAM_ACQUIRE_H

#include "upstream/group.h"

struct acquire;
struct attempt;

/* One of them comes, once, never before the start returns; none after acquire_cancel. Inside, another may be started or any be cancelled. */
struct acquire_ops {
	/* The session is to be opened (session->ops->open), or discarded, before this returns. */
	void (*on_session)(struct acquire *acquire, struct session *session);
	/* Connected, and the callee's (no ops yet, reading stopped); TLS, if the group has it, is its transport. */
	void (*on_conn)(struct acquire *acquire, struct conn *conn);
	/* The server has seen nothing of any request: error->unprocessed is set. */
	void (*on_failed)(struct acquire *acquire, const struct error *error);
};

enum acquire_kind {
	ACQUIRE_SESSION,
	ACQUIRE_HTTP1, /* a session of HTTP/1.1, for what only that can do */
	ACQUIRE_CONN,  /* a connection without a codec */
	ACQUIRE_CLEAR, /* the same, and without TLS, whatever the group has */
	ACQUIRE_TLS, /* the same, with TLS: the group's, or, where it has none, any that comes about, verified by nobody */
};

/* The addresses are what a PROXY header says, and borrowed until the end. */
struct acquire_wish {
	enum acquire_kind kind;
	const struct address *source;      /* the client */
	const struct address *destination; /* where it connected to */
	bool fresh;                        /* what is put into the pool meanwhile will not do */
	bool alone; /* nor will a connection that others wait for too: nobody else is given this one before it has come */
	uint64_t *began_us; /* set to the loop's clock when it has been in line, and its turn has come; may be NULL */
	uint16_t port; /* instead of the server's own; 0: that one. Not where others use its sessions: they would get there too */
};

struct acquire {
	const struct acquire_ops *ops;
	struct upstream_group *group;
	struct upstream_server *server;
	struct acquire_wish wish;
	struct attempt *attempt; /* that is waited for; NULL: none */
	struct link link;        /* attempt.waiters */
	uint8_t rounds;          /* attempts that ended without room for it */
};

/*
 * Starts. The pool is not looked into first. False: out of memory, and nothing was started. The server is one of the group's, and
 * `acquire` stays where it is until the end.
 */
WARN_UNUSED bool acquire_start(struct acquire *acquire, const struct acquire_ops *ops,
			       struct upstream_group *group, struct upstream_server *server,
			       const struct acquire_wish *wish);

/* Nothing has been tried yet: the group has as many connections as it may (`limits.connections`), and one is waited for. */
bool acquire_is_in_line(const struct acquire *acquire);

void acquire_stop(struct acquire *acquire); /* acquire_cancel's */

/* Harmless when it has ended, or was never started but is zero. */
static inline void acquire_cancel(struct acquire *acquire)
{
	if (acquire->attempt)
		acquire_stop(acquire);
}

#endif
