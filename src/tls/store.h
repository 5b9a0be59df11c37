/*
 * The certificates of one listener, by name: immutable and reference-counted, shared by all workers. A changed file means a new
 * store, which is handed to the workers in the old one's place.
 */
#ifndef GUISE_TLS_STORE_H
#define GUISE_TLS_STORE_H

#include "core/span.h"

struct tls_store;
struct tls_identity; /* one certificate with its chain, key and stapled OCSP response; in the store */

/* The contents of the files of one certificate. */
struct tls_material {
	const char *certificate_path, *key_path, *ocsp_path; /* for messages; ocsp_path NULL: none */
	struct span certificate, key, ocsp;
	bool client; /* shown to servers: it is for nobody's host */
};

/*
 * What is wrong with the item `index`: `text` (valid during the call) names the file and says why. A fault makes tls_store_new fail; a warning (expired, not yet
 * valid, no name in it, stale OCSP response) does not.
 */
typedef void tls_complain_fn(void *owner, size_t index, bool fault, const char *text);

/*
 * Parses and checks: PEM or password-protected key, a key that is not the certificate's, an OCSP response for another one. NULL: it was
 * complained, or out of memory. Reads no file.
 */
WARN_UNUSED struct tls_store *tls_store_new(const struct tls_material *items, size_t count,
					    tls_complain_fn *complain, void *owner);
struct tls_store *tls_store_retain(struct tls_store *store); /* any thread */
void tls_store_release(struct tls_store *store);             /* any thread; NULL is fine */

/*
 * Whether a request for `host` (lower case, without port) may be answered on a connection on which `identity` was shown: the certificate is for
 * that name, or no certificate of the store is and it is the default (RFC 9110 15.5.20).
 */
bool tls_identity_serves(const struct tls_identity *identity, struct span host);

#endif
