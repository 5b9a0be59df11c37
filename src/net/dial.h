/*
 * Opens one connection to the first of several addresses that answers (RFC 8305: families interleaved, the next try starts
 * when one fails or 250 ms after the last, the first to connect wins, the others are closed).
 */
#ifndef GUISE_NET_DIAL_H
#define GUISE_NET_DIAL_H

#include "net/conn.h"

struct dial;
/* `conn` is connected and the callee's, with no ops yet (conn_adopt); NULL when every try failed: *error is the last's. */
typedef void dial_fn(void *owner, struct conn *conn, const struct error *error);

/*
 * Starts; `addresses` are copied (at most RESOLVER_MAX_ADDRESSES are used), in the order of preference; so is `way` (NULL: as the system chooses). The callback comes exactly
 * once, never before this returns, unless cancelled. NULL: out of memory.
 */
WARN_UNUSED struct dial *dial_start(struct worker *worker, const struct address *addresses, unsigned count,
				    const struct net_way *way, uint64_t timeout_ms, dial_fn *on_done,
				    void *owner);
void dial_cancel(struct dial *dial);

#endif
