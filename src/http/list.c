/*
 * Comma-separated lists in field values (RFC 9110 5.6.1). Pure; called wherever a list field is read.
 */
#include "http/char.h"
#include "http/field.h"

/* Where the member that starts here ends: at a comma outside of a quoted string, or at the end. */
static size_t member_end(struct span text)
{
	bool quoted = false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '"')
			quoted = !quoted;
		else if (quoted && text.at[i] == '\\')
			i++;
		else if (!quoted && text.at[i] == ',')
			return i;
	}
	return text.len;
}

bool http_list_next(struct span *rest, struct span *member)
{
	while (rest->len) {
		size_t end = member_end(*rest);
		*member = span_trim(span_first(*rest, end));
		*rest = span_from(*rest, end < rest->len ? end + 1 : end);
		if (member->len)
			return true;
	}
	return false;
}

bool http_list_has(struct span list, struct span token)
{
	struct span member;
	while (http_list_next(&list, &member))
		if (span_equal_nocase(member, token))
			return true;
	return false;
}

void http_expect_read(struct span value, bool *expect_continue, bool *expect_unknown)
{
	struct span member;
	while (http_list_next(&value, &member)) {
		if (span_equal_nocase(member, SPAN("100-continue")))
			*expect_continue = true;
		else
			*expect_unknown = true;
	}
}
