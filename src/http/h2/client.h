/*
 * The client side of HTTP/2 (RFC 9113): an upstream connection as a session that carries many exchanges at a time.
 */
#ifndef GUISE_HTTP_H2_CLIENT_H
#define GUISE_HTTP_H2_CLIENT_H

#include "exchange/session.h"

struct h2_client_settings {
	uint64_t response; /* ms: for the head, and between two reads; 0 = none */
	uint64_t idle;     /* ms: kept unused; 0 = for ever */
	uint32_t streams;  /* at a time, at most; the server may allow fewer */
	size_t window;     /* bytes: of each stream, at first */
	uint32_t fields;   /* in one response head */
	size_t head;       /* bytes of one response head */
};

/* Takes over an established connection (TLS with ALPN h2, or in clear by prior knowledge). As h1_client_open. */
WARN_UNUSED struct session *h2_client_open(struct conn *conn, const struct h2_client_settings *settings,
					   const struct session_owner_ops *owner_ops, void *owner);

#endif
