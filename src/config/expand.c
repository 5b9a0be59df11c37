/*
 * Environment variables in values: `${NAME}`, `${NAME:-default}`, `$${`.
 */
#include "config/bind_internal.h"

#include <stdlib.h>
#include <string.h>

enum { EXPANDED_MAX = 1024 * 1024 };

struct output {
	uint8_t *bytes; /* NULL: only counting */
	size_t len;
};

static void output_add(struct output *output, const void *bytes, size_t len)
{
	if (output->bytes && len > 0)
		memcpy(output->bytes + output->len, bytes, len);
	output->len += len;
}

static bool is_name(struct span name)
{
	if (name.len == 0 || name.len > 255 || ascii_is_digit(name.at[0]))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!ascii_is_alpha(name.at[i]) && !ascii_is_digit(name.at[i]) && name.at[i] != '_')
			return false;
	return true;
}

/* What stands between the braces; false: reported. */
static bool expand_one(struct bind *bind, const struct node *node, struct span inside, struct output *output)
{
	ptrdiff_t colon = span_search(inside, SPAN(":-"));
	struct span name = colon < 0 ? inside : span_first(inside, (size_t)colon);
	char text[256];
	const char *value;

	if (!is_name(name)) {
		diagnostics_error(bind->diagnostics, node->place,
				  "\"${%s}\" names no environment variable; a literal \"${\" is written \"$${\"",
				  node_quote(bind->arena, inside));
		return false;
	}
	memcpy(text, name.at, name.len);
	text[name.len] = '\0';
	value = getenv(text);
	if (value && (*value || colon < 0)) {
		output_add(output, value, strlen(value));
		return true;
	}
	if (colon < 0) {
		diagnostics_error(bind->diagnostics, node->place,
				  "the environment variable %s is not set; \"${%s:-...}\" would give a default",
				  text, text);
		return false;
	}
	output_add(output, inside.at + colon + 2, inside.len - (size_t)colon - 2);
	return true;
}

static bool expand_all(struct bind *bind, const struct node *node, struct output *output)
{
	struct span rest = node->text;

	while (rest.len > 0) {
		ptrdiff_t at = span_search(rest, SPAN("${")), end;
		if (at < 0)
			break;
		if (at > 0 && rest.at[at - 1] == '$') {
			output_add(output, rest.at, (size_t)at - 1);
			output_add(output, "${", 2);
			rest = span_from(rest, (size_t)at + 2);
			continue;
		}
		output_add(output, rest.at, (size_t)at);
		rest = span_from(rest, (size_t)at + 2);
		end = span_find(rest, '}');
		if (end < 0) {
			diagnostics_error(bind->diagnostics, node->place,
					  "\"${\" without a \"}\"; a literal \"${\" is written \"$${\"");
			return false;
		}
		if (!expand_one(bind, node, span_first(rest, (size_t)end), output))
			return false;
		rest = span_from(rest, (size_t)end + 1);
	}
	output_add(output, rest.at, rest.len);
	return true;
}

bool bind_expand(struct bind *bind, const struct node *node, struct span *text, bool *substituted)
{
	struct output output = {0};

	*text = node->text;
	if (substituted)
		*substituted = false;
	if (span_search(node->text, SPAN("${")) < 0)
		return true;
	if (!expand_all(bind, node, &output))
		return false;
	if (output.len > EXPANDED_MAX) {
		diagnostics_error(bind->diagnostics, node->place,
				  "with its variables this is larger than 1 MiB");
		return false;
	}
	output.bytes = arena_alloc(bind->arena, output.len + 1);
	if (!output.bytes) {
		bind->out_of_memory = true;
		return false;
	}
	output.len = 0;
	if (!expand_all(bind, node, &output))
		return false;
	output.bytes[output.len] = '\0';
	*text = span_make(output.bytes, output.len);
	if (substituted)
		*substituted = true;
	return true;
}
