/*
 * Link (RFC 8288): targets, and anchors where they stand in a value. See reference.h.
 */
#include "mask/reference_internal.h"

static bool is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

/* Where the link-value that begins here ends: a comma outside of <> and quotes. The first '<' alone opens a target. */
static size_t link_end(struct span text)
{
	size_t at = 0;
	ptrdiff_t close = text.len && text.at[0] == '<' ? span_find(text, '>') : -1;

	for (at = close > 0 ? (size_t)close : 0; at < text.len && text.at[at] != ',';)
		at = text.at[at] == '"' ? reference_quoted_end(text, at) : at + 1;
	return at;
}

/* The text of the first `anchor` of the parameters (RFC 8288 3.2); false: there is none. */
static bool find_anchor(struct span parameters, struct span *anchor)
{
	for (size_t at = 0, start; at < parameters.len; at++) {
		if (parameters.at[at] == '"') {
			at = reference_quoted_end(parameters, at) - 1;
			continue;
		}
		if (parameters.at[at] != ';')
			continue;
		for (start = at + 1; start < parameters.len && is_space(parameters.at[start]); start++)
			;
		if (parameters.len - start < 6 ||
		    !span_equal_nocase(span_make(parameters.at + start, 6), SPAN("anchor")))
			continue;
		for (start += 6; start < parameters.len && is_space(parameters.at[start]); start++)
			;
		if (start == parameters.len || parameters.at[start] != '=')
			continue;
		for (start++; start < parameters.len && is_space(parameters.at[start]); start++)
			;
		size_t end = start;
		if (start < parameters.len && parameters.at[start] == '"') {
			end = reference_quoted_end(parameters, start);
			start++;
			end -= end > start && parameters.at[end - 1] == '"';
		} else {
			while (end < parameters.len && parameters.at[end] != ';')
				end++;
		}
		*anchor = span_trim(span_make(parameters.at + start, end - start));
		return anchor->len > 0;
	}
	return false;
}

/* One link-value. REFERENCE_STAYS: all of it was added as it is. */
static enum reference_fate add_link(const struct reference_map *map, struct span link,
				    struct reference_text *text)
{
	ptrdiff_t close = link.at[0] == '<' ? span_find(link, '>') : -1;
	enum reference_fate fate = REFERENCE_STAYS, anchors = REFERENCE_STAYS;
	struct span target, parameters, anchor, new_anchor;

	if (close < 0)
		return reference_mentions(map, link) ? REFERENCE_GOES : REFERENCE_STAYS;
	target = span_trim(span_make(link.at + 1, (size_t)close - 1));
	parameters = span_from(link, (size_t)close);
	fate = reference_location(map, &target);
	if (find_anchor(parameters, &anchor)) {
		new_anchor = anchor;
		anchors = reference_location(map, &new_anchor);
	}
	if (fate == REFERENCE_MEMORY || anchors == REFERENCE_MEMORY)
		return REFERENCE_MEMORY;
	if (fate == REFERENCE_GOES || anchors == REFERENCE_GOES)
		return REFERENCE_GOES;
	if (fate == REFERENCE_STAYS && anchors == REFERENCE_STAYS)
		return REFERENCE_STAYS;
	reference_add(text, SPAN("<"));
	reference_add(text, target);
	if (anchors == REFERENCE_CHANGED) {
		size_t at = (size_t)(anchor.at - parameters.at);
		reference_add(text, span_first(parameters, at));
		reference_add(text, new_anchor);
		parameters = span_from(parameters, at + anchor.len);
	}
	reference_add(text, parameters);
	return REFERENCE_CHANGED;
}

/* All link-values. Whether any was changed is for a first pass, which costs no memory where none is. */
static enum reference_fate add_links(const struct reference_map *map, struct span rest,
				     struct reference_text *text)
{
	bool changed = false;

	while (rest.len > 0) {
		if (is_space(rest.at[0]) || rest.at[0] == ',') {
			rest = span_from(rest, 1);
			continue;
		}
		struct span link = span_first(rest, link_end(rest));
		size_t before = text->len;
		rest = span_from(rest, link.len);
		link = span_trim(link);
		if (text->len > 0)
			reference_add(text, SPAN(", "));
		enum reference_fate fate = add_link(map, link, text);
		if (fate == REFERENCE_MEMORY)
			return fate;
		if (fate == REFERENCE_STAYS)
			reference_add(text, link);
		else
			changed = true;
		if (fate == REFERENCE_GOES)
			text->len = before;
	}
	return changed ? REFERENCE_CHANGED : REFERENCE_STAYS;
}

enum reference_fate reference_link(const struct reference_map *map, struct span *value)
{
	struct reference_text text = {.arena = NULL};
	enum reference_fate fate = add_links(map, *value, &text);

	if (fate != REFERENCE_CHANGED)
		return fate;
	text = (struct reference_text){.arena = map->arena};
	fate = add_links(map, *value, &text);
	return fate == REFERENCE_MEMORY ? fate : reference_finish(&text, value);
}
