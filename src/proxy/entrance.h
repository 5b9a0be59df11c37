/*
 * From an accepted descriptor to the codec that serves it: PROXY protocol, TLS and its ALPN, HTTP/2 by prior knowledge, or a raw stream on
 * a tcp listener. On the worker that accepted.
 */
#ifndef GUISE_PROXY_ENTRANCE_H
#define GUISE_PROXY_ENTRANCE_H

#include "proxy/proxy.h"

/* For connections that have no codec yet. Slot WORKER_SLOT_ENTRANCE. */
WARN_UNUSED bool entrance_room_init(struct worker *worker);
void entrance_room_fini(struct worker *worker);

/*
 * Serves an accepted descriptor (non-blocking) from `peer` as its listener is configured. `on_gone` follows once, with the address `peer` in
 * the client whatever a PROXY header said. The descriptor is ours from now on. False: out of memory; it is closed, and on_gone does not follow.
 */
WARN_UNUSED bool entrance_open(const struct proxy_listener *listener, struct worker *worker, int fd,
			       const struct address *peer, client_gone_fn *on_gone, void *owner);

/* worker->draining was set: closes what has sent nothing yet, and lets the codecs drain. */
void entrance_drain(struct worker *worker);
/* Cuts every connection of clients of this worker, whatever its codec. */
void entrance_cut(struct worker *worker);

#endif
