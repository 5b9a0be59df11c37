/*
 * Small values that go out to strangers and come back: nobody else can read, make or change one, and two of the same value look unlike.
 * AES-256-GCM (NIST SP 800-38D) with a random nonce. A seal belongs to one thread.
 */
#ifndef GUISE_TLS_SEAL_H
#define GUISE_TLS_SEAL_H

#include "core/memory.h"
#include "core/span.h"

struct seal;

enum {
	SEAL_KEY = 32,
	SEAL_ADDS = 12 + 16, /* bytes that a sealed value is longer than the plain one: nonce and tag */
};

/* A key from a secret of any length, and from what the key is for (RFC 5869, with SHA-256). False: the library cannot. */
WARN_UNUSED bool seal_derive(struct span secret, struct span purpose, uint8_t key[SEAL_KEY]);

/* What is sealed in one context cannot be opened in another one: it is the additional data. NULL: out of memory. */
WARN_UNUSED struct seal *seal_new(struct memory *memory, const uint8_t key[SEAL_KEY], struct span context);
void seal_free(struct seal *seal); /* NULL is fine */

/* Writes plain.len + SEAL_ADDS bytes. False: out of memory, or of random bytes. */
WARN_UNUSED bool seal_close(struct seal *seal, struct span plain, uint8_t *out);
/* Writes sealed.len - SEAL_ADDS bytes. False: it is not what seal_close has made with this key and context; nothing of `out` is to be used. */
WARN_UNUSED bool seal_open(struct seal *seal, struct span sealed, uint8_t *out);

#endif
