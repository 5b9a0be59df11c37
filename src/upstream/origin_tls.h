/*
 * TLS with origins of the forward face, on one worker. Each handshake is a whole one: a session that is resumed would tell an origin which connections
 * are the same user's, or would be one user's for another.
 */
#ifndef GUISE_UPSTREAM_ORIGIN_TLS_H
#define GUISE_UPSTREAM_ORIGIN_TLS_H

#include "core/list.h"
#include "tls/client.h"

struct origin_trust; /* what connections have in common whose certificates are signed by the same authorities */

struct origin_wait; /* for certificates that are being read; outlives who has cancelled */
/* `good`: they have been read. On the worker, once. */
typedef void origin_ready_fn(void *owner, bool good);

/*
 * Whether the handshake can begin now; if not, on_ready follows, never before this returns, unless it is cancelled, and *wait is what to cancel by. False with
 * *wait NULL: out of memory.
 */
WARN_UNUSED bool origin_trust_is_ready(struct worker *worker, struct tls_trust *trust,
				       origin_ready_fn *on_ready, void *owner, struct origin_wait **wait);
void origin_wait_cancel(struct origin_wait **wait); /* harmless when there is none */

/* Begins the handshake: see tls_connect. `name`: what the certificate must be for; copied. False: out of memory. */
WARN_UNUSED bool origin_secure(struct conn *conn, const struct tls_trust *trust, struct span name,
			       uint64_t timeout_ms);

/* Of a worker's room: what origin_secure has made. After the connections. */
void origin_trusts_fini(struct worker *worker, struct link *trusts);

#endif
