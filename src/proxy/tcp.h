/*
 * The tcp face: a connection of a client, handed on as it is to a server of a group. An exchange without heads, a tunnel from its beginning.
 */
#ifndef GUISE_PROXY_TCP_H
#define GUISE_PROXY_TCP_H

#include "proxy/proxy.h"

/* Slot WORKER_SLOT_TCP. */
WARN_UNUSED bool tcp_room_init(struct worker *worker);
void tcp_room_fini(struct worker *worker);

/*
 * Takes over an established connection of a client and starts reading; `client` is copied. `on_gone` follows once, perhaps before this returns.
 * Bytes that were received already are given to conn->ops->on_read afterwards. False: out of memory; the connection is still the caller's and
 * on_gone does not follow.
 */
WARN_UNUSED bool tcp_open(const struct proxy_listener *listener, struct conn *conn,
			  const struct client *client, client_gone_fn *on_gone, void *owner);

/* worker->draining was set: closes connections that have no server yet; the others end by themselves. */
void tcp_drain(struct worker *worker);
/* Cuts every connection of this worker. */
void tcp_cut(struct worker *worker);

#endif
