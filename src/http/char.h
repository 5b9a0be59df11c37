/*
 * What a byte may be in HTTP text, as one table of bits: one load answers. Pure; any thread.
 */
#ifndef GUISE_HTTP_CHAR_H
#define GUISE_HTTP_CHAR_H

#include "core/span.h"

enum {
	HTTP_CHAR_TOKEN = 1,       /* tchar (RFC 9110 5.6.2) */
	HTTP_CHAR_VALUE = 2,       /* HTAB, SP, VCHAR, obs-text (RFC 9110 5.5) */
	HTTP_CHAR_TARGET = 4,      /* what a request target may hold: VCHAR without '#' */
	HTTP_CHAR_HOST = 8,        /* letters, digits, '-', '.', '_' */
	HTTP_CHAR_HEX = 16,        /* HEXDIG, either case */
	HTTP_CHAR_UNRESERVED = 32, /* RFC 3986 2.3 */
	HTTP_CHAR_QUOTED = 64,     /* qdtext (RFC 9110 5.6.4) */
};

extern const uint8_t http_char_table[256];

static inline bool http_char_is(uint8_t byte, unsigned classes)
{
	return (http_char_table[byte] & classes) != 0;
}

/* How many bytes at the start belong to one of the classes. */
static inline size_t http_char_run(struct span text, unsigned classes)
{
	size_t length = 0;
	while (length < text.len && http_char_is(text.at[length], classes))
		length++;
	return length;
}

/*
 * True when one of the 8 bytes at `at` is a control byte (below SP, HTAB too, or DEL): values are read 8 bytes at a time, and
 * looked at one by one only where this says so.
 */
static inline bool http_char_8_have_control(const uint8_t *at)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t word;
	memcpy(&word, at, sizeof(word));
	uint64_t low = (word - 0x20 * ones) & ~word;
	uint64_t del = word ^ 0x7f * ones;
	return ((low | ((del - ones) & ~del)) & 0x80 * ones) != 0;
}

/* The byte that "%HH" at the front of `text` stands for (RFC 3986 2.1), 0..255, or -1. */
static inline int http_percent_byte(struct span text)
{
	int high = text.len > 2 && text.at[0] == '%' ? ascii_hex_digit(text.at[1]) : -1;
	int low = high >= 0 ? ascii_hex_digit(text.at[2]) : -1;

	return low >= 0 ? high << 4 | low : -1;
}

#endif
