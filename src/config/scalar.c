/*
 * Binding of single values: booleans, numbers, sizes, times, choices, texts.
 */
#include "config/bind_internal.h"

#include "config/files.h"
#include "config/value.h"

#include <stdio.h>
#include <string.h>

enum { TAKES_TEXT = 400 };

static void join_choices(const char *const *choices, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; choices[i] && used < size; i++) {
		const char *before = i == 0 ? "" : (choices[i + 1] ? ", " : " or ");
		used += (size_t)snprintf(out + used, size - used, "%s%s", before, choices[i]);
	}
}

/* What a setting takes, in words: "a whole number or "auto"". */
static void describe(const struct setting *row, char out[TAKES_TEXT])
{
	static const char *const words[] = {
		[SETTING_BOOL] = "true or false",
		[SETTING_COUNT] = "a whole number",
		[SETTING_SIZE] = "a size such as 64 KiB",
		[SETTING_TIME] = "a time such as 30s",
		[SETTING_STRING] = "text",
		[SETTING_TEXT] = "text",
		[SETTING_STRINGS] = "text or a list of texts",
		[SETTING_NETWORKS] = "a network such as 10.0.0.0/8 or a list of them",
		[SETTING_MAP] = "a mapping (name: text)",
		[SETTING_STRUCT] = "a mapping (key: value)",
		[SETTING_LIST] = "a list (each item begins with \"- \")",
		[SETTING_NAMED] = "a mapping (name: ...)",
	};

	if (row->kind == SETTING_CHOICE)
		join_choices(row->choices, out, TAKES_TEXT);
	else if (row->word)
		snprintf(out, TAKES_TEXT, "%s or \"%s\"", words[row->kind], row->word);
	else
		snprintf(out, TAKES_TEXT, "%s", words[row->kind]);
}

void bind_wrong_type(struct bind *bind, const struct setting *row, const struct node *node)
{
	char takes[TAKES_TEXT];

	describe(row, takes);
	if (node_is_null(node))
		diagnostics_error(bind->diagnostics, node->place, "\"%s\" has no value: it takes %s",
				  row->key, takes);
	else
		diagnostics_error(bind->diagnostics, node->place, "\"%s\" takes %s, not %s", row->key, takes,
				  node_kind_name(node));
}

static void wrong_value(struct bind *bind, const struct setting *row, const struct node *node, struct span text)
{
	char takes[TAKES_TEXT];

	describe(row, takes);
	diagnostics_error(bind->diagnostics, node->place, "\"%s\" takes %s, not \"%s\"", row->key, takes,
			  node_quote(bind->arena, text));
}

/* Quoted text is text: "true" and "8" in quotes are no boolean and no number, unless a variable stands in them. */
static bool quoted(struct bind *bind, const struct setting *row, const struct node *node, struct span text,
		   bool substituted)
{
	char takes[TAKES_TEXT];

	if (node->plain || substituted)
		return false;
	describe(row, takes);
	diagnostics_error(bind->diagnostics, node->place,
			  "\"%s\" takes %s, not quoted text: write %s without quotes", row->key, takes,
			  node_quote(bind->arena, text));
	return true;
}

static void bind_bool(struct bind *bind, const struct setting *row, bool *out, const struct node *node,
		      struct span text, bool substituted)
{
	bool value;

	if (!value_bool(text, &value))
		wrong_value(bind, row, node, text);
	else if (!quoted(bind, row, node, text, substituted))
		*out = value;
}

static void out_of_bounds(struct bind *bind, const struct setting *row, const struct node *node,
			  struct span text)
{
	char min[VALUE_TEXT], max[VALUE_TEXT], word[64] = "";

	value_format(row->kind, row->min, min);
	value_format(row->kind, row->max, max);
	if (row->word)
		snprintf(word, sizeof(word), " or \"%s\"", row->word);
	if (row->max == 0)
		diagnostics_error(bind->diagnostics, node->place, "\"%s\" must be at least %s%s, not %s",
				  row->key, min, word, node_quote(bind->arena, text));
	else
		diagnostics_error(bind->diagnostics, node->place, "\"%s\" must be from %s to %s%s, not %s",
				  row->key, min, max, word, node_quote(bind->arena, text));
}

static bool checked(struct bind *bind, const struct setting *row, const struct node *node, struct span text)
{
	const char *why = row->check ? row->check((const char *)text.at, text.len) : NULL;

	if (why)
		diagnostics_error(bind->diagnostics, node->place, "\"%s\" cannot be \"%s\": %s", row->key,
				  node_quote(bind->arena, text), why);
	return !why;
}

static void bind_number(struct bind *bind, const struct setting *row, uint64_t *out, const struct node *node,
			struct span text, bool substituted)
{
	uint64_t value;

	if (row->word && span_equal(text, span_of(row->word))) {
		*out = row->word_value;
		return;
	}
	switch (value_number(row->kind, text, &value)) {
	case VALUE_GOOD:
		if (value < row->min || (row->max != 0 && value > row->max))
			out_of_bounds(bind, row, node, text);
		else if ((row->kind != SETTING_COUNT || !quoted(bind, row, node, text, substituted)) &&
			 checked(bind, row, node, text))
			*out = value;
		break;
	case VALUE_TOO_LARGE:
		if (row->max != 0)
			out_of_bounds(bind, row, node, text);
		else
			diagnostics_error(bind->diagnostics, node->place, "\"%s\" is too large: %s", row->key,
					  node_quote(bind->arena, text));
		break;
	case VALUE_UNIT_MISSING:
		diagnostics_error(bind->diagnostics, node->place,
				  "\"%s\" needs a unit (ms, s, m, h or d), not \"%s\" alone", row->key,
				  node_quote(bind->arena, text));
		break;
	case VALUE_UNIT_UNKNOWN:
		diagnostics_error(bind->diagnostics, node->place,
				  "\"%s\" has an unknown unit: \"%s\"; there are %s", row->key,
				  node_quote(bind->arena, text),
				  row->kind == SETTING_SIZE ? "B, KB, KiB, MB, MiB, GB, GiB, TB and TiB" :
							      "ms, s, m, h and d");
		break;
	case VALUE_MALFORMED:
		wrong_value(bind, row, node, text);
		break;
	}
}

