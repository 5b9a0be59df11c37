/*
 * A raw stream: one end of a tunnel, bytes as they come. Half-close travels as the end of a flow.
 */
#ifndef GUISE_EXCHANGE_RAW_H
#define GUISE_EXCHANGE_RAW_H

#include "exchange/exchange.h"

/*
 * Takes over a connection whose codec has let go: its source pushes into `in`, what `out` brings is sent. `early` (may be NULL;
 * left empty) are bytes that were received already; `ended`: its FIN has been seen. `on_gone` (may be NULL) tells `owner` once when the stream has closed the connection.
 * NULL: out of memory, and the connection is as it was.
 */
typedef void raw_gone_fn(void *owner);
WARN_UNUSED struct stream *raw_stream_new(struct exchange *x, struct conn *conn, struct flow *in,
					  struct flow *out, struct chunk_queue *early, bool ended,
					  raw_gone_fn *on_gone, void *owner);
/*
 * From now on the bytes between both raw ends of a tunnel are moved without flows (net/relay.h); totals are still counted in them. False: not now
 * (bytes are queued, a transport that is no bare socket, no memory), and everything goes on as before.
 */
bool raw_relay(struct exchange *x);

#endif
