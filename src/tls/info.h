/*
 * What a TLS handshake settled, for whoever routes, logs or forwards by it.
 */
#ifndef GUISE_TLS_INFO_H
#define GUISE_TLS_INFO_H

#include "core/span.h"

struct tls_identity;

/* Owned by the connection's TLS state: lives until the end of the turn in which the connection ends. All set once the handshake is done. */
struct tls_info {
	const char *version; /* "TLSv1.3"; static */
	const char *cipher;  /* "TLS_AES_128_GCM_SHA256"; static */
	struct span alpn;    /* "h2", "http/1.1" or empty */
	struct span sni;     /* as a server: the name that the client asked for, lower case; empty: none */
	const struct tls_identity *identity; /* as a server: the certificate that was chosen */
	struct span client_certificate; /* as a server: the client's verified certificate, DER; empty: none */
	struct span client_name; /* whose that is: its subject's common name, or its first e-mail address; empty: it has neither */
	bool resumed;
};

#endif
