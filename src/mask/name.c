/*
 * Comparing field names as servers may read them. Pure.
 */
#include "mask/name.h"

static uint8_t folded(uint8_t byte)
{
	return byte == '_' ? '-' : ascii_lower(byte);
}

bool mask_name_begins(struct span name, struct span lower)
{
	if (name.len < lower.len)
		return false;
	for (size_t i = 0; i < lower.len; i++) {
		if (folded(name.at[i]) != lower.at[i])
			return false;
	}
	return true;
}

bool mask_name_is(struct span name, struct span lower)
{
	return name.len == lower.len && mask_name_begins(name, lower);
}

bool mask_name_same(struct span one, struct span other)
{
	size_t at = 0;

	while (at < one.len && at < other.len && folded(one.at[at]) == folded(other.at[at]))
		at++;
	return at == one.len && at == other.len;
}
