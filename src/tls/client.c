/*
 * Connections to the servers of a group: whom to believe, what to offer, which session to resume. OpenSSL calls back in the middle of a
 * handshake, on the group's worker.
 */
#include "tls/client.h"

#include "core/random.h"
#include "net/address.h"
#include "tls/client_internal.h"
#include "tls/tls_internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

enum { NAME_MOST = 253, ID = 16 };

struct tls_client {
	struct worker *worker;
	SSL_CTX *context;
	bool sni;
	uint8_t id[ID]; /* marks sessions that were made, and verified, with these settings */
};

/* --- sessions --- */

/* A session that can be resumed: the newest one is the peer's. OpenSSL gives its reference away when the answer is 1. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_room *room = BIO_get_data(SSL_get_rbio(ssl));
	struct tls_peer *peer = room->current->side;

	SSL_SESSION_free(peer->session);
	peer->session = session;
	return 1;
}

/* Only what was verified under the same settings, and is still good. */
static bool may_resume(const struct tls_client *client, const SSL_SESSION *session)
{
	unsigned len;
	const uint8_t *id = SSL_SESSION_get0_id_context(session, &len);
	const X509 *peer = SSL_SESSION_get0_peer((SSL_SESSION *)session);

	return span_equal(span_make(id, len), span_make(client->id, ID)) && SSL_SESSION_is_resumable(session) &&
	       peer && X509_cmp_current_time(X509_get0_notAfter(peer)) > 0;
}

void tls_peer_init(struct tls_peer *peer, struct span name)
{
	*peer = (struct tls_peer){.name = name};
}

void tls_peer_fini(struct tls_peer *peer)
{
	SSL_SESSION_free(peer->session);
	peer->session = NULL;
}

/* --- the group --- */

static bool set_alpn(SSL_CTX *context, enum tls_alpn alpn)
{
	static const char lists[][16] = {
		[TLS_ALPN_HTTP1] = "\x08http/1.1",
		[TLS_ALPN_BOTH] = "\x02h2\x08http/1.1",
		[TLS_ALPN_HTTP2] = "\x02h2",
		[TLS_ALPN_NONE] = "",
	};
	const char *list = lists[alpn];

	/* This one returns 0 when all is well. */
	return list[0] == 0 ||
	       SSL_CTX_set_alpn_protos(context, (const uint8_t *)list, (unsigned)strlen(list)) == 0;
}

static bool set_certificate(SSL_CTX *context, const struct tls_client_options *options, const char **why)
{
	struct span key_pem = options->key.len ? options->key : options->certificate;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
	X509 *leaf = NULL;
	bool fine = false;

	if (options->certificate.len == 0)
		return true;
	chain = tls_certificates_read(options->certificate, why);
	key = chain ? tls_key_read(key_pem, why) : NULL;
	if (key) {
		leaf = sk_X509_shift(chain);
		fine = SSL_CTX_use_cert_and_key(context, leaf, key, chain, 1) == 1;
		if (!fine)
			*why = tls_reason();
	}
	X509_free(leaf);
	EVP_PKEY_free(key);
	sk_X509_pop_free(chain, X509_free);
	return fine;
}

struct tls_client *tls_client_new(struct worker *worker, const struct tls_client_options *options,
				  const char **why)
{
	struct tls_client *client = memory_alloc(worker->memory, sizeof(*client));
	SSL_CTX *context;

	*why = "out of memory";
	if (!client)
		return NULL;
	*client = (struct tls_client){.worker = worker, .sni = options->sni};
	random_secret(client->id, ID);
	client->context = context = tls_context_new(TLS_client_method(), options->minimum, why);
	if (!context || !set_certificate(context, options, why))
		goto fail;
	if (options->trust) {
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set1_cert_store(context, options->trust->store);
	} else {
		SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	}
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, on_session);
	if (!set_alpn(context, options->alpn) || !SSL_CTX_set_session_id_context(context, client->id, ID)) {
		*why = tls_reason();
		goto fail;
	}
	return client;
fail:
	tls_client_free(client);
	return NULL;
}

void tls_client_free(struct tls_client *client)
{
	if (!client)
		return;
	/* A connection that lingers has a reference to the context still, and its peer is going. */
	if (client->context)
		SSL_CTX_sess_set_new_cb(client->context, NULL);
	SSL_CTX_free(client->context);
	memory_free(client->worker->memory, client, sizeof(*client));
}

/* --- one connection --- */

/*
 * A name or an address, which the server's certificate must be for (RFC 9110 4.3.4, 4.3.5): by its alternative names, never by its subject. A
 * wildcard stands for one whole label. An address is not sent as SNI (RFC 6066 3).
 */
static bool set_peer(SSL *ssl, const struct tls_client *client, const struct tls_peer *peer)
{
	X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
	struct span name = peer->name;
	struct address address;
	char text[NAME_MOST + 1] UNINITIALISED;

	if (name.len > 2 && name.at[0] == '[' && name.at[name.len - 1] == ']')
		name = span_make(name.at + 1, name.len - 2);
	if (name.len > 0 && name.at[name.len - 1] == '.')
		name.len--;
	if (name.len == 0 || name.len > NAME_MOST)
		return false;
	memcpy(text, name.at, name.len);
	text[name.len] = 0;
	X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
							    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (address_parse_ip(name, &address))
		return X509_VERIFY_PARAM_set1_ip(parameters, address.ip,
						 address.family == ADDRESS_V4 ? 4 : 16) == 1;
	return X509_VERIFY_PARAM_set1_host(parameters, text, name.len) == 1 &&
	       (!client->sni || SSL_set_tlsext_host_name(ssl, text) == 1);
}

bool tls_connect(struct conn *conn, struct tls_client *client, struct tls_peer *peer, uint64_t timeout_ms)
{
	SSL *ssl;

	ERR_clear_error();
	ssl = SSL_new(client->context);
	if (!ssl)
		return false;
	SSL_set_connect_state(ssl);
	if (!set_peer(ssl, client, peer))
		goto fail;
	if (peer->session && may_resume(client, peer->session) && SSL_set_session(ssl, peer->session) != 1)
		goto fail;
	if (tls_handshake_start(conn, ssl, peer, false, span_make(NULL, 0), timeout_ms))
		return true;
fail:
	ERR_clear_error();
	SSL_free(ssl);
	return false;
}

/* In TLS 1.2 OpenSSL does not tell of a ticket that came in place of the one that was used. */
static void keep_renewed(struct tls *tls)
{
	struct tls_peer *peer = tls->side;

	if (SSL_get_session(tls->ssl) == peer->session)
		return;
	SSL_SESSION_free(peer->session);
	peer->session = SSL_get1_session(tls->ssl);
}

bool tls_client_done(struct tls *tls)
{
	const uint8_t *protocol;
	unsigned len;

	SSL_get0_alpn_selected(tls->ssl, &protocol, &len);
	if (span_equal(span_make(protocol, len), SPAN("h2")))
		tls->info.alpn = SPAN("h2");
	else if (span_equal(span_make(protocol, len), SPAN("http/1.1")))
		tls->info.alpn = SPAN("http/1.1");
	tls->info.version = SSL_get_version(tls->ssl);
	tls->info.cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(tls->ssl));
	tls->info.resumed = SSL_session_reused(tls->ssl);
	if (tls->info.resumed && SSL_version(tls->ssl) == TLS1_2_VERSION)
		keep_renewed(tls);
	return true;
}
