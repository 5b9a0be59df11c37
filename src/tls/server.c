/*
 * A listener's context: which certificate, which protocol, whose sessions. OpenSSL calls back in the middle of a handshake, on the listener's
 * worker.
 */
#include "tls/server.h"

#include "tls/store_internal.h"
#include "tls/ticket_internal.h"
#include "tls/tls_internal.h"

#include <openssl/err.h>
#include <openssl/sha.h>

enum { SNI_MOST = 255 };

struct tls_server {
	struct worker *worker;
	SSL_CTX *context; /* with the store's default certificates: another store, another context */
	struct tls_store *store;
	enum tls_version minimum;
	bool strict_sni, http2, tickets_on, asks_clients;
	uint8_t id[SHA256_DIGEST_LENGTH]; /* sessions of listeners with another one are not resumed */
	struct tls_tickets tickets;
	struct timer timer; /* of the next ticket key */
};

static struct tls *tls_of(SSL *ssl)
{
	BIO *bio = SSL_get_rbio(ssl);
	struct tls_room *room = BIO_get_data(bio);

	return room->current;
}

/* --- the certificate --- */

static bool use_set(SSL *ssl, const struct tls_identity_set *set)
{
	SSL_certs_clear(ssl);
	for (unsigned i = 0; i < TLS_KEY_KINDS; i++) {
		const struct tls_identity *one = set->of[i];
		if (one && SSL_use_cert_and_key(ssl, one->leaf, one->key, one->chain, 1) != 1)
			return false;
	}
	return true;
}

static bool preset(SSL_CTX *context, const struct tls_identity_set *set)
{
	for (unsigned i = 0; i < TLS_KEY_KINDS; i++) {
		const struct tls_identity *one = set->of[i];
		if (one && SSL_CTX_use_cert_and_key(context, one->leaf, one->key, one->chain, 1) != 1)
			return false;
	}
	return true;
}

/*
 * The host name of the extension server_name (RFC 6066 3), lower case, without a final dot. 0: there is none, -1: it is malformed. At most
 * one name of the type host_name may be there, and no other type exists.
 */
static int read_sni(SSL *ssl, uint8_t name[static SNI_MOST])
{
	const uint8_t *at;
	size_t len, list, host;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &at, &len))
		return 0;
	if (len < 5)
		return -1;
	list = (size_t)at[0] << 8 | at[1];
	host = (size_t)at[3] << 8 | at[4];
	if (list != len - 2 || at[2] != TLSEXT_NAMETYPE_host_name || host != len - 5 || host == 0 ||
	    host > SNI_MOST || memchr(at + 5, 0, host))
		return -1;
	for (size_t i = 0; i < host; i++)
		name[i] = ascii_lower(at[5 + i]);
	if (name[host - 1] == '.')
		host--;
	return host > 0 && name[host - 1] == '.' ? -1 : (int)host;
}

/* In place of what there was; `extra` bytes follow it. NULL: out of memory. */
static uint8_t *own(struct tls *tls, struct span name, size_t extra)
{
	struct memory *memory = tls->room->worker->memory;
	uint8_t *owned = memory_alloc(memory, name.len + extra);

	if (!owned)
		return NULL;
	if (name.len)
		memcpy(owned, name.at, name.len);
	memory_free(memory, tls->owned, tls->owned_size);
	tls->owned = owned;
	tls->owned_size = (uint32_t)(name.len + extra);
	tls->info.sni = span_make(owned, name.len);
	return owned + name.len;
}

/*
 * The first thing that is looked at, a resumed session or not. The context has the default certificates, so that nothing is to be done when
 * they are for the name.
 */
