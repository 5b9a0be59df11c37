/*
 * Base64. See base64.h.
 */
#include "core/base64.h"

void base64_encode(struct span bytes, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t left = bytes.len - i;
		uint32_t group = (uint32_t)bytes.at[i] << 16;
		if (left > 1)
			group |= (uint32_t)bytes.at[i + 1] << 8;
		if (left > 2)
			group |= bytes.at[i + 2];
		*out++ = digits[group >> 18];
		*out++ = digits[group >> 12 & 63];
		*out++ = left > 1 ? digits[group >> 6 & 63] : '=';
		*out++ = left > 2 ? digits[group & 63] : '=';
	}
}
