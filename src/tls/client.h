/*
 * The client side of TLS: what connections to the servers of one upstream group have in common on one worker, and their handshake.
 */
#ifndef GUISE_TLS_CLIENT_H
#define GUISE_TLS_CLIENT_H

#include "net/conn.h"
#include "tls/info.h"
#include "tls/settings.h"

struct tls_trust; /* certificates that are believed: immutable, reference-counted, shared by workers */

/* From PEM. NULL: *why tells (static text). */
WARN_UNUSED struct tls_trust *tls_trust_new(struct span pem, const char **why);
/* The system's store, read once, now: not for a worker's thread. NULL: *why tells. */
WARN_UNUSED struct tls_trust *tls_trust_system(const char **why);
struct tls_trust *tls_trust_retain(struct tls_trust *trust);
void tls_trust_release(struct tls_trust *trust); /* NULL is fine */

enum tls_alpn { TLS_ALPN_HTTP1, TLS_ALPN_BOTH, TLS_ALPN_HTTP2, TLS_ALPN_NONE };

struct tls_client_options {
	struct tls_trust *trust; /* retained; NULL: servers are not verified */
	enum tls_version minimum;
	enum tls_alpn alpn;
	bool sni;
	struct span certificate, key; /* PEM; empty: none */
};

struct tls_client; /* one worker's */

WARN_UNUSED struct tls_client *tls_client_new(struct worker *worker, const struct tls_client_options *options,
					      const char **why);
void tls_client_free(struct tls_client *client); /* after its connections */

/* One per server: its name, and the session to resume. Embedded; zero before tls_peer_init. */
struct tls_peer {
	struct span name; /* a host name or a literal address; borrowed */
	void *session;
};

void tls_peer_init(struct tls_peer *peer, struct span name);
void tls_peer_fini(struct tls_peer *peer);

/*
 * Begins a handshake on an established connection to `peer`, which must outlive it. conn->ops->on_connect follows when it is done and the
 * certificate is good; conn->ops->on_fail with ERROR_TLS_PROTOCOL, ERROR_TLS_CERTIFICATE, ERROR_TLS_ALERT or ERROR_CONNECT_TIMEOUT else, the text
 * saying why and `unprocessed` set. False: out of memory.
 */
WARN_UNUSED bool tls_connect(struct conn *conn, struct tls_client *client, struct tls_peer *peer,
			     uint64_t timeout_ms);

#endif
