/*
 * From settings to a reverse mask: its list of fields, and its public name. With the snapshot.
 */
#include "http/target.h"
#include "mask/reverse_mask_internal.h"
#include "mask/reverse_mask_list.h"

static bool compile_list(struct reverse_mask *mask, bool references, struct arena *arena)
{
	struct name_set *set = name_set_new(arena);

	if (!set)
		return false;
	for (const struct reverse_mask_rows *rows = reverse_mask_list; rows->rows; rows++) {
		if (rows->treatment > TREAT_SERVER && !references)
			break;
		if (!name_set_add_all(set, rows->rows, (uint8_t)rows->treatment))
			return false;
	}
	mask->list = set;
	return name_set_seal(set);
}

static bool compile_own(struct reverse_mask *mask, const struct reverse_mask_settings *settings,
			struct arena *arena)
{
	struct name_set *set;

	if (settings->drop.count + settings->keep.count == 0)
		return true;
	set = name_set_new(arena);
	if (!set || !name_set_add_settings(set, &settings->drop, TREAT_DROP) ||
	    !name_set_add_settings(set, &settings->keep, TREAT_PASS))
		return false;
	mask->own = set;
	return name_set_seal(set);
}

/* What is in both lists is in one by mistake. */
static bool check_both(const struct reverse_mask_settings *settings, struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < settings->keep.count; i++) {
		const struct setting_string *keep = &settings->keep.items[i];

		if (settings->server.len && span_equal_nocase(span_of(keep->text), SPAN("Server"))) {
			diagnostics_error(diagnostics, keep->place,
					  "\"keep\" has Server, and \"server\" says something else of it");
			return false;
		}
		for (size_t j = 0; j < settings->drop.count; j++) {
			if (!span_equal_nocase(span_of(keep->text), span_of(settings->drop.items[j].text)))
				continue;
			diagnostics_error(diagnostics, keep->place, "\"%s\" is in both \"keep\" and \"drop\"",
					  keep->text);
			return false;
		}
	}
	return true;
}

static bool compile_public(struct reverse_mask *mask, const struct setting_string *public,
			   struct arena *arena, struct diagnostics *diagnostics)
{
	static const struct span schemes[] = {
		{(const uint8_t *)"http", 4},
		{(const uint8_t *)"https", 5},
	};
	struct span text = span_make(public->text, public->len);
	ptrdiff_t slashes = span_search(text, SPAN("://"));
	struct http_authority authority;
	struct error error = ERROR_OK;

	if (text.len == 0)
		return true;
	for (size_t i = 0; slashes >= 0 && i < ARRAY_LENGTH(schemes); i++)
		if (span_equal_nocase(span_first(text, (size_t)slashes), schemes[i]))
			mask->scheme = schemes[i];
	if (slashes >= 0 && mask->scheme.len == 0) {
		diagnostics_error(diagnostics, public->place, "\"public\": the scheme is http or https");
		return false;
	}
	mask->authority = span_from(text, slashes < 0 ? 0 : (size_t)slashes + 3);
	if (span_find(mask->authority, '/') >= 0) {
		diagnostics_error(diagnostics, public->place,
				  "\"public\" is a scheme and a host, without a path: https://shop.example");
		return false;
	}
	if (!http_authority_parse(mask->authority, arena, &authority, &error)) {
		diagnostics_error(diagnostics, public->place, "\"public\" is no host: %s", error_text(&error));
		return false;
	}
	mask->host = authority.host;
	return true;
}

bool reverse_mask_compile_fields(struct reverse_mask *mask, const struct reverse_mask_settings *settings,
				 struct arena *arena, struct diagnostics *diagnostics)
{
	mask->server = span_make(settings->server.text, settings->server.len);
	mask->reasons = settings->reasons;
	if (!compile_list(mask, settings->references, arena) || !compile_own(mask, settings, arena)) {
		diagnostics_error(diagnostics, settings->place, "out of memory");
		return false;
	}
	return check_both(settings, diagnostics) && compile_public(mask, &settings->public, arena, diagnostics);
}
