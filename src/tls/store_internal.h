/*
 * Certificates by name, as the files of src/tls see them.
 */
#ifndef GUISE_TLS_STORE_INTERNAL_H
#define GUISE_TLS_STORE_INTERNAL_H

#include "core/map.h"
#include "tls/store.h"

#include <openssl/x509.h>

#include <stdatomic.h>
#include <time.h>

/* Kinds of keys: a name has at most one certificate of each. */
enum tls_key_kind {
	TLS_KEY_EC,
	TLS_KEY_RSA,
	TLS_KEY_RSA_PSS,
	TLS_KEY_ED25519,
	TLS_KEY_ED448,
	TLS_KEY_KINDS,
};

struct tls_identity {
	struct tls_store *store;
	X509 *leaf;
	STACK_OF(X509) * chain; /* without the leaf; NULL: none */
	EVP_PKEY *key;
	enum tls_key_kind kind;
	uint8_t *ocsp; /* DER */
	size_t ocsp_len;
	time_t ocsp_until; /* seconds since 1970; 0: it does not say */
	char **names;      /* lower case: "a.example", "*.a.example", addresses as address.h writes them */
	size_t name_count;
};

/* What is shown for one name. */
struct tls_identity_set {
	const struct tls_identity *of[TLS_KEY_KINDS];
};

struct tls_name {
	struct tls_name *next; /* all of the store, to be freed */
	struct tls_identity_set set;
	char *key; /* in the map */
};

struct tls_store {
	atomic_uint references;
	struct map exact;     /* "a.example" -> struct tls_name */
	struct map wildcards; /* ".a.example" -> struct tls_name, for *.a.example */
	struct tls_name *names;
	struct tls_identity_set fallback; /* of the first certificate, with those of other kinds that have all of its names */
	struct tls_identity *identities;
	size_t count;
};

/* The certificates for a name (lower case; or an address). False, and the default ones, when none is for it. */
bool tls_store_find(const struct tls_store *store, struct span name, struct tls_identity_set *set);
static inline bool tls_identity_set_equal(const struct tls_identity_set *a, const struct tls_identity_set *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* --- identity.c --- */

/* Parses and checks one item. False: it was complained, or memory ran out. */
WARN_UNUSED bool tls_identity_init(struct tls_identity *identity, const struct tls_material *item,
				   size_t index, tls_complain_fn *complain, void *owner);
void tls_identity_fini(struct tls_identity *identity);

#endif
