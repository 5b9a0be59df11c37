/*
 * The client side of HTTP/1: an upstream connection as a session that carries one exchange at a time. A response that the server frames
 * badly never reaches the next exchange: the connection ends with the error.
 */
#ifndef GUISE_HTTP_H1_CLIENT_H
#define GUISE_HTTP_H1_CLIENT_H

#include "exchange/session.h"

struct h1_client_settings {
	uint64_t response; /* ms: for the head, and between two reads; 0 = none */
	uint64_t idle;     /* ms: kept unused; 0 = for ever */
	bool absolute;     /* the server is a proxy: targets in absolute-form */
	struct span authorization; /* what a proxy is told in Proxy-Authorization; empty: nothing. Borrowed until the end */
};

/*
 * Takes over an established connection. `settings` is copied. The owner's on_ready comes after each exchange that leaves the connection usable,
 * on_gone once when it ends. NULL: out of memory, and the connection is still the caller's.
 */
WARN_UNUSED struct session *h1_client_open(struct conn *conn, const struct h1_client_settings *settings,
					   const struct session_owner_ops *owner_ops, void *owner);

#endif
