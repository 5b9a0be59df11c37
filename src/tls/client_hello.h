/*
 * Looks into a ClientHello without decrypting anything (RFC 8446 4.1.2, RFC 6066 3): the name that the client asks for, to route by. Pure; any
 * thread.
 */
#ifndef GUISE_TLS_CLIENT_HELLO_H
#define GUISE_TLS_CLIENT_HELLO_H

#include "core/span.h"

enum { TLS_CLIENT_HELLO_MOST = 64 * 1024 }; /* bytes of records that are looked at before it is given up */

enum tls_peek {
	TLS_PEEK_MORE,  /* so far it may be one */
	TLS_PEEK_DONE,  /* it is one */
	TLS_PEEK_OTHER, /* it is none, or not well formed */
};

struct tls_client_hello {
	uint8_t name[256]; /* lower case, without a trailing dot */
	uint8_t name_len;  /* 0: no name was given */
	bool h2;           /* ALPN offers h2 */
	uint32_t need; /* MORE: with fewer bytes than this, it cannot be DONE: no need to look again before */
};

/* `bytes` from the first one that the client sent. The handshake message may be split over many records, and those over many segments. */
WARN_UNUSED enum tls_peek tls_client_hello_peek(struct span bytes, struct tls_client_hello *hello);

#endif