static int on_hello(SSL *ssl, int *alert, void *argument)
{
	struct tls_server *server = argument;
	struct tls *tls = tls_of(ssl);
	uint8_t name[SNI_MOST] UNINITIALISED;
	int len = read_sni(ssl, name);
	struct tls_identity_set set;
	bool found;

	*alert = SSL_AD_DECODE_ERROR;
	if (len < 0)
		return SSL_CLIENT_HELLO_ERROR;
	*alert = SSL_AD_INTERNAL_ERROR;
	if (len > 0 && !own(tls, span_make(name, (size_t)len), 0))
		return SSL_CLIENT_HELLO_ERROR;
	found = tls_store_find(tls->store, span_make(name, (size_t)len), &set);
	if (!found && server->strict_sni) {
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_CLIENT_HELLO_ERROR;
	}
	tls->info.identity = NULL;
	for (unsigned i = TLS_KEY_KINDS; i-- > 0;)
		tls->info.identity = set.of[i] ? set.of[i] : tls->info.identity;
	if (found && !tls_identity_set_equal(&set, &tls->store->fallback) && !use_set(ssl, &set))
		return SSL_CLIENT_HELLO_ERROR;
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* RFC 6066 3: a name that was of use is acknowledged; the session then remembers it. */
static int on_server_name(SSL *ssl, int *alert, void *argument)
{
	return tls_of(ssl)->info.sni.len > 0 ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* The certificate that was shown. A resumed session shows none: then the one that would be. */
static const struct tls_identity *shown(struct tls *tls)
{
	const X509 *leaf = SSL_get_certificate(tls->ssl);

	for (size_t i = 0; leaf && i < tls->store->count; i++) {
		if (tls->store->identities[i].leaf == leaf)
			return &tls->store->identities[i];
	}
	return tls->info.identity;
}

/* --- OCSP --- */

/* RFC 6066 8. OpenSSL frees the copy. */
static int on_status(SSL *ssl, void *argument)
{
	struct tls *tls = tls_of(ssl);
	const struct tls_identity *identity = shown(tls);
	time_t now = (time_t)(tls->room->worker->loop.wall_ms / 1000);
	uint8_t *copy;

	if (!identity || !identity->ocsp || (identity->ocsp_until != 0 && identity->ocsp_until < now))
		return SSL_TLSEXT_ERR_NOACK;
	copy = OPENSSL_memdup(identity->ocsp, identity->ocsp_len);
	if (!copy)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)identity->ocsp_len);
	return SSL_TLSEXT_ERR_OK;
}

/* --- ALPN --- */

static bool offers(struct span list, struct span protocol)
{
	for (size_t at = 0; at < list.len; at += 1 + list.at[at]) {
		if (list.at[at] > list.len - at - 1)
			return false;
		if (span_equal(span_make(list.at + at + 1, list.at[at]), protocol))
			return true;
	}
	return false;
}

/* Our preference; nothing in common ends the handshake (RFC 7301 3.2). */
static int on_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned in_len,
		   void *argument)
{
	const struct tls_server *server = argument;
	struct span list = span_make(in, in_len), chosen;

	if (server->http2 && offers(list, SPAN("h2")))
		chosen = SPAN("h2");
	else if (offers(list, SPAN("http/1.1")))
		chosen = SPAN("http/1.1");
	else
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	tls_of(ssl)->info.alpn = chosen;
	*out = chosen.at;
	*out_len = (uint8_t)chosen.len;
	return SSL_TLSEXT_ERR_OK;
}

/* --- sessions --- */

static int on_ticket_key(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
			 int encrypt)
{
	struct tls_server *server = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	(void)tls_tickets_advance(&server->tickets, server->worker->loop.now);
	return tls_tickets_key(&server->tickets, name, iv, cipher, mac, encrypt != 0);
}

static int on_ticket_made(SSL *ssl, void *argument)
{
	return 1;
}

