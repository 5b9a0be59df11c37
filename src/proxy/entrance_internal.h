/*
 * Between the files of the entrance: a connection that has no codec yet, and the count of those that never got one.
 */
#ifndef GUISE_PROXY_ENTRANCE_INTERNAL_H
#define GUISE_PROXY_ENTRANCE_INTERNAL_H

#include "core/pending.h"
#include "proxy/entrance.h"

/* Why a connection ended before its first request, as it is counted and logged. */
enum entrance_end {
	ENTRANCE_NO_HEADER, /* no valid PROXY header from who must send one */
	ENTRANCE_NO_TLS,    /* neither TLS nor HTTP on a port that speaks TLS */
	ENTRANCE_HANDSHAKE_FAILED,
	ENTRANCE_LATE, /* timeouts.handshake was over */
	ENTRANCE_ENDS,
};

/* A line in the error log at most every ten seconds for each of them; it says how many there were since the last one. */
struct entrance_tally {
	uint64_t count;   /* since the last line */
	uint64_t said;    /* loop clock, ms: of the last line; 0: none yet */
	const char *text; /* of the last of them; static */
	const struct proxy_listener *listener;
	struct address peer;
};

struct entrance_room {
	struct worker *worker;
	struct pool entrances;
	struct link open;
	struct entrance_tally tallies[ENTRANCE_ENDS];
	struct timer report;
};

static inline struct entrance_room *entrance_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_ENTRANCE];
}

enum entrance_state {
	ENTRANCE_HEADER,    /* a PROXY header is to come */
	ENTRANCE_HELLO,     /* the first bytes on a port that speaks TLS */
	ENTRANCE_HANDSHAKE, /* TLS has the connection */
	ENTRANCE_PREFACE,   /* in clear: HTTP/2's preface, or something else */
	ENTRANCE_LEFT,      /* a codec has it, or it is closed */
};

struct entrance {
	struct conn *conn; /* NULL: left */
	struct worker *worker;
	const struct proxy_listener *listener;
	struct client client; /* address: as it is counted */
	const struct entrance_owner_ops *ops;
	void *owner;
	struct pending pending; /* what has come and is not understood yet */
	uint64_t deadline;      /* loop clock, ms: timeouts.handshake */
	struct timer timer;
	struct link link;
	struct loop_task retire;
	uint8_t state; /* enum entrance_state */
};

/* entrance_log.c */
void entrance_log_init(struct entrance_room *room);
void entrance_log_fini(struct entrance_room *room); /* says what has not been said yet */
void entrance_count(const struct entrance *entrance, enum entrance_end end, const char *text);

/* What the first bytes of a connection on a TLS port are. */
enum entrance_guess { ENTRANCE_IS_TLS, ENTRANCE_IS_HTTP, ENTRANCE_IS_OTHER, ENTRANCE_IS_UNCLEAR };
enum entrance_guess entrance_guess(struct span bytes);

#endif
