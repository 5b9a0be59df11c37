/*
 * TLS for tools: OpenSSL on a non-blocking descriptor, and a poll(2) up to the deadline wherever it wants to wait. The caller's thread.
 */
#include "tls/blocking.h"

#include "core/deadline.h"
#include "net/address.h"
#include "tls/authority_internal.h"
#include "tls/client_hello.h"
#include "tls/tls_internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	RECORD_HEADER = 5,
	HELLO_MOST = 16 * 1024, /* of the ClientHello that is kept: ours is smaller by far */
	NAME_MOST = 253,
};

struct tls_blocking_server {
	SSL_CTX *context;
	const struct tls_authority *authority;
	uint8_t alpn[64];
	unsigned alpn_len;
};

struct tls_blocking {
	SSL *ssl;
	SSL_CTX *context; /* a client's own; NULL: the server's */
	int fd;
	uint8_t *hello;
	size_t hello_len;
	const char *why; /* static, where the handshake failed for a reason of ours */
};

/* After a call of OpenSSL's that did not do it: true, once it can be tried again. False: errno tells. */
static bool again(struct tls_blocking *tls, int result, uint64_t deadline)
{
	int system = errno;

	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return deadline_wait(tls->fd, POLLIN, deadline);
	case SSL_ERROR_WANT_WRITE:
		return deadline_wait(tls->fd, POLLOUT, deadline);
	case SSL_ERROR_SYSCALL:
		errno = system ? system : ECONNRESET;
		return false;
	default:
		errno = EPROTO;
		return false;
	}
}

ssize_t tls_blocking_read(struct tls_blocking *tls, void *out, size_t size, uint64_t deadline)
{
	for (;;) {
		size_t taken = 0;
		int result;

		ERR_clear_error();
		errno = 0;
		result = SSL_read_ex(tls->ssl, out, size, &taken);
		if (result == 1)
			return (ssize_t)taken;
		if (SSL_get_error(tls->ssl, result) == SSL_ERROR_ZERO_RETURN)
			return 0;
		if (!again(tls, result, deadline))
			return -1;
	}
}

bool tls_blocking_write(struct tls_blocking *tls, struct span bytes, uint64_t deadline)
{
	while (bytes.len > 0) {
		size_t taken = 0;
		int result;

		ERR_clear_error();
		errno = 0;
		result = SSL_write_ex(tls->ssl, bytes.at, bytes.len, &taken);
		if (result == 1)
			bytes = span_from(bytes, taken);
		else if (!again(tls, result, deadline))
			return false;
	}
	return true;
}

bool tls_blocking_pending(const struct tls_blocking *tls)
{
	return SSL_has_pending(tls->ssl) == 1;
}

static void connection_free(struct tls_blocking *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	SSL_CTX_free(tls->context);
	free(tls->hello);
	free(tls);
	ERR_clear_error();
}

void tls_blocking_close(struct tls_blocking *tls)
{
	if (tls)
		(void)SSL_shutdown(tls->ssl);
	connection_free(tls);
}

struct span tls_blocking_alpn(const struct tls_blocking *tls)
{
	const unsigned char *name = NULL;
	unsigned len = 0;

	SSL_get0_alpn_selected(tls->ssl, &name, &len);
	return span_make(name, len);
}

const char *tls_blocking_version(const struct tls_blocking *tls)
{
	return SSL_get_version(tls->ssl);
}

bool tls_blocking_resumed(const struct tls_blocking *tls)
{
	return SSL_session_reused(tls->ssl) == 1;
}

struct span tls_blocking_hello(const struct tls_blocking *tls)
{
	return span_make(tls->hello, tls->hello_len);
}

struct span tls_blocking_name(const struct tls_blocking *tls)
{
	return span_of(SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name));
}

static struct tls_blocking *connection_new(int fd, SSL_CTX *context)
{
	struct tls_blocking *tls = calloc(1, sizeof(*tls));
	int flags = fcntl(fd, F_GETFL);

