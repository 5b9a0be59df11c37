/*
 * What libyaml says about wrong syntax, in words that tell what to do. And how text of the user is shown in messages.
 */
#include "config/node_internal.h"

#include <stdio.h>
#include <string.h>

/* libyaml's words, where they are said, and ours. The first row that fits counts; NULL fits always. */
static const struct hint {
	const char *context, *problem, *text;
} hints[] = {
	{"alias", NULL, "text that begins with \"*\" needs quotes"},
	{"anchor", NULL, "text that begins with \"&\" needs quotes"},
	{"tag", NULL, "text that begins with \"!\" needs quotes"},
	{"quoted scalar", "end of stream", "the quoted text does not end"},
	{"quoted scalar", "document indicator", "the quoted text does not end"},
	{"quoted scalar", "unknown escape",
	 "unknown escape after \"\\\": in single quotes, or as \"\\\\\", it stands for itself"},
	{"block mapping", "expected key",
	 "expected a key here: is the indentation right, and are quotes missing?"},
	{"block collection", "'-' indicator", "expected \"- \" here: is the indentation right?"},
	{"flow sequence", NULL, "expected \",\" or \"]\" here"},
	{"flow mapping", NULL, "expected \",\" or \"}\" here; text that holds one of {}[], needs quotes"},
	{"simple key", NULL, "expected \":\" after a key"},
	{"plain scalar", "tab", "a tab cannot indent: use spaces"},
	{"block scalar", "tab", "a tab cannot indent: use spaces"},
	{NULL, "mapping values",
	 "a value that holds \": \" needs quotes; a mapping begins on a line of its own"},
	{NULL, "block sequence entries", "\"- \" is not expected here: a list begins on a line of its own"},
	{NULL, "node content", "expected a value here; text that begins with one of []{}, needs quotes"},
	{NULL, "nesting", "nested too deeply: 32 levels are the most"},
	{NULL, "UTF-8", "the file is not valid UTF-8"},
	{NULL, "control characters", "control characters have to be written as escapes in double quotes"},
};

static bool mentions(const char *text, const char *words)
{
	return !words || (text && strstr(text, words));
}

/* Line and column of a byte, for mistakes that libyaml gives as an offset. */
static struct setting_place place_of_offset(struct span input, size_t offset)
{
	struct setting_place place = {1, 1};

	for (size_t i = 0; i < offset && i < input.len; i++) {
		if (input.at[i] == '\n') {
			place.line++;
			place.column = 1;
		} else if ((input.at[i] & 0xc0) != 0x80) {
			place.column++;
		}
	}
	return place;
}

/* A character that can begin nothing: what it is decides what helps. */
static const char *about_character(uint8_t byte)
{
	if (byte == '\t')
		return "a tab cannot indent: use spaces";
	if (byte == '@')
		return "text that begins with \"@\" needs quotes";
	if (byte == '`')
		return "text that begins with \"`\" needs quotes";
	if (byte == '%')
		return "text that begins with \"%\" needs quotes";
	return NULL;
}

void node_syntax_error(const yaml_parser_t *parser, struct span input, struct arena *arena,
		       struct diagnostics *diagnostics)
{
	struct setting_place place = {(unsigned)parser->problem_mark.line + 1,
				      (unsigned)parser->problem_mark.column + 1};
	const char *problem = parser->problem ? parser->problem : "unknown problem";
	const char *text = NULL;

	if (parser->error == YAML_READER_ERROR)
		place = place_of_offset(input, parser->problem_offset);
	else if (mentions(problem, "cannot start any token") && parser->problem_mark.index < input.len)
		text = about_character(input.at[parser->problem_mark.index]);
	for (size_t i = 0; !text && i < ARRAY_LENGTH(hints); i++)
		if (mentions(parser->context, hints[i].context) && mentions(problem, hints[i].problem))
			text = hints[i].text;
	if (text && parser->context && parser->context_mark.line != parser->problem_mark.line)
		diagnostics_error(diagnostics, place, "%s (this part begins on line %zu)", text,
				  parser->context_mark.line + 1);
	else
		diagnostics_error(diagnostics, place, "%s", text ? text : node_quote(arena, span_of(problem)));
}

const char *node_quote(struct arena *arena, struct span text)
{
	enum { MOST = 60 };
	char out[4 * MOST + 8];
	size_t used = 0, i;
	struct span copy;

	for (i = 0; i < text.len && i < MOST; i++) {
		uint8_t byte = text.at[i];
		bool control = byte < 0x20 || byte == 0x7f ||
			       (byte == 0xc2 && i + 1 < text.len && text.at[i + 1] < 0xa0);
		if (byte == '\n' || byte == '\t')
			used += (size_t)snprintf(out + used, sizeof(out) - used, "\\%c",
						 byte == '\n' ? 'n' : 't');
		else if (control)
			used += (size_t)snprintf(out + used, sizeof(out) - used, "\\x%02x", byte);
		else
			out[used++] = (char)byte;
	}
	while (i < text.len && (text.at[i] & 0xc0) == 0x80 && used < sizeof(out) - 4)
		out[used++] = (char)text.at[i++]; /* the rest of a character */
	copy = arena_format(arena, "%.*s%s", (int)used, out, i < text.len ? "..." : "");
	return copy.at ? (const char *)copy.at : "?";
}
