/*
 * The server side of TLS: a listener's context on one worker, and the handshake of an accepted connection. Afterwards the connection is
 * used like any other (net/conn.h): TLS is its transport.
 */
#ifndef GUISE_TLS_SERVER_H
#define GUISE_TLS_SERVER_H

#include "net/conn.h"
#include "tls/info.h"
#include "tls/settings.h"
#include "tls/store.h"

/* Per-worker state of both sides: scratch buffers, handshakes in progress. Slot WORKER_SLOT_TLS. `handshakes`: at most so many at a time. */
WARN_UNUSED bool tls_room_init(struct worker *worker, uint64_t handshakes);
void tls_room_fini(struct worker *worker); /* after conn_room_fini */

/* Where ticket keys come from: the same for all workers, chosen at start; each worker derives the key of each period from it (and forgets the last one's). */
struct tls_ticket_seed {
	uint8_t bytes[32];
	uint64_t start_ms; /* monotonic clock (loop.now), at the time of choosing: periods count from it */
};

struct tls_server_options {
	struct tls_store *store; /* retained */
	enum tls_version minimum;
	bool strict_sni;
	bool http2; /* offered by ALPN before http/1.1 */
	enum tls_client_verify clients;
	struct span clients_ca;             /* PEM; with `clients` */
	const struct tls_ticket_seed *seed; /* NULL: no session is resumed */
	struct span name;                   /* of the listener: tickets of another one are not taken */
};

struct tls_server; /* one worker's */

/* NULL: *why tells (static text). */
WARN_UNUSED struct tls_server *tls_server_new(struct worker *worker, const struct tls_server_options *options,
					      const char **why);
void tls_server_free(struct tls_server *server); /* after its connections */
/* From the next handshake on. Retained. On the server's worker. False: out of memory, the old one stays. */
WARN_UNUSED bool tls_server_set_store(struct tls_server *server, struct tls_store *store);

/*
 * Begins a handshake on an accepted connection; `early` are bytes that were received already. conn->ops->on_connect follows when it is
 * done, with reading started; conn->ops->on_fail with ERROR_HANDSHAKE (its text says why) when it fails or takes longer than `timeout_ms`.
 * When too many handshakes are in progress, the one that has been for longest fails. False: out of memory.
 */
WARN_UNUSED bool tls_accept(struct conn *conn, struct tls_server *server, struct span early,
			    uint64_t timeout_ms);

/* Of a connection after its handshake; NULL for one in clear. */
const struct tls_info *tls_conn_info(const struct conn *conn);

#endif