	if (!tls)
		return NULL;
	tls->fd = fd;
	tls->ssl = SSL_new(context);
	if (tls->ssl && flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && SSL_set_fd(tls->ssl, fd)) {
		(void)SSL_set_app_data(tls->ssl, tls);
		return tls;
	}
	connection_free(tls);
	return NULL;
}

/* Why a handshake failed, as far as anybody knows. */
static const char *reason_of(const struct tls_blocking *tls, int number)
{
	if (tls->why)
		return tls->why;
	if (number == ETIMEDOUT)
		return "the handshake took too long";
	if (SSL_get_verify_result(tls->ssl) != X509_V_OK)
		return X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl));
	if (ERR_peek_error() == 0)
		return "the peer closed in the middle of the handshake";
	return tls_reason();
}

static struct tls_blocking *handshake(struct tls_blocking *tls, uint64_t deadline, const char **why)
{
	int result;

	do {
		ERR_clear_error();
		errno = 0;
		result = SSL_do_handshake(tls->ssl);
	} while (result != 1 && again(tls, result, deadline));
	if (result == 1)
		return tls;
	*why = reason_of(tls, errno);
	connection_free(tls);
	return NULL;
}

/* --- the client's side --- */

/* SSL_set_msg_callback: within a handshake, for each message. The first one that leaves is the ClientHello. */
static void on_message(int writing, int version, int kind, const void *bytes, size_t len, SSL *ssl, void *of)
{
	struct tls_blocking *tls = of;

	if (!writing || kind != SSL3_RT_HANDSHAKE || tls->hello || len == 0 || len > HELLO_MOST)
		return;
	tls->hello = malloc(len + RECORD_HEADER);
	if (!tls->hello)
		return;
	/* RFC 8446 5.1: the record that it leaves in */
	memcpy(tls->hello, (const uint8_t[]){22, 3, 1, (uint8_t)(len >> 8), (uint8_t)len}, RECORD_HEADER);
	memcpy(tls->hello + RECORD_HEADER, bytes, len);
	tls->hello_len = len + RECORD_HEADER;
}

static bool believe(SSL_CTX *context, struct span pem, const char **why)
{
	STACK_OF(X509) *all = tls_certificates_read(pem, why);
	bool done = all != NULL;

	for (int i = 0; done && i < sk_X509_num(all); i++)
		done = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), sk_X509_value(all, i)) == 1;
	sk_X509_pop_free(all, X509_free);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return done;
}

static bool expect_name(SSL *ssl, struct span name)
{
	char text[NAME_MOST + 1];
	struct address address;

	if (name.len == 0)
		return true;
	if (name.len > NAME_MOST)
		return false;
	memcpy(text, name.at, name.len);
	text[name.len] = 0;
	/* RFC 6066 3: literal addresses are not sent */
	if (address_parse_ip(name, &address))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), text) == 1;
	return SSL_set1_host(ssl, text) == 1 && SSL_set_tlsext_host_name(ssl, text) == 1;
}

struct tls_blocking *tls_blocking_connect(int fd, const struct tls_blocking_client *options,
					  uint64_t deadline, const char **why)
{
	SSL_CTX *context = tls_context_new(TLS_client_method(), TLS_VERSION_12, why);
	struct tls_blocking *tls = NULL;

	if (!context || (options->ca.len && !believe(context, options->ca, why)))
		goto fail;
	tls = connection_new(fd, context);
	*why = "out of memory";
	if (!tls)
		goto fail;
	tls->context = context;
	if (!expect_name(tls->ssl, options->name)) {
		*why = "this is no name of a host";
		goto fail;
	}
	/* 0 is success here. */
	if (options->alpn.len &&
	    SSL_set_alpn_protos(tls->ssl, options->alpn.at, (unsigned)options->alpn.len) != 0)
		goto fail;
	SSL_set_msg_callback(tls->ssl, on_message);
	SSL_set_msg_callback_arg(tls->ssl, tls);
	SSL_set_connect_state(tls->ssl);
	return handshake(tls, deadline, why);
fail:
	if (!tls)
		SSL_CTX_free(context);
	connection_free(tls);
	return NULL;
}