/* A session of another name is not resumed (RFC 6066 3), nor one with a client certificate that has expired meanwhile. */
static SSL_TICKET_RETURN on_ticket_read(SSL *ssl, SSL_SESSION *session, const uint8_t *name, size_t name_len,
					SSL_TICKET_STATUS status, void *argument)
{
	struct span asked = tls_of(ssl)->info.sni;
	const char *had;
	const X509 *peer;

	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	had = SSL_SESSION_get0_hostname(session);
	peer = SSL_SESSION_get0_peer(session);
	if (!span_equal_nocase(asked, span_of(had)) ||
	    (peer && X509_cmp_current_time(X509_get0_notAfter(peer)) <= 0))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static void on_timer(struct timer *timer)
{
	struct tls_server *server = CONTAINER_OF(timer, struct tls_server, timer);
	struct loop *loop = &server->worker->loop;

	(void)tls_tickets_advance(&server->tickets, loop->now);
	loop_timer_start(loop, timer, tls_tickets_next(&server->tickets, loop->now));
}

/* Tickets are for listeners of the same name that ask the same of clients. */
static bool make_id(struct tls_server *server, const struct tls_server_options *options)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	uint8_t rule = (uint8_t)options->clients;
	bool fine = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) &&
		    EVP_DigestUpdate(digest, options->clients_ca.at, options->clients_ca.len) &&
		    EVP_DigestUpdate(digest, &rule, 1) &&
		    EVP_DigestUpdate(digest, options->name.at, options->name.len) &&
		    EVP_DigestFinal_ex(digest, server->id, NULL);

	EVP_MD_CTX_free(digest);
	return fine;
}

static bool set_up_sessions(struct tls_server *server, SSL_CTX *context)
{
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	/* In TLS 1.3 a ticket leaves with the first bytes of the first response, and not in a packet of its own: transport.c. */
	if (!SSL_CTX_set_session_id_context(context, server->id, sizeof(server->id)) ||
	    !SSL_CTX_set_num_tickets(context, 0))
		return false;
	if (!server->tickets_on) {
		SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
		return true;
	}
	SSL_CTX_set_timeout(context, TICKET_LIFETIME_S);
	return SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket_key) &&
	       SSL_CTX_set_session_ticket_cb(context, on_ticket_made, on_ticket_read, server);
}

/* --- clients' certificates --- */

static bool set_up_clients(SSL_CTX *context, const struct tls_server_options *options, const char **why)
{
	int mode = SSL_VERIFY_PEER;
	STACK_OF(X509) * all;
	bool fine = true;

	if (options->clients == TLS_CLIENT_NONE)
		return true;
	if (options->clients == TLS_CLIENT_REQUIRED)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(context, mode, NULL);
	all = tls_certificates_read(options->clients_ca, why);
	if (!all)
		return false;
	for (int i = 0; fine && i < sk_X509_num(all); i++) {
		X509 *one = sk_X509_value(all, i);
		fine = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one) &&
		       SSL_CTX_add_client_CA(context, one);
	}
	sk_X509_pop_free(all, X509_free);
	if (!fine)
		*why = tls_reason();
	return fine;
}

static bool keep_client_certificate(struct tls *tls)
{
	X509 *peer = SSL_get0_peer_certificate(tls->ssl);
	int len = peer ? i2d_X509(peer, NULL) : 0;
	uint8_t name[TLS_SUBJECT_MOST], *at;

	if (len <= 0)
		return true;
	size_t name_len = tls_subject(peer, name);
	at = own(tls, tls->info.sni, (size_t)len + name_len);
	if (!at)
		return false;
	tls->info.client_certificate = span_make(at, (size_t)len);
	tls->info.client_name = span_make(at + len, name_len);
	memcpy(at + len, name, name_len);
	return i2d_X509(peer, &at) == len;
}

bool tls_server_done(struct tls *tls)
{
	const struct tls_server *server = tls->side;

	tls->info.version = SSL_get_version(tls->ssl);
	tls->info.cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(tls->ssl));
	tls->info.resumed = SSL_session_reused(tls->ssl);
	if (!tls->info.resumed)
		tls->info.identity = shown(tls);
	tls->ticket_due = server->tickets_on && SSL_version(tls->ssl) == TLS1_3_VERSION;
	return !server->asks_clients || keep_client_certificate(tls);
}

/* --- life --- */

/* Messages after the handshake, and alerts: see transport.c. */
static void on_info(const SSL *ssl, int where, int value)
{
	struct tls *tls = tls_of((SSL *)ssl);

	if (tls->state == TLS_OPEN && (where & (SSL_CB_LOOP | SSL_CB_ALERT)) && tls->messages < UINT16_MAX)
		tls->messages++;
}

