/*
 * One attempt to connect to a server of a group: connect, PROXY header. Made and told of by acquire.c, which gives the
 * connection to those that wait for it.
 */
#ifndef GUISE_UPSTREAM_ATTEMPT_INTERNAL_H
#define GUISE_UPSTREAM_ATTEMPT_INTERNAL_H

#include "upstream/acquire.h"
#include "upstream/connector.h"

enum attempt_state {
	ATTEMPT_CONNECTING,
	ATTEMPT_OVER,
};

struct attempt {
	struct worker *worker;
	struct upstream_group *group;
	struct upstream_server *server;
	struct connector connector;
	struct conn *conn;   /* once connected */
	struct link link;    /* upstream_server.attempts, shared ones first */
	struct link waiters; /* struct acquire */
	uint32_t waiting;    /* of them */
	uint8_t state;       /* enum attempt_state */
	bool bare;           /* no codec is wanted */
	bool shared;         /* others may join, and it goes on when nobody waits any more */
	struct loop_task retire;
};

/* Among the server's attempts, nobody waiting yet. NULL: out of memory. */
WARN_UNUSED struct attempt *attempt_new(struct upstream_group *group, struct upstream_server *server,
					bool bare);
/* Starts, for the one that waits now. */
void attempt_start(struct attempt *attempt);
/* Ends it; nobody may wait any more. */
void attempt_stop(struct attempt *attempt);

/*
 * acquire.c, for attempt.c: it is over, with a connection (no ops, reading stopped) or with an error. Comes from the loop, never before
 * attempt_start returns.
 */
void acquire_on_attempt(struct attempt *attempt, struct conn *conn, struct error error);

#endif
