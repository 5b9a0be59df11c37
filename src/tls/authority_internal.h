/*
 * What an authority signs: for src/tls alone.
 */
#ifndef GUISE_TLS_AUTHORITY_INTERNAL_H
#define GUISE_TLS_AUTHORITY_INTERNAL_H

#include "tls/authority.h"

#include <openssl/x509.h>

/* Of every certificate that it signs. Borrowed. */
EVP_PKEY *tls_authority_key(const struct tls_authority *authority);
/* For one host name or literal address, valid now. NULL: it is no name, or out of memory. */
WARN_UNUSED X509 *tls_authority_sign(const struct tls_authority *authority, struct span name);

#endif
