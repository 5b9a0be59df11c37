/*
 * Listening sockets. Binding needs rights and happens in one place (server), before workers start: one socket for each worker
 * and address (SO_REUSEPORT), or one shared for unix sockets. Accepting happens on each worker.
 */
#ifndef GUISE_NET_LISTENER_H
#define GUISE_NET_LISTENER_H

#include "net/conn.h"

/*
 * Binds and listens: non-blocking, close-on-exec, SO_REUSEADDR, SO_REUSEPORT (not unix), TCP_DEFER_ACCEPT off, backlog 4096.
 * IPv6 any is dual-stack when `dual`. A stale unix socket that nobody answers on is replaced. *address gets the real port.
 * -1: *error_text tells what failed in words (static), errno the rest.
 */
WARN_UNUSED int listener_bind(struct address *address, bool dual, const char **error_text);

struct acceptor;

struct acceptor_ops {
	/* A new connection; the callee owns fd (non-blocking, TCP_NODELAY set). */
	void (*on_accept)(struct acceptor *acceptor, int fd, const struct address *peer);
};

struct acceptor {
	struct loop_source source;
	struct worker *worker;
	const struct acceptor_ops *ops;
	void *owner;            /* the listener's meaning: face, routes */
	struct address local;
	struct timer resume;    /* after EMFILE and the like: try again a little later */
	bool paused;
};

/* Starts accepting on this worker; `fd` stays the caller's. At most 64 accepts a turn, then it goes on in the next. */
WARN_UNUSED bool acceptor_start(struct acceptor *acceptor, struct worker *worker, int fd, const struct address *local,
				const struct acceptor_ops *ops, void *owner);
void acceptor_stop(struct acceptor *acceptor);
/* Too many connections: new ones wait in the kernel's queue until acceptor_resume. */
void acceptor_pause(struct acceptor *acceptor);
void acceptor_resume(struct acceptor *acceptor);

#endif
