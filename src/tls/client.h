/*
 * The client side of TLS: what connections to the servers of one upstream group have in common on one worker, and their handshake.
 */
#ifndef GUISE_TLS_CLIENT_H
#define GUISE_TLS_CLIENT_H

#include "core/mailbox.h"
#include "net/conn.h"
#include "tls/info.h"
#include "tls/settings.h"

struct tls_trust; /* certificates that are believed: immutable, reference-counted, shared by workers */

/* From PEM. NULL: *why tells (static text). */
WARN_UNUSED struct tls_trust *tls_trust_new(struct span pem, const char **why);
/* The system's store, read once, now: not for a worker's thread. NULL: *why tells. */
WARN_UNUSED struct tls_trust *tls_trust_system(const char **why);
/*
 * The same, but read when somebody wants it for the first time, by a thread of its own: with hundreds of certificates it takes a quarter of a second.
 * NULL: there is no such store, *why tells.
 */
WARN_UNUSED struct tls_trust *tls_trust_system_later(const char **why);

/* These are believed too. Before anybody else has the store. False: *why tells. */
WARN_UNUSED bool tls_trust_add(struct tls_trust *trust, struct span pem, const char **why);

/* Who waits until a store has been read. The letter is opened on the mailbox's thread; it is the waiter's to fill in. */
struct tls_trust_wait {
	struct letter letter;
	struct mailbox *mailbox;
	struct tls_trust_wait *next;
};

/* Nothing is to be waited for. Any thread, as the next. */
bool tls_trust_is_ready(const struct tls_trust *trust);
/* True: it can be used now. False: the letter follows; if it still is not ready then, no thread was to be had. */
WARN_UNUSED bool tls_trust_want(struct tls_trust *trust, struct tls_trust_wait *wait);
/* Waits for the thread that reads it, if there is one: before the mailboxes of those who wait go. NULL is fine. */
void tls_trust_settle(struct tls_trust *trust);

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
