/*
 * The few digests that protocols ask for outside of TLS.
 */
#ifndef GUISE_TLS_DIGEST_H
#define GUISE_TLS_DIGEST_H

#include "core/span.h"

enum { SHA1_BYTES = 20 };

/* False: the library has none (a FIPS provider). */
WARN_UNUSED bool digest_sha1(struct span bytes, uint8_t out[SHA1_BYTES]);

#endif
