/*
 * Bytes of TLS, put together piece by piece: numbers of any width, vectors behind their length (RFC 8446 3).
 */
#ifndef GUISE_TESTS_CLIENT_HELLO_H
#define GUISE_TESTS_CLIENT_HELLO_H

#include "core/span.h"
#include "tls/client_hello.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct maker {
	uint8_t bytes[TLS_CLIENT_HELLO_MOST * 2];
	size_t len;
};

static inline void put(struct maker *maker, const void *bytes, size_t len)
{
	assert_true(maker->len + len <= sizeof(maker->bytes));
	memcpy(maker->bytes + maker->len, bytes, len);
	maker->len += len;
}

static inline void put_number(struct maker *maker, unsigned bytes, size_t value)
{
	while (bytes-- > 0)
		put(maker, (const uint8_t[]){(uint8_t)(value >> 8 * bytes)}, 1);
}

static inline void put_vector(struct maker *maker, unsigned bytes, struct span content)
{
	put_number(maker, bytes, content.len);
	put(maker, content.at, content.len);
}

static inline struct span made(const struct maker *maker)
{
	return span_make(maker->bytes, maker->len);
}

#endif
