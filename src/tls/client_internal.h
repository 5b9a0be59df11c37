/*
 * What the files of the client side share.
 */
#ifndef GUISE_TLS_CLIENT_INTERNAL_H
#define GUISE_TLS_CLIENT_INTERNAL_H

#include "tls/client.h"

#include <openssl/x509.h>

#include <stdatomic.h>

struct tls_trust {
	atomic_uint references;
	X509_STORE *store;
};

#endif
