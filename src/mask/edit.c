/*
 * Field edits. Compiled with the snapshot; applied on any thread.
 */
#include "mask/edit.h"

enum edit_kind { EDIT_REMOVE, EDIT_SET, EDIT_ADD };

struct edit {
	enum edit_kind kind;
	enum http_field_id id;
	struct span name;
	const struct template *value; /* SET, ADD */
};

struct edits {
	struct edit *items;
	size_t count;
};

const char *edit_untouchable(enum http_field_id id)
{
	switch (id) {
	case HTTP_FIELD_HOST:
		return "use \"set_host\"";
	case HTTP_FIELD_CONTENT_LENGTH:
	case HTTP_FIELD_TRAILER:
	case HTTP_FIELD_TRANSFER_ENCODING:
		return "it frames the message";
	case HTTP_FIELD_CONNECTION:
	case HTTP_FIELD_HTTP2_SETTINGS:
	case HTTP_FIELD_KEEP_ALIVE:
	case HTTP_FIELD_PROXY_CONNECTION:
	case HTTP_FIELD_TE:
	case HTTP_FIELD_UPGRADE:
		return "it belongs to the connection";
	default:
		return NULL;
	}
}

static bool compile_name(const struct setting_string *name, struct diagnostics *diagnostics, struct edit *edit)
{
	const char *why;

	edit->name = span_make(name->text, name->len);
	if (!http_is_token(edit->name)) {
		diagnostics_error(diagnostics, name->place, "\"%s\" is not a field name", name->text);
		return false;
	}
	edit->id = http_field_identify(edit->name);
	why = edit_untouchable(edit->id);
	if (!why)
		return true;
	diagnostics_error(diagnostics, name->place, "%s cannot be edited: %s", name->text, why);
	return false;
}

static bool compile_pairs(const struct setting_pairs *pairs, enum edit_kind kind, struct arena *arena,
			  struct diagnostics *diagnostics, struct edits *edits)
{
	bool good = true;

	for (size_t i = 0; i < pairs->count; i++) {
		const struct setting_pair *pair = &pairs->items[i];
		struct edit *edit = &edits->items[edits->count++];

		edit->kind = kind;
		if (!compile_name(&pair->name, diagnostics, edit))
			good = false;
		edit->value = template_compile(span_make(pair->value.text, pair->value.len),
					       pair->value.place, arena, diagnostics);
		if (!edit->value)
			good = false;
	}
	return good;
}

bool edits_compile(const struct setting_pairs *set, const struct setting_pairs *add,
		   const struct setting_strings *remove, struct arena *arena, struct diagnostics *diagnostics,
		   const struct edits **edits)
{
	size_t count = set->count + add->count + remove->count;
	struct edits *made;
	bool good = true;

	*edits = NULL;
	if (count == 0)
		return true;
	made = arena_zalloc(arena, 1, sizeof(*made));
	if (made)
		made->items = arena_zalloc(arena, count, sizeof(*made->items));
	if (!made || !made->items) {
		diagnostics_error(diagnostics, set->place, "out of memory");
		return false;
	}
	for (size_t i = 0; i < remove->count; i++) {
		struct edit *edit = &made->items[made->count++];

		edit->kind = EDIT_REMOVE;
		good = compile_name(&remove->items[i], diagnostics, edit) && good;
	}
	good = compile_pairs(set, EDIT_SET, arena, diagnostics, made) && good;
	good = compile_pairs(add, EDIT_ADD, arena, diagnostics, made) && good;
	if (good)
		*edits = made;
	return good;
}

static void edit_drop(const struct edit *edit, struct http_fields *fields)
{
	if (edit->id != HTTP_FIELD_OTHER)
		http_fields_drop_id(fields, edit->id);
	else
		http_fields_drop_name(fields, edit->name);
}

void edits_hide(const struct edits *edits, struct http_fields *fields)
{
	for (size_t i = 0; edits && i < edits->count; i++) {
		if (edits->items[i].kind != EDIT_ADD)
			edit_drop(&edits->items[i], fields);
	}
}

bool edits_apply(const struct edits *edits, struct http_fields *fields, const struct template_context *context)
{
	for (size_t i = 0; edits && i < edits->count; i++) {
		const struct edit *edit = &edits->items[i];
		struct span value;

		if (edit->kind == EDIT_REMOVE) {
			edit_drop(edit, fields);
			continue;
		}
		if (!template_render(edit->value, context, fields->arena, &value))
			return false;
		if (edit->kind == EDIT_SET && !http_fields_set(fields, edit->id, edit->name, value))
			return false;
		if (edit->kind == EDIT_ADD && !http_fields_add(fields, edit->id, edit->name, value))
			return false;
	}
	return true;
}
