/*
 * Sealed values that look the same whenever the value is: deterministic authenticated encryption, AES-SIV-CMAC-256 (RFC 5297). Who has not the key learns
 * of two sealed values whether they are of the same plain one, and nothing else; and cannot make or change one. Where that is not wanted, see seal.h.
 */
#ifndef GUISE_TLS_SIV_H
#define GUISE_TLS_SIV_H

#include "core/span.h"

/* Immutable: any number of threads may use one at once. */
struct siv;

enum {
	SIV_KEY = 32, /* as seal_derive makes it */
	SIV_ADDS = 16 /* bytes that a sealed value is longer than the plain one */
};

struct siv *siv_new(const uint8_t key[SIV_KEY]); /* NULL: the library cannot (a FIPS provider), or out of memory */
void siv_free(struct siv *siv);                  /* NULL is fine */

/* `context`, not empty: what is sealed in one cannot be opened in another, and looks different there. `plain` is not empty. Writes plain.len + SIV_ADDS bytes. False: out of memory. */
WARN_UNUSED bool siv_close(const struct siv *siv, struct span context, struct span plain, uint8_t *out);
/* Writes sealed.len - SIV_ADDS bytes. False: it is not what siv_close has made with this key and context; nothing of `out` is to be used. */
WARN_UNUSED bool siv_open(const struct siv *siv, struct span context, struct span sealed, uint8_t *out);

#endif
