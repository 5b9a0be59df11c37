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

/* 64: it is none. `last` are the two digits that alphabets differ in. */
static uint32_t digit_value(uint8_t byte, const char *last)
{
	if (byte >= 'A' && byte <= 'Z')
		return byte - 'A';
	if (byte >= 'a' && byte <= 'z')
		return byte - 'a' + 26;
	if (byte >= '0' && byte <= '9')
		return byte - '0' + 52;
	return byte == (uint8_t)last[0] ? 62 : byte == (uint8_t)last[1] ? 63 : 64;
}

/* Digits without padding, as many as `out` has room for when they are decoded. */
static bool decode_digits(struct span text, const char *last, uint8_t *out)
{
	uint32_t bits = 0;
	unsigned held = 0;

	for (size_t i = 0; i < text.len; i++) {
		uint32_t value = digit_value(text.at[i], last);
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

bool base64url_decode(struct span text, uint8_t *out, size_t len)
{
	return text.len == base64url_length(len) && decode_digits(text, "-_", out);
}

bool base64_decode(struct span text, uint8_t *out, size_t room, size_t *len)
{
	size_t padding = 0;

	if (text.len % 4 != 0)
		return false;
	while (padding < 2 && text.len > padding && text.at[text.len - 1 - padding] == '=')
		padding++;
	*len = text.len / 4 * 3 - padding;
	return *len <= room && decode_digits(span_first(text, text.len - padding), "+/", out);
}
