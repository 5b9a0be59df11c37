/*
 * Connections of the forward proxy that wait for reuse, by who asked and where they go: two clients never share one. An
 * origin exists as long as it has a connection. One worker's own.
 */
#ifndef GUISE_UPSTREAM_ORIGIN_H
#define GUISE_UPSTREAM_ORIGIN_H

#include "core/map.h"
#include "http/h1/client.h"
#include "net/address.h"
#include "upstream/session_pool.h"

enum {
	ORIGIN_KEEP = 128,    /* idle connections of one client to one place */
	ORIGINS_IDLE = 1024,  /* idle connections of all clients to all places, on this worker */
	ORIGINS_MOST = 65536, /* clients times places with a connection, on this worker */
};

struct origins {
	struct worker *worker;
	struct map map;
	struct session_rest rest;
};

void origins_init(struct origins *origins, struct worker *worker);
void origins_fini(struct origins *origins);
/* Closes all idle connections. */
void origins_drain(struct origins *origins);

/* An idle connection that this client (its address; port ignored) opened to `host`:`port`, or NULL. */
struct session *origin_take(struct worker *worker, const struct address *client, struct span host,
			    uint16_t port);
/* Makes a session of a connection just established, busy at once. NULL: out of memory, or too many; conn is still the caller's. */
WARN_UNUSED struct session *origin_adopt(struct worker *worker, const struct address *client,
					 struct span host, uint16_t port, struct conn *conn,
					 const struct h1_client_settings *settings);

#endif
