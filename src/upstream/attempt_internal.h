/*
 * One attempt to connect to a server of a group: connect, PROXY header, TLS handshake, codec. acquire.c makes it, and gives what comes of it to those
 * that wait for it.
 */
#ifndef GUISE_UPSTREAM_ATTEMPT_INTERNAL_H
#define GUISE_UPSTREAM_ATTEMPT_INTERNAL_H

#include "upstream/acquire.h"
#include "upstream/connector.h"

enum attempt_state {
	ATTEMPT_NEW,
	ATTEMPT_WAITING, /* for a connection to be allowed: see connections_internal.h */
	ATTEMPT_CONNECTING,
	ATTEMPT_GREETING, /* the PROXY header is to leave in clear, before TLS begins */
	ATTEMPT_SECURING, /* TLS handshake */
	ATTEMPT_OPENING,  /* HTTP/2: the server's SETTINGS are to come */
	ATTEMPT_OVER,
};

struct attempt {
	struct worker *worker;
	struct upstream_group *group;
	struct upstream_server *server;
	struct connector connector;
	struct conn *conn;       /* while greeting and securing */
	struct session *session; /* while opening */
	struct timer timer;      /* the same, and while waiting */
	struct link line;        /* upstream_group.starved, while waiting */
	struct loop_task refuse; /* soon: it may not even wait */
	struct link link;        /* upstream_server.attempts, shared ones first */
	struct link waiters;     /* struct acquire */
	uint32_t waiting;        /* of them */
	uint8_t state;           /* enum attempt_state */
	uint8_t kind;            /* enum acquire_kind */
	uint16_t port;           /* as wished */
	bool shared;             /* others may join, and it goes on when nobody waits any more */
	bool counted;            /* as a connection, which there is none of yet */
	struct loop_task retire;
};

/* Among the server's attempts, nobody waiting yet. NULL: out of memory. */
WARN_UNUSED struct attempt *attempt_new(struct upstream_group *group, struct upstream_server *server,
					const struct acquire_wish *wish);
/* Starts, for the one that waits now; or gets in line, where the group has as many connections as it may. */
void attempt_start(struct attempt *attempt);
/* Its connection is counted, and may be made. */
void attempt_begin(struct attempt *attempt);
/* Ends it; nobody may wait any more. */
void attempt_stop(struct attempt *attempt);

/* What comes of an attempt: one of the three. */
struct attempt_result {
	struct conn *conn; /* no ops, reading stopped */
	struct session *session;
	bool pooled; /* the session is the pool's, and may be given to many */
	struct error error;
};

/*
 * acquire.c: while it waits, those that wait for it are given sessions of the server's pool that have room. True: at least one got one. It may be
 * over then.
 */
bool acquire_from_pool(struct attempt *attempt);
/* acquire.c: it waits no longer, and begins. */
void acquire_on_turn(const struct attempt *attempt);

/* acquire.c, for attempt.c: it is over. Comes from the loop, never before attempt_start returns. */
void acquire_on_attempt(struct attempt *attempt, const struct attempt_result *result);

#endif
