/*
 * The server side of HTTP/1: a client's connection, which brings one request after the other (RFC 9112 9.3), pipelined or not.
 * Opened by whoever accepts; makes exchanges for its service. All on the connection's worker.
 */
#ifndef GUISE_HTTP_H1_SERVER_H
#define GUISE_HTTP_H1_SERVER_H

#include "exchange/exchange.h"

/* Pools for both sides of HTTP/1. Slot WORKER_SLOT_H1. */
WARN_UNUSED bool h1_room_init(struct worker *worker);
void h1_room_fini(struct worker *worker);

/*
 * Takes over an established connection of a client and starts reading; `client` is copied. `on_gone` follows once. Bytes that were received already
 * are given to conn->ops->on_read afterwards. False: out of memory; the connection is still the caller's and on_gone does not follow.
 */
WARN_UNUSED bool h1_server_open(struct conn *conn, const struct client *client, const struct service *service,
				client_gone_fn *on_gone, void *owner);

/* worker->draining was set: closes idle connections; the others end with their exchange. */
void h1_server_drain(struct worker *worker);
/* Cuts every connection of this worker, tunnels included. */
void h1_server_cut(struct worker *worker);

#endif
