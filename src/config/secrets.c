/*
 * See secrets.h.
 */
#include "config/secrets.h"

#include "config/files.h"
#include "http/target.h"

static const struct span file_prefix = {(const uint8_t *)"file:", 5};

const char *secret_file_read(const struct secret_plan *plan, struct arena *arena, struct span *value)
{
	struct span text = {0};
	const char *why = files_read_named(arena, plan->base, plan->path, &text);

	return why ? why : secret_value_read(text, value);
}

/* The file is looked at before it is read, so that a change in between is seen as one. */
static void plan_value(struct secret_plan *plan, struct arena *arena, struct diagnostics *diagnostics)
{
	const struct setting_string *value = &plan->settings->value;
	struct span text = span_make(value->text, value->len);
	uint64_t node;
	const char *why;

	if (value->place.line == 0)
		return; /* it is missing, which was said */
	if (!span_starts_with(text, file_prefix)) {
		why = secret_value_read(text, &plan->value);
		if (why)
			diagnostics_error(diagnostics, value->place, "\"value\" cannot be a secret: %s", why);
		return;
	}
	plan->path = value->text + file_prefix.len;
	plan->signature = plan->base ? files_signature(plan->base, plan->path, &node) : 0;
	why = *plan->path ? secret_file_read(plan, arena, &plan->value) :
			    "a path is missing, as in file:token.txt";
	if (why)
		diagnostics_error(diagnostics, value->place, "\"value\": cannot read \"%s\": %s", plan->path,
				  why);
}

/* False: out of memory. */
static bool plan_hosts(struct secret_plan *plan, struct arena *arena, struct diagnostics *diagnostics)
{
	const struct setting_strings *hosts = &plan->settings->hosts;

	plan->hosts = arena_zalloc(arena, hosts->count + 1, sizeof(*plan->hosts));
	if (!plan->hosts)
		return false;
	for (size_t i = 0; i < hosts->count; i++) {
		const struct setting_string *host = &hosts->items[i];
		struct error error = ERROR_OK;
		if (http_authority_parse(span_make(host->text, host->len), arena,
					 &plan->hosts[plan->host_count], &error))
			plan->host_count++;
		else if (error.code == ERROR_MEMORY)
			return false;
		else if (span_find(span_make(host->text, host->len), '*') >= 0)
			diagnostics_error(
				diagnostics, host->place,
				"\"hosts\" cannot be \"%s\": a secret is for hosts that are named, without patterns",
				host->text);
		else
			diagnostics_error(
				diagnostics, host->place,
				"\"hosts\" cannot be \"%s\": expected a name or an address, as in api.shop.example or "
				"api.shop.example:8443",
				host->text);
	}
	return true;
}

bool secrets_plan(struct snapshot *snapshot, const char *base, struct diagnostics *diagnostics)
{
	const struct setting_list *list = &snapshot->settings.secrets;
	const struct secret_settings *settings = list->items;
	struct secret_plan *plans = arena_zalloc(&snapshot->arena, list->count + 1, sizeof(*plans));

	if (!plans)
		return false;
	snapshot->secrets = plans;
	snapshot->secret_count = list->count;
	for (size_t i = 0; i < list->count; i++) {
		plans[i] = (struct secret_plan){.settings = &settings[i], .base = base};
		if (!plan_hosts(&plans[i], &snapshot->arena, diagnostics))
			return false;
		plan_value(&plans[i], &snapshot->arena, diagnostics);
		if (settings[i].tls && settings[i].clear)
			diagnostics_warning(
				diagnostics, settings[i].place,
				"\"clear\" does nothing beside \"tls\": the secret \"%s\" leaves inside TLS",
				settings[i].name.text);
	}
	return true;
}

void secrets_release(struct snapshot *snapshot)
{
	for (size_t i = 0; snapshot->secrets && i < snapshot->secret_count; i++) {
		struct span value = snapshot->secrets[i].value;
		span_wipe(value);
	}
}
