/*
 * See ja4.h. The records are checked by the reader that routes by names; then the message is joined and walked again for what the fingerprint needs.
 */
#include "audit/ja4.h"

#include "tls/client_hello.h"
#include "tls/digest.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	RECORD_HEAD = 5,
	MESSAGE_HEAD = 4,
	RANDOM = 32,
	EXTENSION_SERVER_NAME = 0x0000,
	EXTENSION_SIGNATURES = 0x000d,
	EXTENSION_ALPN = 0x0010,
	EXTENSION_VERSIONS = 0x002b,
	HASH_TEXT = 12,
};

/* What is not a value at all (RFC 8701) is left out everywhere. */
struct list {
	uint16_t items[JA4_LIST_MOST];
	unsigned count;
};

struct facts {
	struct list ciphers, extensions, signatures;
	uint16_t version;
	bool name;
	struct span alpn; /* the first one */
};

/* ---- walking ---- */

/* The first `bytes` bytes as a number; the rest stays in *from. */
static size_t number(struct span *from, size_t bytes)
{
	size_t value = 0;

	bytes = size_min(bytes, from->len);
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | from->at[i];
	*from = span_from(*from, bytes);
	return value;
}

/* A vector whose length has `bytes` bytes (RFC 8446 3.4); the message has been checked, so it is there. */
static struct span vector(struct span *from, size_t bytes)
{
	size_t length = number(from, bytes);
	struct span inner = span_first(*from, size_min(length, from->len));

	*from = span_from(*from, inner.len);
	return inner;
}

static bool is_grease(size_t value)
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

static void list_add(struct list *list, size_t value)
{
	if (!is_grease(value) && list->count < JA4_LIST_MOST)
		list->items[list->count++] = (uint16_t)value;
}

static void list_read(struct list *list, struct span vector_of_numbers)
{
	while (vector_of_numbers.len >= 2)
		list_add(list, number(&vector_of_numbers, 2));
}

static void read_versions(struct facts *facts, struct span data)
{
	struct span versions = vector(&data, 1);
	size_t best = 0;

	while (versions.len >= 2) {
		size_t version = number(&versions, 2);
		if (!is_grease(version))
			best = size_max(best, version);
	}
	if (best)
		facts->version = (uint16_t)best;
}

static void read_extension(struct facts *facts, size_t type, struct span data)
{
	struct span inner;

	list_add(&facts->extensions, type);
	switch (type) {
	case EXTENSION_SERVER_NAME:
		facts->name = true;
		break;
	case EXTENSION_ALPN:
		inner = vector(&data, 2);
		facts->alpn = vector(&inner, 1);
		break;
	case EXTENSION_SIGNATURES:
		list_read(&facts->signatures, vector(&data, 2));
		break;
	case EXTENSION_VERSIONS:
		read_versions(facts, data);
		break;
	default:
		break;
	}
}

/* RFC 8446 4.1.2 */
static void read_message(struct span message, struct facts *facts)
{
	message = span_from(message, MESSAGE_HEAD);
	facts->version = (uint16_t)number(&message, 2);
	message = span_from(message, RANDOM);
	(void)vector(&message, 1);
	list_read(&facts->ciphers, vector(&message, 2));
	(void)vector(&message, 1);
	struct span extensions = vector(&message, 2);
	while (extensions.len >= 4) {
		size_t type = number(&extensions, 2);
		read_extension(facts, type, vector(&extensions, 2));
	}
}

/* The handshake message without the headers of its records; NULL: out of memory. */
static uint8_t *join_records(struct span records, size_t *len)
{
	uint8_t *joined = calloc(1, records.len);

	*len = 0;
	while (joined && records.len >= RECORD_HEAD) {
		records = span_from(records, 3);
		struct span record = vector(&records, 2);
		memcpy(joined + *len, record.at, record.len);
		*len += record.len;
	}
	return joined;
}

/* ---- writing ---- */

static int compare(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

struct text {
	char at[2 * JA4_LIST_MOST * 5 + 2];
	size_t len;
};

static void put_list(struct text *text, const struct list *list, const char *before)
{
	for (unsigned i = 0; i < list->count; i++)
		text->len += (size_t)snprintf(text->at + text->len, sizeof(text->at) - text->len, "%s%04x",
					      i ? "," : before, list->items[i]);
}

/* The first 12 characters of the SHA-256 of the text; zeros of nothing. */
static bool put_hash(const struct text *text, char *out)
{
	uint8_t hash[SHA256_BYTES] = {0};

	if (text->len && !digest_sha256(span_make(text->at, text->len), hash))
		return false;
	for (size_t i = 0; i < HASH_TEXT / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
	return true;
}

static const char *version_text(uint16_t version)
{
	switch (version) {
	case 0x0304:
		return "13";
	case 0x0303:
		return "12";
	case 0x0302:
		return "11";
	case 0x0301:
		return "10";
	case 0x0300:
		return "s3";
	default:
		return "00";
	}
}

static bool is_alphanumeric(uint8_t byte)
{
	return ascii_is_alpha(byte) || ascii_is_digit(byte);
}

/* Its first and last characters; of their hexadecimal digits, when one of them is no letter or digit. */
static void alpn_text(struct span alpn, char out[3])
{
	static const char hex[] = "0123456789abcdef";

	memcpy(out, "00", 3);
	if (alpn.len == 0)
		return;
	uint8_t first = alpn.at[0], last = alpn.at[alpn.len - 1];
	bool plain = is_alphanumeric(first) && is_alphanumeric(last);
	out[0] = plain ? (char)first : hex[first >> 4];
	out[1] = plain ? (char)last : hex[last & 15];
}

static bool write_ja4(struct facts *facts, char out[JA4_TEXT])
{
	struct text ciphers = {.len = 0}, extensions = {.len = 0};
	struct list listed = {.count = 0};
	char alpn[3], hashes[2][HASH_TEXT + 1];

	for (unsigned i = 0; i < facts->extensions.count; i++)
		if (facts->extensions.items[i] != EXTENSION_SERVER_NAME &&
		    facts->extensions.items[i] != EXTENSION_ALPN)
			list_add(&listed, facts->extensions.items[i]);
	qsort(facts->ciphers.items, facts->ciphers.count, sizeof(uint16_t), compare);
	qsort(listed.items, listed.count, sizeof(uint16_t), compare);
	put_list(&ciphers, &facts->ciphers, "");
	put_list(&extensions, &listed, "");
	if (listed.count)
		put_list(&extensions, &facts->signatures, "_");
	if (!put_hash(&ciphers, hashes[0]) || !put_hash(&extensions, hashes[1]))
		return false;
	alpn_text(facts->alpn, alpn);
	snprintf(out, JA4_TEXT, "t%s%c%02u%02u%s_%s_%s", version_text(facts->version),
		 facts->name ? 'd' : 'i', (unsigned)size_min(facts->ciphers.count, 99),
		 (unsigned)size_min(facts->extensions.count, 99), alpn, hashes[0], hashes[1]);
	return true;
}

bool ja4_of(struct span records, char out[JA4_TEXT])
{
	struct tls_client_hello hello;
	struct facts facts = {.version = 0};
	bool good = false;
	size_t len;

	if (tls_client_hello_peek(records, &hello) != TLS_PEEK_DONE)
		return false;
	uint8_t *joined = join_records(records, &len);
	if (joined) {
		read_message(span_make(joined, len), &facts);
		good = write_ja4(&facts, out);
	}
	free(joined);
	return good;
}
