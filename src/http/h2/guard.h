/*
 * What a peer may not do, and what it may not do often (RFC 9113 5.1, 10.5): a look at each frame before nghttp2 has it.
 */
#ifndef GUISE_HTTP_H2_GUARD_H
#define GUISE_HTTP_H2_GUARD_H

#include "http/h2/budget.h"

enum { H2_FRAME_HEAD = 9 }; /* bytes (RFC 9113 4.1) */

struct h2_guard {
	struct h2_budget budget;
	uint64_t reset_at;           /* loop clock, ms: when we last reset a stream; 0: never */
	uint32_t skip;               /* bytes until the next frame */
	int32_t highest;             /* stream that the client has opened */
	uint8_t head[H2_FRAME_HEAD]; /* of a frame that has come in part */
	uint8_t held;                /* bytes of it */
	uint8_t continuations;       /* in the field block that is being read */
	bool server;                 /* the peer is a client */
	bool leaving;                /* we have sent GOAWAY */
	bool abused;                 /* the peer has been sent away */
};

void h2_guard_init(struct h2_guard *guard, bool server, uint64_t now_ms);

#endif
