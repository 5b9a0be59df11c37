/*
 * The few digests that protocols ask for outside of TLS.
 */
#ifndef GUISE_TLS_DIGEST_H
#define GUISE_TLS_DIGEST_H

#include "core/span.h"

enum { SHA1_BYTES = 20, SHA256_BYTES = 32, DIGEST_MAC_KEY = 32, DIGEST_MAC = 32 };

/* False: the library has none (a FIPS provider). */
WARN_UNUSED bool digest_sha1(struct span bytes, uint8_t out[SHA1_BYTES]);
WARN_UNUSED bool digest_sha256(struct span bytes, uint8_t out[SHA256_BYTES]);

/* HMAC-SHA-256 (RFC 2104) with one key. Any number of threads may ask at once. */
struct digest_mac;
struct digest_mac *digest_mac_new(const uint8_t key[DIGEST_MAC_KEY]); /* NULL: the library cannot */
void digest_mac_free(struct digest_mac *mac);                         /* NULL is fine */
/* Of the parts one after the other; where one ends is not part of it. False: out of memory. */
WARN_UNUSED bool digest_mac_of(const struct digest_mac *mac, const struct span *parts, unsigned count,
			       uint8_t out[DIGEST_MAC]);

#endif
