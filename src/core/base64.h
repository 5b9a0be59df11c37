/*
 * Base64 with padding (RFC 4648 4). Pure; any thread.
 */
#ifndef GUISE_CORE_BASE64_H
#define GUISE_CORE_BASE64_H

#include "core/span.h"

/* How many characters so many bytes become. */
static inline size_t base64_length(size_t bytes)
{
	return (bytes + 2) / 3 * 4;
}

/* Writes base64_length(bytes.len) characters; no NUL. */
void base64_encode(struct span bytes, char *out);

#endif
