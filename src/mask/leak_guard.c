/*
 * See leak_guard.h.
 */
#include "mask/leak_guard.h"

#include "mask/leak_text.h"

/* ---- compiled ---- */

static bool read_words(const struct leak_settings *settings, struct arena *arena, struct leak_wish *wish)
{
	struct span *words = arena_zalloc(arena, settings->words.count + 1, sizeof(*words));
	struct network *networks = arena_zalloc(arena, settings->networks.count + 1, sizeof(*networks));

	if (!words || !networks)
		return false;
	for (size_t i = 0; i < settings->words.count; i++)
		words[i] = span_make(settings->words.items[i].text, settings->words.items[i].len);
	for (size_t i = 0; i < settings->networks.count; i++) {
		const struct setting_string *item = &settings->networks.items[i];
		if (!network_parse(span_make(item->text, item->len), &networks[i]))
			return false; /* the row's check has seen it */
	}
	*wish = (struct leak_wish){
		.words = words,
		.word_count = settings->words.count,
		.networks = networks,
		.network_count = settings->networks.count,
		.encoded = settings->encoded,
	};
	return true;
}

bool leak_guard_compile(const struct leak_settings *settings, const struct inside *inside,
			struct arena *arena, struct diagnostics *diagnostics, const struct leak_guard **guard)
{
	struct leak_guard *made;
	struct leak_wish wish;

	*guard = NULL;
	if (settings->heads == LEAK_OFF && settings->body == LEAK_OFF)
		return true;
	made = arena_zalloc(arena, 1, sizeof(*made));
	if (!made || !read_words(settings, arena, &wish) ||
	    !leak_terms_compile(&made->terms, inside, &wish, arena)) {
		diagnostics_error(diagnostics, settings->place, "out of memory");
		return false;
	}
	made->heads = (enum leak_policy)settings->heads;
	made->body = (enum leak_policy)settings->body;
	made->types = &settings->types;
	made->window = settings->window;
	*guard = made;
	return true;
}

/* ---- types ---- */

static bool type_is(struct span type, struct span pattern)
{
	struct span before, behind;

	if (!span_cut(pattern, '*', &before, &behind))
		return span_equal_nocase(type, pattern);
	return type.len >= before.len + behind.len && span_equal_nocase(span_first(type, before.len), before) &&
	       span_equal_nocase(span_from(type, type.len - behind.len), behind);
}

bool leak_guard_has_type(const struct leak_guard *guard, struct span type)
{
	static const char *const usual[] = {
		"text/*",          "application/json",  "application/*+json", "application/javascript",
		"application/xml", "application/*+xml", "image/svg+xml",
	};
	struct span rest;

	span_cut(type, ';', &type, &rest);
	type = span_trim(type);
	for (size_t i = 0; i < guard->types->count; i++)
		if (type_is(type, span_make(guard->types->items[i].text, guard->types->items[i].len)))
			return true;
	for (size_t i = 0; guard->types->count == 0 && i < ARRAY_LENGTH(usual); i++)
		if (type_is(type, span_of(usual[i])))
			return true;
	return false;
}

/* ---- heads ---- */

const char *leak_done_name(enum leak_done done)
{
	static const char *const names[] = {
		[LEAK_REPORTED] = "let through",
		[LEAK_REMOVED] = "removed",
		[LEAK_REWRITTEN] = "rewritten",
		[LEAK_BLOCKED] = "blocked",
	};

	return names[done];
}