/* --- the server's side --- */

/* RFC 7301 3.2: the first of ours that the client has. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		   unsigned in_len, void *of)
{
	const struct tls_blocking_server *server = of;

	if (SSL_select_next_proto((unsigned char **)out, out_len, server->alpn, server->alpn_len, in,
				  in_len) == OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_OK;
	return SSL_TLSEXT_ERR_NOACK;
}

/* The address that the client connected to, as text. */
static struct span own_address(int fd, char text[ADDRESS_TEXT])
{
	union socket_address local;
	socklen_t len = sizeof(local);
	struct address address;

	if (getsockname(fd, &local.any, &len) != 0)
		return (struct span){0};
	address = address_from_socket(&local, len);
	address = address_unmap(&address);
	return span_make(text, address_format_ip(&address, text));
}

/* SSL_CTX_set_cert_cb: once it is known which name the client asks for. */
static int on_certificate(SSL *ssl, void *of)
{
	const struct tls_blocking_server *server = of;
	const struct tls_blocking *tls = SSL_get_app_data(ssl);
	struct span name = tls_blocking_name(tls);
	char text[ADDRESS_TEXT];
	X509 *made = tls_authority_sign(server->authority, name.len ? name : own_address(tls->fd, text));
	int done = made && SSL_use_certificate(ssl, made) == 1 &&
		   SSL_use_PrivateKey(ssl, tls_authority_key(server->authority)) == 1;

	X509_free(made);
	return done;
}

struct tls_blocking_server *tls_blocking_server_new(const struct tls_authority *authority, struct span alpn,
						    const char **why)
{
	struct tls_blocking_server *server = calloc(1, sizeof(*server));

	*why = "out of memory";
	if (!server)
		return NULL;
	ENSURE(alpn.len <= sizeof(server->alpn));
	server->authority = authority;
	memcpy(server->alpn, alpn.at, alpn.len);
	server->alpn_len = (unsigned)alpn.len;
	server->context = tls_context_new(TLS_server_method(), TLS_VERSION_12, why);
	if (!server->context) {
		free(server);
		return NULL;
	}
	SSL_CTX_set_cert_cb(server->context, on_certificate, server);
	SSL_CTX_set_alpn_select_cb(server->context, on_alpn, server);
	(void)SSL_CTX_set_session_id_context(server->context, (const unsigned char *)"audit", 5);
	return server;
}

void tls_blocking_server_free(struct tls_blocking_server *server)
{
	if (!server)
		return;
	SSL_CTX_free(server->context);
	free(server);
}

size_t tls_blocking_peek(int fd, uint8_t *out, size_t size, uint64_t deadline)
{
	size_t want = 1, had = 0;

	for (;;) {
		struct tls_client_hello hello;
		/* The kernel wakes us when this much is there, not at each segment. */
		int low = (int)size_min(want, INT_MAX);
		ssize_t got;
		bool end;

		if (setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)) != 0 ||
		    !deadline_wait(fd, POLLIN | POLLRDHUP, deadline))
			break;
		got = recv(fd, out, size, MSG_PEEK | MSG_DONTWAIT);
		if (got <= 0)
			break;
		end = (size_t)got < want; /* awake with less than was asked for: no more comes */
		had = (size_t)got;
		switch (tls_client_hello_peek(span_make(out, had), &hello)) {
		case TLS_PEEK_DONE:
			low = 1;
			(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
			return had;
		case TLS_PEEK_MORE:
			want = size_max(hello.need, had + 1);
			if (!end && want <= size)
				continue;
			break;
		case TLS_PEEK_OTHER:
			break;
		}
		break;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &(int){1}, sizeof(int));
	return 0;
}

struct tls_blocking *tls_blocking_accept(int fd, struct tls_blocking_server *server, uint64_t deadline,
					 const char **why)
{
	struct tls_blocking *tls = connection_new(fd, server->context);

	*why = "out of memory";
	if (!tls)
		return NULL;
	SSL_set_accept_state(tls->ssl);
	return handshake(tls, deadline, why);
}
