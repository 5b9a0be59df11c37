/*
 * TLS with origins of the forward face, on one worker. Each handshake is a whole one: a session that is resumed would tell an origin which connections
 * are the same user's, or would be one user's for another.
 */
#ifndef GUISE_UPSTREAM_ORIGIN_TLS_H
#define GUISE_UPSTREAM_ORIGIN_TLS_H

#include "core/list.h"
#include "tls/client.h"

struct origin_trust; /* what connections have in common whose certificates are signed by the same authorities */

/* Begins the handshake: see tls_connect. `name`: what the certificate must be for; copied. False: out of memory. */
WARN_UNUSED bool origin_secure(struct conn *conn, const struct tls_trust *trust, struct span name,
			       uint64_t timeout_ms);

/* Of a worker's room: what origin_secure has made. After the connections. */
void origin_trusts_fini(struct worker *worker, struct link *trusts);

#endif
