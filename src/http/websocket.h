/*
 * The handshake of WebSocket (RFC 6455 4) as far as a proxy needs it: to turn one over HTTP/2, which has no keys (RFC 8441 5.1), into
 * one over HTTP/1 and back. Pure but for the random numbers.
 */
#ifndef GUISE_HTTP_WEBSOCKET_H
#define GUISE_HTTP_WEBSOCKET_H

#include "core/random.h"
#include "core/span.h"

enum {
	WEBSOCKET_KEY_LENGTH = 24,    /* 16 random bytes in base64 */
	WEBSOCKET_ACCEPT_LENGTH = 28, /* a SHA-1 in base64 */
};

/* A Sec-WebSocket-Key (RFC 6455 4.1); no NUL. It keeps caches from replaying an answer, and is no secret. */
void websocket_key_make(struct random *random, char key[WEBSOCKET_KEY_LENGTH]);

/* The Sec-WebSocket-Accept for a key (RFC 6455 4.2.2), whatever its bytes; no NUL. False: there is no SHA-1. */
WARN_UNUSED bool websocket_accept_make(struct span key, char accept[WEBSOCKET_ACCEPT_LENGTH]);

/* True when a server that answers so has read the key. */
bool websocket_accept_is(struct span accept, struct span key);

#endif
