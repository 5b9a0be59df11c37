/*
 * Tunnels that have left their exchange. A tunnel between two bare sockets needs nothing of the exchange that opened it but what its line in the log
 * will say: so the exchange ends when the client has been answered, and what stays is a relay and a small record. One worker's own.
 */
#ifndef GUISE_PROXY_DETACHED_H
#define GUISE_PROXY_DETACHED_H

#include "proxy/proxy.h"

struct proxy_exchange;

/* Slot WORKER_SLOT_DETACHED. */
WARN_UNUSED bool detached_room_init(struct worker *worker);
void detached_room_fini(struct worker *worker); /* after detached_cut; harmless when it was not set up */

/*
 * The exchange's tunnel goes on without it; the exchange has ended then, and is not logged. False: not now, or not with such ends (one is no bare socket,
 * somebody has to be told of what moves), and everything is as before.
 */
bool detached_begin(struct exchange *x, struct proxy_exchange *p);

/* Ends them all. */
void detached_cut(struct worker *worker);
size_t detached_count(const struct worker *worker); /* looks at each: for tests */

#endif
