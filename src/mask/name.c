/*
 * Comparing field names as servers may read them. Pure.
 */
#include "mask/name.h"

bool mask_name_begins(struct span name, struct span lower)
{
	if (name.len < lower.len)
		return false;
	for (size_t i = 0; i < lower.len; i++) {
		uint8_t byte = name.at[i] == '_' ? '-' : ascii_lower(name.at[i]);

		if (byte != lower.at[i])
			return false;
	}
	return true;
}

bool mask_name_is(struct span name, struct span lower)
{
	return name.len == lower.len && mask_name_begins(name, lower);
}
