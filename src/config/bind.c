/*
 * Binding of what nests: mappings by their rows, lists, mappings by name; and defaults.
 */
#include "config/bind_internal.h"

#include <string.h>

enum { ROWS_MAX = 64 };

static void bind_mapping(struct bind *bind, const struct setting *rows, void *object, const struct node *node);
static void bind_defaults(struct bind *bind, const struct setting *rows, void *object);

static const struct setting *find_row(const struct setting *rows, struct span key)
{
	for (; rows->key; rows++)
		if (span_equal(span_of(rows->key), key))
			return rows;
	return NULL;
}

/* Says so, and returns the row that was meant, or NULL. */
static const struct setting *unknown_key(struct bind *bind, const struct setting *rows, const struct node *key)
{
	const char *candidates[ROWS_MAX + 1], *near = NULL;
	size_t count = 0;

	for (const struct setting *row = rows; row->key && count < ROWS_MAX; row++)
		candidates[count++] = row->key;
	candidates[count] = NULL;
	if (key->text.len <= 64)
		near = diagnostics_suggest((const char *)key->text.at, candidates);
	if (!near) {
		diagnostics_error(bind->diagnostics, key->place, "unknown key \"%s\"",
				  node_quote(bind->arena, key->text));
		return NULL;
	}
	diagnostics_error(bind->diagnostics, key->place, "unknown key \"%s\", did you mean \"%s\"?",
			  node_quote(bind->arena, key->text), near);
	return find_row(rows, span_of(near));
}

/* Fills one struct whose members have their defaults already. */
static void bind_mapping(struct bind *bind, const struct setting *rows, void *object, const struct node *node)
{
	uint64_t seen = 0;

	for (const struct node *member = node->first; member && !bind->out_of_memory; member = member->next) {
		const struct setting *row = find_row(rows, member->key->text);
		const struct setting *meant = row ? row : unknown_key(bind, rows, member->key);
		if (!meant)
			continue;
		ENSURE(meant - rows < ROWS_MAX);
		seen |= UINT64_C(1) << (meant - rows); /* misspelt, it is not missing as well */
		if (row)
			bind_setting(bind, row, object, node_value(member));
	}
	for (const struct setting *row = rows; row->key; row++)
		if (row->required && !(seen & UINT64_C(1) << (row - rows)))
			diagnostics_error(bind->diagnostics, node->place, "\"%s\" is missing here", row->key);
}

void bind_struct(struct bind *bind, const struct setting *rows, const char *shorthand, void *object,
		 const struct node *node, const char *name)
{
	bind_defaults(bind, rows, object);
	if (node->kind == NODE_MAPPING) {
		bind_mapping(bind, rows, object, node);
		return;
	}
	if (shorthand && !node_is_null(node)) {
		const struct setting *row = find_row(rows, span_of(shorthand));
		ENSURE(row);
		bind_setting(bind, row, object, node);
		return;
	}
	if (node_is_null(node))
		diagnostics_error(bind->diagnostics, node->place,
				  "\"%s\" has no value: it takes a mapping (key: value)", name);
	else
		diagnostics_error(bind->diagnostics, node->place,
				  "\"%s\" takes a mapping (key: value), not %s", name, node_kind_name(node));
}

static void note_place(void *object, size_t offset, struct setting_place place)
{
	if (offset)
		*(struct setting_place *)bind_at(object, offset) = place;
}

static void bind_list(struct bind *bind, const struct setting *row, void *object, const struct node *node)
{
	struct setting_list *out = bind_at(object, row->offset);
	bool single = node->kind == NODE_SCALAR && row->shorthand && !node_is_null(node);
	size_t count = single ? 1 : node->count, i = 0;
	const struct node *item;
	char *items;

	if (node->kind != NODE_LIST && !single) {
		bind_wrong_type(bind, row, node);
		return;
	}
	items = arena_zalloc(bind->arena, count ? count : 1, row->item_size);
	if (!items) {
		bind->out_of_memory = true;
		return;
	}
	for (item = single ? node : node->first; item && i < count && !bind->out_of_memory;
	     item = item->next, i++) {
		const struct node *value = node_value(item);
		void *at = items + i * row->item_size;
		bind_struct(bind, row->rows, row->shorthand, at, value, row->key);
		note_place(at, row->place_offset, value->place);
	}
	*out = (struct setting_list){items, count, node->place};
}

