/*
 * The files with servers of groups: looked at every second, read here on the main thread, since reading waits for the disk, and given to discovery on the
 * control thread by letter. A file that is put in the place of another counts at once; one that is written in place when it has stayed as it is
 * from one look to the next, so that half of it is not taken for all.
 */
#include "server/server_internal.h"

#include "config/servers.h"
#include "server/control.h"
#include "upstream/discovery.h"

/* What is known of the file of one group. */
struct server_file {
	size_t group;
	const struct upstream_plan *plan;
	uint64_t loaded, node; /* signatures of what is in use; of which file it is */
	uint64_t seen;         /* signature at the last look */
	uint64_t failed;       /* signature of what could not be used, and was complained about; 0: none */
	bool missing;          /* complained about */
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
		server->files->files[server->files->count++] = (struct server_file){
			.group = i,
			.plan = plan,
			.loaded = plan->file_signature,
			.node = now == plan->file_signature ? node : 0,
			.seen = plan->file_signature,
		};
	}
	return true;
}

bool server_files_watched(const struct server *server)
{
	return server->files->count > 0;
}

/* ---- a changed one ---- */

static void file_complain(const struct server *server, const struct server_file *file,
			  const struct diagnostics *diagnostics)
{
	const struct diagnostic *first = diagnostics->first;
	const char *group = file->plan->settings->name.text;

	while (first && first->warning)
		first = first->next;
	if (!first)
		log_say(server->ring, LOG_ERROR,
			"upstream \"%s\": %s: out of memory: the old servers stay in use", group,
			file->plan->settings->file.text);
	else if (first->place.line == 0 || !first->file)
		log_say(server->ring, LOG_ERROR, "upstream \"%s\": %s: the old servers stay in use", group,
			first->text);
	else
		log_say(server->ring, LOG_ERROR, "upstream \"%s\": %s:%u:%u: %s%s: the old servers stay in use",
			group, first->file, first->place.line, first->place.column, first->text,
			diagnostics->errors > 1 ? " (and more)" : "");
}

enum file_result { FILE_TAKEN, FILE_MISTAKEN /* which was said */, FILE_NO_MEMORY };

static enum file_result file_read(struct server *server, struct server_file *file)
{
	struct discovery_list *list = discovery_list_new(&server->memory);
	struct diagnostics diagnostics;
	struct arena arena;

	enum file_result result = FILE_TAKEN;

	if (!list)
		return FILE_NO_MEMORY;
	arena_init(&arena, &server->memory, NULL, NULL, 0);
	diagnostics_init(&diagnostics, &arena, NULL);
	bool good = servers_read(file->plan, &list->arena, &diagnostics, &list->servers);
	size_t count = list->servers.count;
	if (!good) {
		file_complain(server, file, &diagnostics);
		discovery_list_free(list);
		result = FILE_MISTAKEN;
	} else if (!control_replace_servers(server->control, file->group, list)) {
		result = FILE_NO_MEMORY;
	} else {
		log_say(server->ring, LOG_INFO, "upstream \"%s\": %s has changed: %zu servers",
			file->plan->settings->name.text, file->plan->settings->file.text, count);
	}
	arena_fini(&arena);
	return result;
}

static void file_look(struct server *server, struct server_file *file)
{
	uint64_t node, after, signature = servers_signature(file->plan, &node);
	bool settled = signature == file->seen || (node && node != file->node);

	file->seen = signature;
	if (signature == 0 && settled && !file->missing)
		log_say(server->ring, LOG_ERROR,
			"upstream \"%s\": %s is not there: the old servers stay in use",
			file->plan->settings->name.text, file->plan->settings->file.text);
	file->missing = signature == 0 && settled;
	if (signature == 0 || signature == file->loaded || signature == file->failed || !settled)
		return;
	enum file_result result = file_read(server, file);
	if (servers_signature(file->plan, &after) != signature)
		return; /* it was changed meanwhile: the next look sees to that */
	file->node = node;
	if (result == FILE_TAKEN)
		file->loaded = signature;
	file->failed = result == FILE_MISTAKEN ? signature : 0;
}

void server_files_look(struct server *server)
{
	for (size_t i = 0; i < server->files->count; i++)
		file_look(server, &server->files->files[i]);
}
