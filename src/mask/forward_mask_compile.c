/*
 * From the settings of a forward mask to its tables; and what in the settings contradicts itself. On the thread that builds a snapshot.
 */
#include "mask/edit.h"
#include "mask/forward_fields.h"
#include "mask/forward_mask_internal.h"
#include "mask/name.h"

/* Between a client and its next proxy (RFC 9110 11.7): what the client shows us is nobody else's, and an origin's challenge would make it show more. */
static const char *const credentials[] = {"proxy-authorization", "proxy-connection", NULL};
static const char *const challenges[] = {"proxy-authenticate", "proxy-authentication-info",
					 "proxy-connection", NULL};
static const char *const cookies[] = {"cookie", "cookie2", NULL};
static const char *const set_cookies[] = {"set-cookie", "set-cookie2", NULL};

static struct span text_of(const struct setting_string *text)
{
	return span_make(text->text, text->len);
}

/* ---- contradictions ---- */

/* The first row that `name` (in lower case) matches, or NULL. */
static const struct setting_string *row_for(const struct setting_strings *rows, const char *name)
{
	for (size_t i = 0; i < rows->count; i++) {
		struct span row = text_of(&rows->items[i]), lower = span_of(name);
		bool begins = row.at[row.len - 1] == '*';
		row.len -= begins;
		if (row.len == lower.len || (begins && row.len < lower.len))
			if (mask_name_is(row, span_first(lower, row.len)))
				return &rows->items[i];
	}
	return NULL;
}

struct contradiction {
	bool holds;         /* the rest of the settings is so that the row contradicts it */
	const char *name;   /* of the field that must not be in the list */
	const char *reason; /* as "X cannot be kept: ..." */
};

static void check_rows(const struct setting_strings *rows, const char *verb,
		       const struct contradiction *contradictions, struct diagnostics *diagnostics)
{
	for (; contradictions->name; contradictions++) {
		const struct setting_string *row =
			contradictions->holds ? row_for(rows, contradictions->name) : NULL;
		if (row)
			diagnostics_error(diagnostics, row->place, "\"%s\" cannot be %s: %s", row->text, verb,
					  contradictions->reason);
	}
}

static void check_keep(const struct forward_mask_settings *settings, struct diagnostics *diagnostics)
{
	const struct contradiction contradictions[] = {
		{true, "proxy-authorization",
		 "Proxy-Authorization is what the client shows this proxy, and nobody else"},
		{true, "proxy-connection", "Proxy-Connection is between the client and this proxy"},
		{!settings->cookies, "cookie", "\"cookies: false\" drops cookies"},
		{settings->referer == FORWARD_REFERER_NONE, "referer", "\"referer: none\" drops Referer"},
		{false, NULL, NULL},
	};

	check_rows(&settings->keep, "kept", contradictions, diagnostics);
}

static void check_drop(const struct forward_mask_settings *settings, struct diagnostics *diagnostics)
{
	bool transparent = settings->kind == FORWARD_TRANSPARENT;
	const struct contradiction contradictions[] = {
		{settings->kind != FORWARD_ELITE, "via",
		 "this kind of mask sends Via; \"kind: elite\" does not"},
		{transparent, "x-forwarded-for", "\"kind: transparent\" sends it"},
		{transparent, "forwarded", "\"kind: transparent\" sends it"},
		{settings->user_agent.text, "user-agent", "\"user_agent\" sets it"},
		{settings->accept_language.text, "accept-language", "\"accept_language\" sets it"},
		{settings->referer == FORWARD_REFERER_ORIGIN || settings->referer == FORWARD_REFERER_SAME_ORIGIN,
		 "referer", "\"referer\" lets it pass; \"referer: none\" does not"},
		{settings->dnt, "dnt", "\"dnt\" sets it"},
		{settings->gpc, "sec-gpc", "\"gpc\" sets it"},
		{false, NULL, NULL},
	};

	check_rows(&settings->drop, "dropped", contradictions, diagnostics);
	for (size_t i = 0; i < settings->drop.count; i++) {
		const struct setting_string *row = &settings->drop.items[i];
		enum http_field_id id = http_field_identify(text_of(row));
		const char *why = id == HTTP_FIELD_HOST ? "it says what is asked for" : edit_untouchable(id);
		if (why)
			diagnostics_error(diagnostics, row->place, "%s cannot be dropped: %s", row->text, why);
	}
}

static void check_both(const struct forward_mask_settings *settings, struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < settings->drop.count; i++) {
		const struct setting_string *row = &settings->drop.items[i];
		for (size_t j = 0; j < settings->keep.count; j++)
			if (mask_name_same(text_of(row), text_of(&settings->keep.items[j])))
				diagnostics_error(diagnostics, row->place, "\"%s\" is in \"keep\" too",
						  row->text);
	}
}

/* ---- tables ---- */