static void bind_choice(struct bind *bind, const struct setting *row, int *out, const struct node *node,
			struct span text)
{
	const char *near = NULL;
	char takes[TAKES_TEXT];

	for (int i = 0; row->choices[i]; i++)
		if (span_equal(text, span_of(row->choices[i]))) {
			*out = i;
			return;
		}
	if (text.len <= 64)
		near = diagnostics_suggest((const char *)text.at, row->choices);
	describe(row, takes);
	if (near)
		diagnostics_error(bind->diagnostics, node->place,
				  "\"%s\" takes %s, not \"%s\", did you mean \"%s\"?", row->key, takes,
				  node_quote(bind->arena, text), near);
	else
		wrong_value(bind, row, node, text);
}

/* `file:PATH` becomes the contents of the file. False: reported. */
static bool resolve_file(struct bind *bind, const struct setting *row, const struct node *node,
			 struct span *text)
{
	const char *path, *why;

	if (!row->file_ok || !span_starts_with(*text, SPAN("file:")))
		return true;
	path = (const char *)text->at + 5;
	if (*path == '\0')
		why = "a path is missing, as in file:page.html";
	else
		why = files_read_named(bind->arena, bind->base, path, text);
	if (why)
		diagnostics_error(bind->diagnostics, node->place, "\"%s\": cannot read \"%s\": %s", row->key,
				  node_quote(bind->arena, span_of(path)), why);
	return !why;
}

/* A text with everything resolved and checked; false: reported. */
static bool bind_text(struct bind *bind, const struct setting *row, const struct node *node,
		      struct setting_string *out)
{
	struct span text;

	if (node->kind != NODE_SCALAR || node_is_null(node)) {
		bind_wrong_type(bind, row, node);
		return false;
	}
	if (!bind_expand(bind, node, &text, NULL) || !resolve_file(bind, row, node, &text) ||
	    !checked(bind, row, node, text))
		return false;
	*out = (struct setting_string){(const char *)text.at, text.len, node->place};
	return true;
}

void bind_scalar(struct bind *bind, const struct setting *row, void *object, const struct node *node)
{
	void *out = bind_at(object, row->offset);
	struct setting_string string;
	bool substituted;
	struct span text;

	if (row->kind == SETTING_STRING || row->kind == SETTING_TEXT) {
		if (!bind_text(bind, row, node, &string))
			return;
		if (row->kind == SETTING_TEXT)
			*(struct setting_string *)out = string;
		else
			*(const char **)out = string.text;
		return;
	}
	if (node->kind != NODE_SCALAR || node_is_null(node)) {
		bind_wrong_type(bind, row, node);
		return;
	}
	if (!bind_expand(bind, node, &text, &substituted))
		return;
	if (row->kind == SETTING_BOOL)
		bind_bool(bind, row, out, node, text, substituted);
	else if (row->kind == SETTING_CHOICE)
		bind_choice(bind, row, out, node, text);
	else
		bind_number(bind, row, out, node, text, substituted);
}

void bind_strings(struct bind *bind, const struct setting *row, void *object, const struct node *node)
{
	struct setting_strings *out = bind_at(object, row->offset), result = {.place = node->place};

	if (node->kind == NODE_MAPPING || node_is_null(node)) {
		bind_wrong_type(bind, row, node);
		return;
	}
	if (node->kind == NODE_SCALAR) {
		result.items = arena_zalloc(bind->arena, 1, sizeof(*result.items));
		if (!result.items)
			bind->out_of_memory = true;
		else if (bind_text(bind, row, node, &result.items[0]))
			result.count = 1;
		*out = result;
		return;
	}
	result.items = arena_zalloc(bind->arena, node->count ? node->count : 1, sizeof(*result.items));
	if (!result.items) {
		bind->out_of_memory = true;
		return;
	}
	for (const struct node *item = node->first; item; item = item->next)
		if (bind_text(bind, row, node_value(item), &result.items[result.count]))
			result.count++;
	*out = result;
}

void bind_map(struct bind *bind, const struct setting *row, void *object, const struct node *node)
{
	struct setting_pairs *out = bind_at(object, row->offset), result = {.place = node->place};

	if (node->kind != NODE_MAPPING) {
		bind_wrong_type(bind, row, node);
		return;
	}
	result.items = arena_zalloc(bind->arena, node->count ? node->count : 1, sizeof(*result.items));
	if (!result.items) {
		bind->out_of_memory = true;
		return;
	}
	for (const struct node *member = node->first; member; member = member->next) {
		struct setting named = *row;
		struct setting_pair *pair = &result.items[result.count];
		named.key = node_quote(bind->arena, member->key->text); /* mistakes are about the member */
		pair->name = (struct setting_string){(const char *)member->key->text.at,
						     member->key->text.len, member->key->place};
		named.kind = SETTING_TEXT;
		named.word = NULL;
		if (bind_text(bind, &named, node_value(member), &pair->value))
			result.count++;
	}
	*out = result;
}
