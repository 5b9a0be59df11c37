/*
 * What the files of the client side share.
 */
#ifndef GUISE_TLS_CLIENT_INTERNAL_H
#define GUISE_TLS_CLIENT_INTERNAL_H

#include "tls/client.h"

#include <openssl/x509.h>

#include <pthread.h>
#include <stdatomic.h>

struct tls_trust {
	atomic_uint references;
	atomic_bool ready; /* nothing is added to the store any more */
	X509_STORE *store;
	pthread_mutex_t lock; /* around what follows */
	pthread_t reader;     /* of the system's store */
	bool reading;         /* there is one, to be joined */
	struct tls_trust_wait *waiting;
};

#endif
