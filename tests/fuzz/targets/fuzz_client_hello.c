/*
 * ClientHello peek. A prefix of one never says anything else than the whole, and the same message cut into other records is read the same; a
 * name that is found is a clean one.
 */
#include "tls/client_hello.h"

#include <stdlib.h>

enum { HEAD = 5, STEPS = 64 };

static bool same(const struct tls_client_hello *a, const struct tls_client_hello *b)
{
	return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0 && a->h2 == b->h2;
}

static void check_name(const struct tls_client_hello *hello)
{
	for (size_t i = 0; i < hello->name_len; i++) {
		uint8_t byte = hello->name[i];
		ENSURE(byte == ascii_lower(byte));
		ENSURE(ascii_is_alpha(byte) || ascii_is_digit(byte) || byte == '-' || byte == '_' ||
		       byte == '.');
	}
	ENSURE(!hello->name_len || (hello->name[0] != '.' && hello->name[hello->name_len - 1] != '.'));
}

/* All cuts of a short one, some of a long one. */
static void check_cuts(struct span bytes, enum tls_peek whole, const struct tls_client_hello *hello)
{
	size_t step = bytes.len / STEPS + 1;

	for (size_t cut = 0; cut < bytes.len; cut += step) {
		struct tls_client_hello part;
		enum tls_peek result = tls_client_hello_peek(span_first(bytes, cut), &part);
		if (result == TLS_PEEK_MORE)
			ENSURE(part.need > cut && part.name_len == 0 &&
			       (whole != TLS_PEEK_DONE || part.need <= bytes.len));
		else
			ENSURE(result == whole && same(&part, hello));
	}
}

/* The payload of the records of a complete one in records of `most` bytes. */
static void check_records(struct span bytes, size_t most, const struct tls_client_hello *hello)
{
	uint8_t *payload = malloc(bytes.len + 1), *records = malloc(bytes.len * (HEAD + 1) + 1);
	size_t len = 0, at = 0, out = 0, message;

	ENSURE(payload && records);
	do {
		size_t length = (size_t)bytes.at[at + 3] << 8 | bytes.at[at + 4];
		length = size_min(length, bytes.len - at - HEAD);
		memcpy(payload + len, bytes.at + at + HEAD, length);
		len += length;
		at += HEAD + length;
		message = len < 4 ? SIZE_MAX :
				    4 + ((size_t)payload[1] << 16 | (size_t)payload[2] << 8 | payload[3]);
	} while (len < message);
	for (size_t from = 0; from < message; from += most) {
		size_t run = size_min(most, message - from);
		const uint8_t head[HEAD] = {22, 3, 3, (uint8_t)(run >> 8), (uint8_t)run};
		memcpy(records + out, head, HEAD);
		memcpy(records + out + HEAD, payload + from, run);
		out += HEAD + run;
	}
	struct tls_client_hello again;
	enum tls_peek result = tls_client_hello_peek(span_make(records, out), &again);
	if (out <= TLS_CLIENT_HELLO_MOST)
		ENSURE(result == TLS_PEEK_DONE && same(&again, hello));
	else
		ENSURE(result == TLS_PEEK_OTHER);
	free(payload);
	free(records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_make(data, size);
	struct tls_client_hello hello;
	enum tls_peek result = tls_client_hello_peek(bytes, &hello);

	ENSURE((hello.need > 0) == (result == TLS_PEEK_MORE));
	ENSURE(result == TLS_PEEK_DONE || (hello.name_len == 0 && !hello.h2));
	check_name(&hello);
	check_cuts(bytes, result, &hello);
	if (result == TLS_PEEK_DONE) {
		check_records(bytes, 1, &hello);
		check_records(bytes, 100, &hello);
	}
	return 0;
}