/* Fields that grant something to the hosts that they name: another name in them might grant it to somebody else (Fetch, CSP, RFC 7838). */
static bool grants(struct span name)
{
	static const char *const names[] = {
		"access-control-allow-origin",
		"alt-svc",
		"content-security-policy",
		"content-security-policy-report-only",
		"nel",
		"permissions-policy",
		"report-to",
		"reporting-endpoints",
		"sourcemap",
		"timing-allow-origin",
		"x-sourcemap",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (span_equal_nocase(name, span_of(names[i])))
			return true;
	return false;
}

static struct leak_scan begin_scan(const struct leak_guard *guard, const struct leak_context *context,
				   struct span text)
{
	return (struct leak_scan){
		.terms = &guard->terms, .server = context->server, .site = context->site, .text = text};
}

/* Tells of all leaks in the text. The answer: whether there are any; *nameable: and all of them can be told in public words. */
static bool tell(const struct leak_guard *guard, const struct leak_context *context, struct span where,
		 struct span text, enum leak_done done)
{
	struct leak_scan scan = begin_scan(guard, context, text);
	struct leak leak;
	bool any = false;

	while (leak_next(&scan, &leak)) {
		context->on_leak(context->owner, where, &leak, done);
		any = true;
	}
	return any;
}

static bool has_leak(const struct leak_guard *guard, const struct leak_context *context, struct span text)
{
	struct leak_look look = leak_look_at(&guard->terms.marks, context->server);
	struct leak_scan scan = begin_scan(guard, context, text);
	struct leak leak;

	return leak_look_finds(&look, text) && leak_next(&scan, &leak);
}

static bool can_rewrite(const struct leak_guard *guard, const struct leak_context *context,
			const struct http_field *field)
{
	struct leak_scan scan = begin_scan(guard, context, field->value);
	struct leak leak;

	/* An entity tag is compared with the server's own, and tells what is different: told otherwise, it would match nothing, or another's. */
	if (grants(field->name) || span_equal_nocase(field->name, SPAN("etag")))
		return false;
	while (leak_next(&scan, &leak))
		if (!leak_has_public(&leak, context->site))
			return false;
	return true;
}

/* Once for the length (`out` NULL), once to write. */
static size_t rewrite_into(const struct leak_guard *guard, const struct leak_context *context,
			   struct span text, uint8_t *out)
{
	struct leak_scan scan = begin_scan(guard, context, text);
	struct leak_parts parts;
	struct leak leak;
	size_t done = 0, len = 0;

	for (;;) {
		bool found = leak_next(&scan, &leak);
		parts = leak_parts(text, done, found ? &leak : NULL, context->site);
		for (size_t i = 0; i < LEAK_PARTS; i++) {
			if (out && parts.part[i].len)
				memcpy(out + len, parts.part[i].at, parts.part[i].len);
			len += parts.part[i].len;
		}
		if (!found)
			return len;
		done = leak.end;
	}
}

static enum leak_verdict guard_value(const struct leak_guard *guard, struct http_field *field,
				     struct arena *arena, const struct leak_context *context)
{
	uint8_t *text;
	size_t len;

	if (guard->heads == LEAK_REWRITE && can_rewrite(guard, context, field)) {
		tell(guard, context, field->name, field->value, LEAK_REWRITTEN);
		len = rewrite_into(guard, context, field->value, NULL);
		text = arena_alloc(arena, len);
		if (!text)
			return LEAK_VERDICT_NO_MEMORY;
		rewrite_into(guard, context, field->value, text);
		field->value = span_make(text, len);
		return LEAK_VERDICT_GO_ON;
	}
	tell(guard, context, field->name, field->value, LEAK_REMOVED);
	field->dropped = true;
	return LEAK_VERDICT_GO_ON;
}

/* Something of the field gives away what is inside. */
static enum leak_verdict guard_field(const struct leak_guard *guard, struct http_field *field,
				     struct arena *arena, const struct leak_context *context)
{
	enum leak_done done = guard->heads == LEAK_REPORT ? LEAK_REPORTED :
			      guard->heads == LEAK_BLOCK  ? LEAK_BLOCKED :
							    LEAK_REMOVED;
	bool in_name = has_leak(guard, context, field->name);

	if (!in_name && done == LEAK_REMOVED)
		return guard_value(guard, field, arena, context);
	if (in_name)
		tell(guard, context, SPAN("(a field's name)"), field->name, done);
	else
		tell(guard, context, field->name, field->value, done);
	field->dropped |= done == LEAK_REMOVED;
	return done == LEAK_BLOCKED ? LEAK_VERDICT_BLOCK : LEAK_VERDICT_GO_ON;
}

bool leak_guard_suspects(const struct leak_guard *guard, const struct leak_server *server,
			 const struct http_fields *fields, struct span reason)
{
	struct leak_look look = leak_look_at(&guard->terms.marks, server);
	const struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(fields, &index))) {
		if (leak_look_finds(&look, field->value) ||
		    (field->id == HTTP_FIELD_OTHER && leak_look_finds(&look, field->name)))
			return true;
	}
	return leak_look_finds(&look, reason);
}

enum leak_verdict leak_guard_fields(const struct leak_guard *guard, struct http_fields *fields,
				    const struct leak_context *context)
{
	enum leak_verdict verdict = LEAK_VERDICT_GO_ON;
	struct http_field *field;
	uint32_t index = 0;

	while (guard->heads != LEAK_OFF && verdict == LEAK_VERDICT_GO_ON &&
	       (field = http_fields_next(fields, &index))) {
		if (has_leak(guard, context, field->value) ||
		    (field->id == HTTP_FIELD_OTHER && has_leak(guard, context, field->name)))
			verdict = guard_field(guard, field, fields->arena, context);
	}
	return verdict;
}

enum leak_verdict leak_guard_reason(const struct leak_guard *guard, struct span *reason,
				    const struct leak_context *context)
{
	enum leak_done done = guard->heads == LEAK_REPORT ? LEAK_REPORTED :
			      guard->heads == LEAK_BLOCK  ? LEAK_BLOCKED :
							    LEAK_REMOVED;

	if (guard->heads == LEAK_OFF || !has_leak(guard, context, *reason))
		return LEAK_VERDICT_GO_ON;
	tell(guard, context, SPAN("(the reason phrase)"), *reason, done);
	if (done == LEAK_REMOVED)
		*reason = (struct span){0};
	return done == LEAK_BLOCKED ? LEAK_VERDICT_BLOCK : LEAK_VERDICT_GO_ON;
}
