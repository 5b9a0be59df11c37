/*
 * See rules.h.
 */
#include "config/rules.h"

/* Of a mapping's structs, whose first member is their name (core/setting.h). NULL: out of memory. */
static const char *const *names_of(const struct setting_list *list, size_t size, struct diagnostics *diagnostics)
{
	const char **names = arena_zalloc(diagnostics->arena, list->count + 1, sizeof(*names));

	for (size_t i = 0; names && i < list->count; i++) {
		const void *item = (const uint8_t *)list->items + i * size;
		names[i] = ((const struct setting_string *)item)->text;
	}
	return names;
}

void rules_bind(const struct snapshot *snapshot, struct snapshot_listener *listener,
		const struct forward_settings *settings, struct arena *arena, struct diagnostics *diagnostics)
{
	const struct settings *all = &snapshot->settings;
	unsigned before = diagnostics->errors;
	struct rule_context context = {
		.arena = arena,
		.diagnostics = diagnostics,
		.parents = names_of(&all->parents, sizeof(struct parent_settings), diagnostics),
		.exits = names_of(&all->exits, sizeof(struct exit_settings), diagnostics),
		.allowances = names_of(&all->allowances, sizeof(struct allowance_settings), diagnostics),
		.secrets = names_of(&all->secrets, sizeof(struct secret_settings), diagnostics),
		.lists = &snapshot->lists,
	};

	if (context.parents && context.exits && context.allowances && context.secrets)
		listener->rules = rules_compile(settings, &context);
	if (!listener->rules && diagnostics->errors == before)
		diagnostics_error(diagnostics, settings->place, "out of memory");
}
