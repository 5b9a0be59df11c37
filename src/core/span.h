/*
 * A borrowed run of bytes: how all wire data is named. A span owns nothing; it is valid as long as what it
 * points into.
 */
#ifndef GUISE_CORE_SPAN_H
#define GUISE_CORE_SPAN_H

#include "core/base.h"

#include <string.h>

struct span {
	const uint8_t *at;
	size_t len;
};

/* A span over a string literal. */
#define SPAN(literal) ((struct span){(const uint8_t *)("" literal), sizeof(literal) - 1})

/* printf("%.*s", SPAN_ARG(span)) */
#define SPAN_ARG(span) (int)(span).len, (const char *)(span).at

/* A span over a NUL-terminated string, without the NUL; NULL gives an empty span. */
static inline struct span span_of(const char *text)
{
	return (struct span){(const uint8_t *)text, text ? strlen(text) : 0};
}

static inline struct span span_make(const void *at, size_t len)
{
	return (struct span){at, len};
}

/* The bytes from `offset` on; offset <= len. */
static inline struct span span_from(struct span span, size_t offset)
{
	return (struct span){span.at + offset, span.len - offset};
}

/* The first `len` bytes; len <= span.len. */
static inline struct span span_first(struct span span, size_t len)
{
	return (struct span){span.at, len};
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool span_starts_with(struct span span, struct span prefix)
{
	return span.len >= prefix.len && (prefix.len == 0 || memcmp(span.at, prefix.at, prefix.len) == 0);
}

static inline bool span_ends_with(struct span span, struct span suffix)
{
	return span.len >= suffix.len && span_equal(span_from(span, span.len - suffix.len), suffix);
}

static inline uint8_t ascii_lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static inline bool ascii_is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static inline bool ascii_is_alpha(uint8_t byte)
{
	return ascii_lower(byte) >= 'a' && ascii_lower(byte) <= 'z';
}

/* 0..15, or -1. */
static inline int ascii_hex_digit(uint8_t byte)
{
	if (ascii_is_digit(byte))
		return byte - '0';
	byte = ascii_lower(byte);
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Equal when ASCII letters are compared without case. */
bool span_equal_nocase(struct span a, struct span b);

/* The offset of the first `byte`, or -1. */
static inline ptrdiff_t span_find(struct span span, uint8_t byte)
{
	const uint8_t *found = span.len ? memchr(span.at, byte, span.len) : NULL;
	return found ? found - span.at : -1;
}

/* The offset of the first occurrence of `needle`, or -1. */
ptrdiff_t span_search(struct span span, struct span needle);

/* Without spaces and tabs at both ends (RFC 9110 5.6.3, OWS). */
struct span span_trim(struct span span);

/*
 * Cuts at the first `separator`: `before` gets what stands before it and `after` what follows. Without a
 * separator, `before` is all, `after` empty and the answer false.
 */
bool span_cut(struct span span, uint8_t separator, struct span *before, struct span *after);

/* Strict decimal: digits only, no sign, no overflow. False leaves *value alone. */
WARN_UNUSED bool span_to_u64(struct span span, uint64_t *value);

/* FNV-like hash for tables that no peer can choose the keys of; others use map.h, which is keyed. */
uint64_t span_hash(struct span span, uint64_t seed);
uint64_t span_hash_nocase(struct span span, uint64_t seed);

/* Overwrites the bytes, which nobody shall find in memory afterwards; none is fine. */
void span_wipe(struct span bytes);

#endif
