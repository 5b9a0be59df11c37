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

/* Who accepts, and counts clients. */
struct entrance_owner_ops {
	/*
	 * The PROXY header of a connection whose peer has to send one has said who the client is. False: this client may have no more connections; it is
	 * closed, and on_gone comes with no address.
	 */
	bool (*on_named)(void *owner, const struct address *client);
	/*
	 * The connection has ended. Once. The client's address is the peer's, or for a peer that has to send a header the one that on_named said yes to
	 * (family ADDRESS_NONE when it never came to that).
	 */
	client_gone_fn *on_gone;
};

/* Whether a peer of this listener says by a PROXY header who the client is: it is not to be counted as one itself. */
bool entrance_awaits_header(const struct proxy_listener *listener, const struct address *peer);

/*
 * Serves an accepted descriptor (non-blocking) from `peer` as its listener is configured. The descriptor is ours from now on. False: out of
 * memory; it is closed, and on_gone does not follow.
 */
WARN_UNUSED bool entrance_open(const struct proxy_listener *listener, struct worker *worker, int fd,
			       const struct address *peer, const struct entrance_owner_ops *ops, void *owner);

/* worker->draining was set: closes what has sent nothing yet, and lets the codecs drain. */
void entrance_drain(struct worker *worker);
/* Cuts every connection of clients of this worker, whatever its codec. */
void entrance_cut(struct worker *worker);

#endif
