/*
 * Reading the Priority field (RFC 9218 4, RFC 8941 3.2). Pure.
 */
#include "http/h2/priority.h"

/* The key of a member; false when it does not begin as one (RFC 8941 3.1.2). */
static bool key_is_good(struct span key)
{
	for (size_t i = 0; i < key.len; i++) {
		uint8_t byte = key.at[i];
		bool lower = byte >= 'a' && byte <= 'z';
		if (!lower && byte != '*' &&
		    (i == 0 || !(ascii_is_digit(byte) || byte == '_' || byte == '-' || byte == '.')))
			return false;
	}
	return key.len > 0;
}

static void member_read(struct span key, struct span value, bool valued, nghttp2_extpri *priority)
{
	if (span_equal(key, SPAN("u")) && value.len == 1 && value.at[0] >= '0' && value.at[0] <= '7')
		priority->urgency = (uint32_t)(value.at[0] - '0');
	else if (span_equal(key, SPAN("i")) && (!valued || span_equal(value, SPAN("?1"))))
		priority->inc = 1;
	else if (span_equal(key, SPAN("i")) && span_equal(value, SPAN("?0")))
		priority->inc = 0;
}

bool h2_priority_parse(struct span value, nghttp2_extpri *priority)
{
	nghttp2_extpri found = *priority;
	struct span rest = value, member;

	while (span_trim(rest).len > 0) {
		struct span key, item, parameters;
		span_cut(rest, ',', &member, &rest);
		member = span_trim(member);
		span_cut(member, ';', &member, &parameters);
		bool valued = span_cut(member, '=', &key, &item);
		if (!key_is_good(key) || (valued && item.len == 0))
			return false;
		member_read(key, item, valued, &found);
	}
	*priority = found;
	return true;
}
