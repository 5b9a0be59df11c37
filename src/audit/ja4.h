/*
 * JA4, the fingerprint of a TLS client by its ClientHello (FoxIO, technical_details/JA4.md): what kind of program a server takes the client for. Pure; any
 * thread.
 */
#ifndef GUISE_AUDIT_JA4_H
#define GUISE_AUDIT_JA4_H

#include "core/span.h"

enum {
	JA4_TEXT = 37, /* "t13d1516h2_8daaf6152771_e5627efa2ab1" and a NUL */
	JA4_LIST_MOST =
		256, /* ciphers, extensions, algorithms: what is beyond is not a ClientHello that anybody sends */
};

/* `records`: from the first byte that a client sent on. False: no whole, well-formed ClientHello, or the library has no SHA-256. */
WARN_UNUSED bool ja4_of(struct span records, char out[JA4_TEXT]);

#endif
