/*
 * An authority that lives in memory alone, for tools that play a server of any name: certificates that it signs are made when somebody asks for them.
 * Immutable once made; any number of threads may use one.
 */
#ifndef GUISE_TLS_AUTHORITY_H
#define GUISE_TLS_AUTHORITY_H

#include "core/span.h"

struct tls_authority;

/* With a new key. NULL: *why tells (static text). */
WARN_UNUSED struct tls_authority *tls_authority_new(const char **why);
void tls_authority_free(struct tls_authority *authority); /* NULL is fine */

/* Its certificate as PEM, for who is to trust it. Borrowed. */
struct span tls_authority_pem(const struct tls_authority *authority);

#endif
