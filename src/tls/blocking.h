/*
 * TLS on a descriptor, one call after the other: for command-line tools that have nothing else to do meanwhile. A worker's connections never come here
 * (tls/client.h, tls/server.h).
 *
 * A deadline is milliseconds of CLOCK_MONOTONIC. Descriptors stay the caller's; they are made non-blocking. A connection belongs to one thread; the server's
 * side of many connections may be shared by threads. SIGPIPE has to be ignored by the process.
 */
#ifndef GUISE_TLS_BLOCKING_H
#define GUISE_TLS_BLOCKING_H

#include "core/span.h"
#include "tls/authority.h"

#include <sys/types.h>

struct tls_blocking; /* one connection */

/* A list of protocols as ALPN has it (RFC 7301 3.1): each with its length before it. */
#define TLS_BLOCKING_HTTP1 SPAN("\x08http/1.1")
#define TLS_BLOCKING_HTTP2 SPAN("\x02h2")
#define TLS_BLOCKING_BOTH SPAN("\x02h2\x08http/1.1")

/* --- both sides --- */

/* How many bytes came; 0: the peer's end, orderly; -1: errno tells (ETIMEDOUT: the deadline; EPROTO: not TLS any more). */
WARN_UNUSED ssize_t tls_blocking_read(struct tls_blocking *tls, void *out, size_t size, uint64_t deadline);
/* All of it. False: errno tells. */
WARN_UNUSED bool tls_blocking_write(struct tls_blocking *tls, struct span bytes, uint64_t deadline);
/* Whether a read would have something without waiting for the descriptor. */
bool tls_blocking_pending(const struct tls_blocking *tls);
/* Says good-bye, without waiting for an answer, and frees. The descriptor stays open. NULL is fine. */
void tls_blocking_close(struct tls_blocking *tls);

struct span tls_blocking_alpn(const struct tls_blocking *tls); /* what was agreed on, "h2"; empty: nothing */
const char *tls_blocking_version(const struct tls_blocking *tls); /* "TLSv1.3" */
bool tls_blocking_resumed(const struct tls_blocking *tls);        /* an earlier session goes on */

/* --- the client's side --- */

struct tls_blocking_client {
	struct span name; /* SNI, and what the certificate has to be for; empty: none is sent, none is asked for */
	struct span alpn; /* empty: no ALPN */
	struct span ca;   /* PEM, which alone is believed; empty: the server is not verified */
};

/* The handshake. NULL: *why tells (static text). */
WARN_UNUSED struct tls_blocking *tls_blocking_connect(int fd, const struct tls_blocking_client *options,
						      uint64_t deadline, const char **why);
/* The records of the ClientHello that was sent, as its peer would peek them. Borrowed. */
struct span tls_blocking_hello(const struct tls_blocking *tls);

/* --- the server's side --- */

struct tls_blocking_server; /* what many connections have in common: tickets of one are taken by the next */

/* A certificate for the name asked for (else for the address that was connected to) is signed by the authority (borrowed). NULL: *why tells. */
WARN_UNUSED struct tls_blocking_server *tls_blocking_server_new(const struct tls_authority *authority,
								struct span alpn, const char **why);
void tls_blocking_server_free(struct tls_blocking_server *server); /* after its connections; NULL is fine */

/*
 * Before the handshake: waits for the whole ClientHello and copies it, leaving it to be read. How many bytes; 0: it is none, or the peer's end, or the deadline,
 * or it is larger than `size`.
 */
WARN_UNUSED size_t tls_blocking_peek(int fd, uint8_t *out, size_t size, uint64_t deadline);
WARN_UNUSED struct tls_blocking *tls_blocking_accept(int fd, struct tls_blocking_server *server,
						     uint64_t deadline, const char **why);
struct span tls_blocking_name(const struct tls_blocking *tls); /* the SNI that came; empty: none */

#endif
