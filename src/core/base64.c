/*
 * Base64. See base64.h.
 */
#include "core/base64.h"

/* Up to three bytes as up to four digits; those that are not needed are not written. */
static char *encode_group(const char *digits, struct span bytes, char *out)
{
	uint32_t group = (uint32_t)bytes.at[0] << 16;

	if (bytes.len > 1)
		group |= (uint32_t)bytes.at[1] << 8;
	if (bytes.len > 2)
		group |= bytes.at[2];
	*out++ = digits[group >> 18];
	*out++ = digits[group >> 12 & 63];
	if (bytes.len > 1)
		*out++ = digits[group >> 6 & 63];
	if (bytes.len > 2)
		*out++ = digits[group & 63];
	return out;
}

void base64_encode(struct span bytes, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t padding = (3 - bytes.len % 3) % 3;

	for (; bytes.len; bytes = span_from(bytes, size_min(bytes.len, 3)))
		out = encode_group(digits, bytes, out);
	while (padding-- > 0)
		*out++ = '=';
}

void base64url_encode(struct span bytes, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (; bytes.len; bytes = span_from(bytes, size_min(bytes.len, 3)))
		out = encode_group(digits, bytes, out);
}

/* 64: it is none. */
static uint32_t digit_value(uint8_t byte)
{
	if (byte >= 'A' && byte <= 'Z')
		return byte - 'A';
	if (byte >= 'a' && byte <= 'z')
		return byte - 'a' + 26;
	if (byte >= '0' && byte <= '9')
		return byte - '0' + 52;
	return byte == '-' ? 62 : byte == '_' ? 63 : 64;
}

bool base64url_decode(struct span text, uint8_t *out, size_t len)
{
	uint32_t bits = 0;
	unsigned held = 0;

	if (text.len != base64url_length(len))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint32_t value = digit_value(text.at[i]);
		if (value > 63)
			return false;
		bits = bits << 6 | value;
		held += 6;
		if (held < 8)
			continue;
		held -= 8;
		*out++ = (uint8_t)(bits >> held);
	}
	/* RFC 4648 3.5: the bits that are left are zero, or other texts would mean the same. */
	return (bits & ((UINT32_C(1) << held) - 1)) == 0;
}
