/*
 * See entity_tag.h.
 */
#include "mask/entity_tag.h"

/* Reads a tag where the text begins. How many bytes it has; 0: there is none. "W/" has no other case (RFC 9110 8.8.3). */
static size_t tag_length(struct span text, struct entity_tag *tag)
{
	size_t start = span_starts_with(text, SPAN("W/")) ? 2 : 0;
	ptrdiff_t end;

	if (start >= text.len || text.at[start] != '"')
		return 0;
	end = span_find(span_from(text, start + 1), '"');
	if (end < 0)
		return 0;
	tag->weak = start > 0;
	tag->opaque = span_make(text.at + start + 1, (size_t)end);
	return start + (size_t)end + 2;
}

bool entity_tag_parse(struct span text, struct entity_tag *tag)
{
	return text.len > 0 && tag_length(text, tag) == text.len;
}

static bool is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

enum entity_tag_member entity_tag_next(struct span *rest, struct entity_tag *tag)
{
	while (rest->len && (is_space(rest->at[0]) || rest->at[0] == ','))
		*rest = span_from(*rest, 1);
	if (rest->len == 0)
		return ENTITY_TAG_END;
	struct span member = *rest;
	size_t len = tag_length(member, tag), end = len;

	while (end < member.len && is_space(member.at[end]))
		end++;
	if (len && (end == member.len || member.at[end] == ',')) {
		*rest = span_from(member, end);
		return ENTITY_TAG_ONE;
	}
	ptrdiff_t comma = span_find(member, ',');
	end = comma < 0 ? member.len : (size_t)comma;
	*rest = span_from(member, end);
	return span_equal(span_trim(span_first(member, end)), SPAN("*")) ? ENTITY_TAG_ANY : ENTITY_TAG_OTHER;
}
