/*
 * The files with servers of groups: looked at every second, read here on the main thread, since reading waits for the disk, and given to discovery on the
 * control thread by letter.
 */
#include "server/server_internal.h"

#include "config/servers.h"
#include "server/control.h"
#include "server/watched_file.h"
#include "upstream/discovery.h"

/* What is known of the file of one group. */
struct server_file {
	size_t group;
	const struct upstream_plan *plan;
	struct watched_file file;
};

struct server_files {
	size_t count;
	struct server_file files[];
};

bool server_files_init(struct server *server)
{
	const struct snapshot *snapshot = server->snapshot;
	size_t count = 0;

	for (size_t i = 0; i < snapshot->upstream_count; i++)
		count += snapshot->plans[i].settings->file.len > 0;
	server->files =
		arena_zalloc(&server->arena, 1, sizeof(*server->files) + count * sizeof(struct server_file));
	if (!server->files)
		return false;
	for (size_t i = 0; i < snapshot->upstream_count; i++) {
		const struct upstream_plan *plan = &snapshot->plans[i];
		uint64_t node;
		if (plan->settings->file.len == 0)
			continue;
		uint64_t now = servers_signature(plan, &node);
		struct server_file *file = &server->files->files[server->files->count++];
		file->group = i;
		file->plan = plan;
		watched_file_init(&file->file, plan->file_signature, now, node);
	}
	return true;
}

bool server_files_watched(const struct server *server)
{
	return server->files->count > 0;
}

/* ---- a changed one ---- */

static enum watched_result file_read(struct server *server, const struct server_file *file)
{
	struct discovery_list *list = discovery_list_new(&server->memory);
	struct diagnostics diagnostics;
	struct arena arena;
	enum watched_result result = WATCHED_TAKEN;

	if (!list)
		return WATCHED_NO_MEMORY;
	arena_init(&arena, &server->memory, NULL, NULL, 0);
	diagnostics_init(&diagnostics, &arena, NULL);
	bool good = servers_read(file->plan, &list->arena, &diagnostics, &list->servers);
	size_t count = list->servers.count;
	if (!good) {
		const char *whose =
			(const char *)arena_format(&arena, "upstream \"%s\"", file->plan->settings->name.text).at;
		file_complain(server, &diagnostics, whose ? whose : "upstream", "servers");
		discovery_list_free(list);
		result = WATCHED_MISTAKEN;
	} else if (!control_replace_servers(server->control, file->group, list)) {
		result = WATCHED_NO_MEMORY;
	} else {
		log_say(server->ring, LOG_INFO, "upstream \"%s\": %s has changed: %zu servers",
			file->plan->settings->name.text, file->plan->settings->file.text, count);
	}
	arena_fini(&arena);
	return result;
}

static void file_look(struct server *server, struct server_file *file)
{
	uint64_t node, other, signature = servers_signature(file->plan, &node);

	switch (watched_file_look(&file->file, signature, node)) {
	case WATCHED_SAME:
		return;
	case WATCHED_GONE:
		log_say(server->ring, LOG_ERROR,
			"upstream \"%s\": %s is not there: the old servers stay in use",
			file->plan->settings->name.text, file->plan->settings->file.text);
		return;
	case WATCHED_CHANGED:
		break;
	}
	enum watched_result result = file_read(server, file);
	uint64_t after = servers_signature(file->plan, &other);
	watched_file_done(&file->file, signature, node, after, result);
}

void server_files_look(struct server *server)
{
	for (size_t i = 0; i < server->files->count; i++)
		file_look(server, &server->files->files[i]);
}
