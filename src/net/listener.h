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

/*
 * Another socket, of this process or any other, listens on the address already. SO_REUSEPORT lets a second process of the same user
 * bind in silence and take a part of the connections: ask before the first listener_bind of an address. False for port 0
 * and unix sockets, where binding itself tells.
 */
bool listener_in_use(const struct address *address, bool dual);

/*
 * Where an accepted connection of a socket bound to `bound` came to: one of the machine's addresses, of which `bound` may stand for all. Costs
 * a system call only then.
 */
struct address listener_local(int fd, const struct address *bound);

/*
 * The same, but so that connections to any address of others that the system hands to it (TPROXY) are accepted, as if that address were ours. Needs
 * CAP_NET_ADMIN or CAP_NET_RAW. No unix sockets.
 */
WARN_UNUSED int listener_bind_transparent(struct address *address, bool dual, const char **error_text);

/*
 * Where an accepted connection was on the way to before the system redirected it here (REDIRECT, DNAT). Where it came to when it was not redirected.
 * False: the system does not know.
 */
bool listener_redirected(int fd, const struct address *peer, struct address *original);

/* The address that an accepted connection was made to, whatever the socket is bound to. False: there is none. */
bool listener_came_to(int fd, struct address *local);

struct acceptor;

struct acceptor_ops {
	/*
	 * A new connection; the callee owns fd (non-blocking, TCP_NODELAY set). `peer` is IPv4 where a dual-stack socket
	 * shows it mapped; of a unix peer only the family. acceptor_pause and acceptor_stop are legal.
	 */
	void (*on_accept)(struct acceptor *acceptor, int fd, const struct address *peer);
};

struct acceptor {
	struct loop_source source;
	struct worker *worker;
	const struct acceptor_ops *ops;
	void *owner; /* the listener's meaning: face, routes */
	struct address local;
	struct timer resume; /* in the next turn when more is waiting; a little later after EMFILE and the like */
	struct loop_task again; /* soon: after a pause */
	uint64_t complained;    /* loop clock, of the last line in the error log */
	bool paused;
};

/* Starts accepting on this worker; `fd` stays the caller's, *acceptor must outlive the turn of acceptor_stop. False: errno tells. At most 64 accepts a turn, then it goes on in the next. */
WARN_UNUSED bool acceptor_start(struct acceptor *acceptor, struct worker *worker, int fd,
				const struct address *local, const struct acceptor_ops *ops, void *owner);
void acceptor_stop(struct acceptor *acceptor);
/* Too many connections: new ones wait in the kernel's queue until acceptor_resume. */
void acceptor_pause(struct acceptor *acceptor);
void acceptor_resume(struct acceptor *acceptor);

#endif
