/*
 * The server side of SOCKS 4, 4a and 5: a client's connection, which negotiates, asks for one thing, and then is a tunnel or over. What it asks for is an
 * exchange as HTTP's CONNECT is: the head says method CONNECT, BIND or UDP, an authority and a version of SOCKS, and the response head
 * becomes the reply.
 *
 *   2xx       success; the address told is x->bound. CONNECT and BIND become raw then; UDP stays as it is: the request's body ends when the
 *             client goes, and when the response's body has ended, so has the exchange
 *   1xx       the first of BIND's two replies, with x->bound
 *   the rest  what x->error says in the words of SOCKS
 *
 * All on the connection's worker.
 */
#ifndef GUISE_SOCKS_SERVER_H
#define GUISE_SOCKS_SERVER_H

#include "exchange/exchange.h"

/* Slot WORKER_SLOT_SOCKS. */
WARN_UNUSED bool socks_room_init(struct worker *worker);
void socks_room_fini(struct worker *worker);

/*
 * Takes over an established connection of a client and starts reading; `client` is copied. `on_gone` follows once. Bytes that were received already
 * are given to conn->ops->on_read afterwards. From now on the client has timeouts.handshake for all that comes before its request. False: out of memory; the
 * connection is still the caller's and on_gone does not follow.
 */
WARN_UNUSED bool socks_server_open(struct conn *conn, const struct client *client,
				   const struct service *service, client_gone_fn *on_gone, void *owner);

/* For service.beside: connections that begin with a version of SOCKS, which no request of HTTP does. */
extern const struct codec_beside socks_beside;

/* Cuts every connection of this worker, tunnels included. A drain leaves them alone: each carries one exchange, or is about to. */
void socks_server_cut(struct worker *worker);

#endif