/* The settings alone; NULL: out of memory. */
static const struct name_set *wanted_names(const struct forward_mask_settings *settings, struct arena *arena)
{
	struct name_set *set = name_set_new(arena);

	if (set && name_set_add_settings(set, &settings->drop, FIELD_DROP) &&
	    name_set_add_settings(set, &settings->keep, FIELD_PASS) && name_set_seal(set))
		return set;
	return NULL;
}

/* Rows of ours, where the settings do not say otherwise of them: those stand above longer rows too. */
static bool add_unless(struct name_set *set, const char *const rows[], uint8_t value,
		       const struct name_set *wanted)
{
	for (; *rows; rows++) {
		struct span row = span_of(*rows), name = row;
		name.len -= name.at[name.len - 1] == '*';
		uint8_t other = name_set_find(wanted, HTTP_FIELD_OTHER, name);
		if (!name_set_add(set, row, other ? other : value))
			return false;
	}
	return true;
}

static const struct name_set *request_names(const struct forward_mask_settings *settings,
					    const struct name_set *wanted, struct arena *arena)
{
	static const char *const via[] = {"via", NULL}, *const referer[] = {"referer", NULL};
	bool transparent = settings->kind == FORWARD_TRANSPARENT;
	bool allowlist = settings->unknown == FORWARD_ALLOWLIST;
	struct name_set *set = name_set_new(arena);

	/* What passes anyway is in no row: a name that none begins like is soon done with. */
	if (!set || (allowlist && !add_unless(set, forward_usual, FIELD_PASS, wanted)) ||
	    ((allowlist || !transparent) &&
	     !add_unless(set, forward_telling, transparent ? FIELD_PASS : FIELD_DROP, wanted)) ||
	    !name_set_add_settings(set, &settings->drop, FIELD_DROP) ||
	    !name_set_add_settings(set, &settings->keep, FIELD_PASS))
		return NULL;
	if (settings->kind == FORWARD_ANONYMOUS && !name_set_add_all(set, via, FIELD_PASS))
		return NULL;
	if (!settings->cookies && !name_set_add_all(set, cookies, FIELD_DROP))
		return NULL;
	if (settings->referer == FORWARD_REFERER_NONE && !name_set_add_all(set, referer, FIELD_DROP))
		return NULL;
	return name_set_add_all(set, credentials, FIELD_DROP) && name_set_seal(set) ? set : NULL;
}

static const struct name_set *response_names(const struct forward_mask_settings *settings, struct arena *arena)
{
	static const char *const alt_svc[] = {"alt-svc", NULL};
	struct name_set *set = name_set_new(arena);

	if (!set || !name_set_add_all(set, challenges, FIELD_DROP))
		return NULL;
	if (!settings->cookies && !name_set_add_all(set, set_cookies, FIELD_DROP))
		return NULL;
	if (!settings->alt_svc && !name_set_add_all(set, alt_svc, FIELD_DROP))
		return NULL;
	return name_set_seal(set) ? set : NULL;
}

static void set_field(struct forward_mask *mask, bool wanted, struct span name, struct span value)
{
	if (wanted)
		mask->set[mask->set_count++] = (struct forward_set){name, span_trim(value)};
}

bool forward_mask_compile(const struct forward_mask_settings *settings, struct arena *arena,
			  struct diagnostics *diagnostics, const struct forward_mask **mask)
{
	const struct name_set *wanted = wanted_names(settings, arena);
	struct forward_mask *made = arena_zalloc(arena, 1, sizeof(*made));
	unsigned before = diagnostics->errors;

	if (made && wanted) {
		made->kind = (enum forward_mask_kind)settings->kind;
		made->referer = (enum forward_referer)settings->referer;
		made->allowlist = settings->unknown == FORWARD_ALLOWLIST;
		made->client_address = settings->client_address && settings->kind != FORWARD_TRANSPARENT;
		made->order = settings->order;
		set_field(made, settings->user_agent.text, SPAN("User-Agent"), text_of(&settings->user_agent));
		set_field(made, settings->accept_language.text, SPAN("Accept-Language"),
			  text_of(&settings->accept_language));
		set_field(made, settings->dnt, SPAN("DNT"), SPAN("1"));
		set_field(made, settings->gpc, SPAN("Sec-GPC"), SPAN("1"));
		made->steps = made->set_count > 0 || made->referer != FORWARD_REFERER_FULL;
		made->requests = request_names(settings, wanted, arena);
		made->responses = response_names(settings, arena);
	}
	if (!made || !wanted || !made->requests || !made->responses) {
		diagnostics_error(diagnostics, settings->place, "out of memory");
		return false;
	}
	check_keep(settings, diagnostics);
	check_drop(settings, diagnostics);
	check_both(settings, diagnostics);
	*mask = made;
	return diagnostics->errors == before;
}