/* A context for the certificates of `store`. NULL: *why tells. */
static SSL_CTX *context_for(struct tls_server *server, const struct tls_store *store, const char **why)
{
	SSL_CTX *context = tls_context_new(TLS_server_method(), server->minimum, why);

	if (!context)
		return NULL;
	SSL_CTX_set_app_data(context, server);
	SSL_CTX_set_client_hello_cb(context, on_hello, server);
	SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
	SSL_CTX_set_tlsext_status_cb(context, on_status);
	SSL_CTX_set_alpn_select_cb(context, on_alpn, server);
	SSL_CTX_set_info_callback(context, on_info);
	if (preset(context, &store->fallback) && set_up_sessions(server, context))
		return context;
	*why = tls_reason();
	SSL_CTX_free(context);
	return NULL;
}

struct tls_server *tls_server_new(struct worker *worker, const struct tls_server_options *options,
				  const char **why)
{
	struct tls_server *server = memory_alloc(worker->memory, sizeof(*server));

	*why = "out of memory";
	if (!server)
		return NULL;
	*server = (struct tls_server){.worker = worker,
				      .store = tls_store_retain(options->store),
				      .minimum = options->minimum,
				      .strict_sni = options->strict_sni,
				      .http2 = options->http2,
				      .tickets_on = options->seed != NULL,
				      .asks_clients = options->clients != TLS_CLIENT_NONE};
	timer_init(&server->timer, on_timer);
	if (!make_id(server, options) ||
	    (options->seed && !tls_tickets_init(&server->tickets, options->seed, worker->loop.now)))
		goto fail;
	server->context = context_for(server, server->store, why);
	if (!server->context || !set_up_clients(server->context, options, why))
		goto fail;
	if (server->tickets_on)
		loop_timer_start(&worker->loop, &server->timer,
				 tls_tickets_next(&server->tickets, worker->loop.now));
	return server;
fail:
	ERR_clear_error();
	tls_server_free(server);
	return NULL;
}

void tls_server_free(struct tls_server *server)
{
	if (!server)
		return;
	loop_timer_stop(&server->worker->loop, &server->timer);
	tls_tickets_fini(&server->tickets);
	tls_store_release(server->store);
	SSL_CTX_free(server->context);
	memory_free(server->worker->memory, server, sizeof(*server));
}

bool tls_server_set_store(struct tls_server *server, struct tls_store *store)
{
	const char *why;
	SSL_CTX *context = context_for(server, store, &why), *old = server->context;
	STACK_OF(X509_NAME) *names = NULL;

	if (context && server->asks_clients) {
		names = SSL_dup_CA_list(SSL_CTX_get_client_CA_list(old));
		SSL_CTX_set_verify(context, SSL_CTX_get_verify_mode(old), NULL);
		SSL_CTX_set1_cert_store(context, SSL_CTX_get_cert_store(old));
		SSL_CTX_set_client_CA_list(context, names);
	}
	if (!context || (server->asks_clients && !names)) {
		ERR_clear_error();
		SSL_CTX_free(context);
		return false;
	}
	SSL_CTX_free(old);
	server->context = context;
	tls_store_release(server->store);
	server->store = tls_store_retain(store);
	return true;
}

bool tls_accept(struct conn *conn, struct tls_server *server, struct span early, uint64_t timeout_ms)
{
	SSL *ssl;

	ERR_clear_error();
	ssl = SSL_new(server->context);
	if (!ssl)
		return false;
	SSL_set_accept_state(ssl);
	if (tls_handshake_start(conn, ssl, server, true, early, timeout_ms)) {
		struct tls *tls = conn->transport_state;
		tls->store = tls_store_retain(server->store);
		return true;
	}
	SSL_free(ssl);
	return false;
}

const struct tls_info *tls_conn_info(const struct conn *conn)
{
	const struct tls *tls = conn->transport == &transport_tls ? conn->transport_state : NULL;

	return tls && !tls->handshake && tls->info.version ? &tls->info : NULL;
}