static void bind_named(struct bind *bind, const struct setting *row, void *object, const struct node *node)
{
	struct setting_list *out = bind_at(object, row->offset);
	size_t i = 0;
	char *items;

	if (node->kind != NODE_MAPPING) {
		bind_wrong_type(bind, row, node);
		return;
	}
	items = arena_zalloc(bind->arena, node->count ? node->count : 1, row->item_size);
	if (!items) {
		bind->out_of_memory = true;
		return;
	}
	for (const struct node *member = node->first; member && !bind->out_of_memory;
	     member = member->next, i++) {
		const struct node *key = member->key;
		void *at = items + i * row->item_size;
		const char *why = row->check ? row->check((const char *)key->text.at, key->text.len) : NULL;
		if (why)
			diagnostics_error(bind->diagnostics, key->place, "\"%s\" cannot have \"%s\": %s",
					  row->key, node_quote(bind->arena, key->text), why);
		bind_struct(bind, row->rows, row->shorthand, at, node_value(member),
			    node_quote(bind->arena, key->text));
		*(struct setting_string *)at =
			(struct setting_string){(const char *)key->text.at, key->text.len, key->place};
		note_place(at, row->place_offset, key->place);
	}
	*out = (struct setting_list){items, node->count, node->place};
}

/* One value in place of a mapping: what is wrong with it is said of the key that was written. */
static void bind_short(struct bind *bind, const struct setting *row, void *object, const struct node *node)
{
	struct setting stands = *find_row(row->rows, span_of(row->shorthand));

	stands.key = row->key;
	bind_defaults(bind, row->rows, object);
	bind_setting(bind, &stands, object, node);
}

void bind_setting(struct bind *bind, const struct setting *row, void *object, const struct node *node)
{
	void *out = bind_at(object, row->offset);

	switch (row->kind) {
	case SETTING_STRINGS:
	case SETTING_NETWORKS:
		bind_strings(bind, row, object, node);
		break;
	case SETTING_MAP:
		bind_map(bind, row, object, node);
		break;
	case SETTING_STRUCT:
		if (row->shorthand && node->kind == NODE_SCALAR && !node_is_null(node))
			bind_short(bind, row, out, node);
		else
			bind_struct(bind, row->rows, row->shorthand, out, node, row->key);
		break;
	case SETTING_LIST:
		bind_list(bind, row, object, node);
		return; /* place_offset is the items' */
	case SETTING_NAMED:
		bind_named(bind, row, object, node);
		return;
	default:
		bind_scalar(bind, row, object, node);
		break;
	}
	note_place(object, row->place_offset, node->place);
}

/* A default is written as in the file, and read by the same code; its place stays 0. */
static void bind_default(struct bind *bind, const struct setting *row, void *object)
{
	struct node scalar = {.kind = NODE_SCALAR, .plain = true, .complete = true, .weight = 1};
	struct setting unplaced = *row;
	struct span text = span_of(row->fallback);
	struct node *node = &scalar;

	unplaced.place_offset = 0;
	scalar.text = text;
	if (text.len > 0 && strchr("[{\"'", text.at[0])) {
		node = node_parse(bind->arena, text, bind->diagnostics);
		if (!node) {
			bind->out_of_memory = true;
			return;
		}
		node->place = (struct setting_place){0, 0};
		for (struct node *item = node->first; item; item = item->next)
			item->place = node->place;
	}
	bind_setting(bind, &unplaced, object, node);
}

static void bind_defaults(struct bind *bind, const struct setting *rows, void *object)
{
	for (const struct setting *row = rows; row->key && !bind->out_of_memory; row++) {
		if (row->kind == SETTING_STRUCT)
			bind_defaults(bind, row->rows, bind_at(object, row->offset));
		else if (row->fallback)
			bind_default(bind, row, object);
	}
}
