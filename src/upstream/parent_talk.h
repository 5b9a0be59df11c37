/*
 * What is said to one parent so that it connects to where we want to go: CONNECT of HTTP (RFC 9110 9.3.6), SOCKS 4A, SOCKS 5 (RFC 1928, RFC 1929). Pure: bytes
 * in, bytes out, no sockets. Answers are read strictly and bounded; what comes behind the last of them belongs to the tunnel.
 */
#ifndef GUISE_UPSTREAM_PARENT_TALK_H
#define GUISE_UPSTREAM_PARENT_TALK_H

#include "core/arena.h"
#include "core/error.h"
#include "upstream/parent_settings.h"

enum {
	PARENT_HEAD_MOST = 16 * 1024, /* of an answer of HTTP */
	PARENT_INTERIM_MOST = 8,      /* answers with 1xx before it */
	PARENT_HEAD_FIRST = 1024,     /* what is kept room for at first */
};

enum parent_talk_state {
	PARENT_TALK_IDLE,
	PARENT_TALK_HEAD,   /* HTTP: waits for the answer */
	PARENT_TALK_METHOD, /* SOCKS 5: for the choice of a method */
	PARENT_TALK_LOGIN,  /* SOCKS 5: for what becomes of user and password */
	PARENT_TALK_REPLY,  /* SOCKS: for the reply to the request */
	PARENT_TALK_OPEN,   /* the tunnel is there; or, without a target, it has let us in */
	PARENT_TALK_FAILED,
};

/* Whose fault it is that there is no tunnel. */
enum parent_blame {
	PARENT_BLAME_NOBODY,
	PARENT_BLAME_PARENT, /* it cannot serve us: what it said holds for every target, as wrong credentials do */
	PARENT_BLAME_MAYBE,  /* the parent or the target: it does not say */
	PARENT_BLAME_TARGET, /* it tried, and says that the target cannot be reached */
	PARENT_BLAME_WISH,   /* it does not want to go there: another way would get around its rules */
};

struct parent_talk {
	const struct parent_server *server;
	struct memory *memory;
	struct span host;       /* of the target, borrowed */
	struct address address; /* family ADDRESS_NONE: by name */
	uint16_t port;          /* 0: there is no target, it is only greeted */
	uint8_t state;          /* enum parent_talk_state */
	uint8_t blame;          /* FAILED: enum parent_blame */
	uint8_t interim;
	unsigned status;    /* HTTP: of the answer; 0: none */
	struct error error; /* FAILED */
	uint8_t *bytes;     /* of an answer that has come in part */
	size_t len, capacity, scanned;
};

/* The talk with `server`, which is to connect to `address`, or to the name `host`, at `port`; all borrowed until parent_talk_fini. */
void parent_talk_init(struct parent_talk *talk, const struct parent_server *server, struct memory *memory,
		      const struct address *address, struct span host, uint16_t port);
void parent_talk_fini(struct parent_talk *talk); /* harmless when it is zero */

/* What is said first, in the arena; empty: nothing has to be (no target, and nothing to be let in by). ->at is NULL: the talk has failed. */
WARN_UNUSED struct span parent_talk_begin(struct parent_talk *talk, struct arena *arena);

/*
 * Bytes have come. How many of them were used: all, but for those behind the end of the talk. *say (in the arena) is what is to be sent now, maybe
 * nothing. Then the state tells.
 */
size_t parent_talk_feed(struct parent_talk *talk, struct span bytes, struct arena *arena, struct span *say);

/* Nothing has been heard of it since it was last spoken to: whether that can only be the parent's fault. */
bool parent_talk_is_greeting(const struct parent_talk *talk);

#endif
