/*
 * A raw stream: one end of a tunnel, bytes as they come. Half-close travels as the end of a flow.
 */
#ifndef GUISE_EXCHANGE_RAW_H
#define GUISE_EXCHANGE_RAW_H

#include "exchange/exchange.h"
#include "net/relay.h"

/*
 * Takes over a connection whose codec has let go: its source pushes into `in`, what `out` brings is sent. `early` (may be NULL;
 * left empty) are bytes that were received already; `ended`: its FIN has been seen. `on_gone` (may be NULL) tells `owner` once when the stream has closed the connection.
 * NULL: out of memory, and the connection is as it was.
 */
typedef void raw_gone_fn(void *owner);
WARN_UNUSED struct stream *raw_stream_new(struct exchange *x, struct conn *conn, struct flow *in,
					  struct flow *out, struct chunk_queue *early, bool ended,
					  raw_gone_fn *on_gone, void *owner);
/* A raw stream has no heads to send. */
bool raw_stream_is(const struct stream *stream);
/*
 * From now on the bytes between both raw ends of a tunnel are moved without flows (net/relay.h); totals are still counted in them. False: not now
 * (bytes are queued, a transport that is no bare socket, no memory), and everything goes on as before.
 */
bool raw_relay(struct exchange *x);

/* For a codec whose connection has become the stream: it can let go of it for good, and fills in who is then to be told of its end. */
typedef void raw_claim_fn(void *owner, struct client_claim *claim);
void raw_set_claim(struct stream *stream, raw_claim_fn *claim);

/* What is left of a tunnel that has left its exchange. */
struct raw_tunnel {
	struct relay *relay; /* between the two: a is `down` */
	struct conn *down, *up;
	struct client_claim claim;
};

/* Whether raw_leave may do it now: both ends are bare sockets without anything queued, and whoever has to be told of their end can be. */
bool raw_may_leave(const struct exchange *x);
/*
 * Takes a tunnel out of its exchange: a relay of the caller's has both connections, and no stream knows them any more; exchange_leave must follow. False:
 * out of memory, and everything is as before.
 */
WARN_UNUSED bool raw_leave(struct exchange *x, const struct relay_ops *ops, void *owner,
			   struct raw_tunnel *tunnel);

#endif
