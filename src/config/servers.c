/*
 * Reading lists of servers from files. See servers.h.
 */
#include "config/servers.h"

#include "config/bind.h"
#include "config/files.h"

static const struct setting list_row = {
	.key = "servers",
	.kind = SETTING_LIST,
	.rows = server_rows,
	.item_size = sizeof(struct upstream_server_settings),
	.place_offset = offsetof(struct upstream_server_settings, place),
	.shorthand = "address",
};

static const struct setting_place nowhere = {0, 0};

bool servers_parse(struct span text, struct arena *arena, struct diagnostics *diagnostics,
		   struct setting_list *servers)
{
	struct bind bind = {.arena = arena, .diagnostics = diagnostics};
	unsigned before = diagnostics->errors;
	const struct node *root = node_parse(arena, text, diagnostics);

	*servers = (struct setting_list){0};
	if (!root) {
		if (diagnostics->errors == before)
			diagnostics_error(diagnostics, nowhere, "out of memory");
		return false;
	}
	/* What is empty is being written; a list of no server is written []. */
	if (root->kind != NODE_LIST)
		diagnostics_error(diagnostics, root->place, "this is no list of servers, but %s",
				  root->kind == NODE_MAPPING && root->count == 0 ? "nothing" :
										   node_kind_name(root));
	else if (root->count > SERVERS_MOST)
		diagnostics_error(diagnostics, root->place, "there are more than %d servers", SERVERS_MOST);
	else
		bind_setting(&bind, &list_row, servers, root);
	if (bind.out_of_memory)
		diagnostics_error(diagnostics, nowhere, "out of memory");
	return diagnostics->errors == before;
}

void servers_check(const struct upstream_settings *settings, const struct setting_list *servers,
		   struct diagnostics *diagnostics)
{
	const struct upstream_server_settings *items = servers->items;
	bool named = settings->tls.place.line == 0 || !settings->tls.verify || settings->tls.name.len;

	/* A certificate is for a name, and the path of a socket is none. */
	for (size_t i = 0; i < servers->count && !named; i++)
		if (span_starts_with(span_make(items[i].address.text, items[i].address.len), SPAN("unix:")))
			diagnostics_error(
				diagnostics, items[i].address.place,
				"a certificate cannot be for a unix socket: say \"name\" in \"tls\" of the group");
}

bool servers_read(const struct upstream_plan *plan, struct arena *arena, struct diagnostics *diagnostics,
		  struct setting_list *servers)
{
	const struct setting_string *file = &plan->settings->file;
	const char *configuration = diagnostics->file;
	unsigned before = diagnostics->errors;
	struct span text;
	const char *why = files_read_named(arena, plan->base, file->text, &text);

	*servers = (struct setting_list){0};
	if (!why && text.len > SERVERS_FILE_MOST)
		why = "it is larger than 4 MiB";
	if (why) {
		diagnostics_error(diagnostics, file->place, "cannot read the servers of %s: %s", file->text,
				  why);
		return false;
	}
	const char *path = files_path(arena, plan->base, file->text);
	diagnostics->file = (const char *)arena_format(diagnostics->arena, "%s", path ? path : file->text).at;
	if (servers_parse(text, arena, diagnostics, servers))
		servers_check(plan->settings, servers, diagnostics);
	diagnostics->file = configuration;
	return diagnostics->errors == before;
}

uint64_t servers_signature(const struct upstream_plan *plan, uint64_t *node)
{
	return files_signature(plan->base, plan->settings->file.text, node);
}
