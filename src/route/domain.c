/*
 * Host names and sets of patterns for them. Sets are built with a snapshot and then only read, on any thread.
 */
#include "route/domain.h"

#include "net/address.h"

enum { LABEL_MAX = 63 };

struct span domain_parent(struct span name)
{
	ptrdiff_t dot = span_find(name, '.');

	return dot < 0 ? span_make(NULL, 0) : span_from(name, (size_t)dot + 1);
}

static const char *check_labels(struct span name)
{
	size_t label = 0;

	if (name.len == 0)
		return "a host name is missing";
	if (name.len > DOMAIN_MAX)
		return "a host name has at most 253 characters";
	for (size_t i = 0; i < name.len; i++) {
		uint8_t byte = name.at[i];

		if (byte == '.') {
			if (label == 0)
				return "a host name has an empty label";
			label = 0;
			continue;
		}
		if (byte == '*')
			return "\"*\" stands only at the beginning, as \"*.\" or for all hosts";
		if (byte == ':' || byte == '/')
			return "a host name stands without scheme, port and path";
		if (byte >= 0x80)
			return "a host name is written in ASCII (xn--...)";
		if (!ascii_is_alpha(byte) && !ascii_is_digit(byte) && byte != '-' && byte != '_')
			return "a host name has letters, digits, \"-\" and \"_\" between its dots";
		if (++label > LABEL_MAX)
			return "a label of a host name has at most 63 characters";
	}
	return label == 0 ? "a host name has an empty label" : NULL;
}

static const char *copy_lower(struct span name, struct arena *arena, struct span *out)
{
	uint8_t *copy = arena_alloc(arena, name.len);

	if (!copy)
		return "out of memory";
	for (size_t i = 0; i < name.len; i++)
		copy[i] = ascii_lower(name.at[i]);
	*out = span_make(copy, name.len);
	return NULL;
}

/* True when the text is a literal, with brackets or without; *error is set when it cannot be kept. */
static bool parse_literal(struct span text, struct arena *arena, struct domain_pattern *pattern,
			  const char **error)
{
	char buffer[ADDRESS_TEXT];
	struct address address;

	if (text.len > 2 && text.at[0] == '[' && text.at[text.len - 1] == ']')
		text = span_make(text.at + 1, text.len - 2);
	if (!address_parse_ip(text, &address))
		return false;
	pattern->literal = true;
	pattern->name = arena_copy(arena, span_make(buffer, address_format_ip(&address, buffer)));
	if (!pattern->name.at)
		*error = "out of memory";
	return true;
}

const char *domain_pattern_parse(struct span text, struct arena *arena, struct domain_pattern *pattern)
{
	const char *error = NULL;

	*pattern = (struct domain_pattern){.reach = DOMAIN_EXACT};
	if (parse_literal(text, arena, pattern, &error))
		return error;
	if (span_starts_with(text, SPAN("*."))) {
		pattern->reach = DOMAIN_BELOW;
		text = span_from(text, 2);
	} else if (text.len > 1 && text.at[0] == '.') {
		pattern->reach = DOMAIN_BOTH;
		text = span_from(text, 1);
	}
	if (text.len > 1 && text.at[text.len - 1] == '.')
		text.len--;
	error = check_labels(text);
	return error ? error : copy_lower(text, arena, &pattern->name);
}

void domain_set_init(struct domain_set *set, struct memory *memory)
{
	map_init(&set->names, memory);
}

void domain_set_fini(struct domain_set *set)
{
	map_fini(&set->names);
}

bool domain_set_add(struct domain_set *set, const struct domain_pattern *pattern)
{
	uintptr_t reach = (uintptr_t)map_get(&set->names, pattern->name) | pattern->reach;

	return map_put(&set->names, pattern->name, (void *)reach);
}

bool domain_set_has_exactly(const struct domain_set *set, struct span name)
{
	return name.len && (uintptr_t)map_get(&set->names, name) & DOMAIN_EXACT;
}

bool domain_set_has(const struct domain_set *set, struct span name)
{
	uint8_t lower[DOMAIN_MAX];
	struct span rest;

	if (set->names.count == 0)
		return false;
	if (name.len > 0 && name.at[name.len - 1] == '.')
		name.len--;
	if (name.len == 0 || name.len > DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		lower[i] = ascii_lower(name.at[i]);
	rest = span_make(lower, name.len);
	if ((uintptr_t)map_get(&set->names, rest) & DOMAIN_EXACT)
		return true;
	for (rest = domain_parent(rest); rest.len > 0; rest = domain_parent(rest)) {
		if ((uintptr_t)map_get(&set->names, rest) & DOMAIN_BELOW)
			return true;
	}
	return false;
}
