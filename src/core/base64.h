/*
 * Base64 with padding (RFC 4648 4), and without it and for URLs and cookies (RFC 4648 5). Pure; any thread.
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

/* Writes *len bytes, at most `room`. False: the text is not the one text that base64_encode makes of any bytes, or of too many. */
WARN_UNUSED bool base64_decode(struct span text, uint8_t *out, size_t room, size_t *len);

/* How many characters so many bytes become there. */
static inline size_t base64url_length(size_t bytes)
{
	return (bytes * 4 + 2) / 3;
}

/* Writes base64url_length(bytes.len) characters; no NUL. */
void base64url_encode(struct span bytes, char *out);
/* Writes `len` bytes. False: the text is not the one text that base64url_encode makes of so many bytes. */
WARN_UNUSED bool base64url_decode(struct span text, uint8_t *out, size_t len);

#endif
