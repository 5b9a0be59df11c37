/*
 * The files with secrets: looked at every second and read here on the main thread, since reading waits for the disk; requests have the new value from
 * then on.
 */
#include "server/server_internal.h"

#include "config/files.h"
#include "config/secrets.h"
#include "server/watched_file.h"

/* What is known of the file of one secret. */
struct secret_file {
	size_t index;
	const struct secret_plan *plan;
	struct watched_file file;
};

struct secret_files {
	size_t count;
	struct secret_file files[];
};

bool secret_files_init(struct server *server)
{
	const struct snapshot *snapshot = server->snapshot;
	struct secret_files *files = arena_zalloc(
		&server->arena, 1, sizeof(*files) + snapshot->secret_count * sizeof(files->files[0]));

	server->secret_files = files;
	if (!files)
		return false;
	for (size_t i = 0; i < snapshot->secret_count; i++) {
		const struct secret_plan *plan = &snapshot->secrets[i];
		uint64_t node;
		if (!plan->path)
			continue;
		uint64_t now = files_signature(plan->base, plan->path, &node);
		struct secret_file *file = &files->files[files->count++];
		file->index = i;
		file->plan = plan;
		watched_file_init(&file->file, plan->signature, now, node);
	}
	if (snapshot->secret_count == 0)
		return true;
	server->secrets = secrets_new(&server->memory, snapshot->secrets, snapshot->secret_count);
	return server->secrets != NULL;
}

bool secret_files_watched(const struct server *server)
{
	return server->secret_files->count > 0;
}

/* ---- a changed one ---- */

static enum watched_result file_read(struct server *server, const struct secret_file *file)
{
	const char *name = file->plan->settings->name.text, *path = file->plan->path;
	struct span value = {0};
	struct arena arena;

	arena_init(&arena, &server->memory, NULL, NULL, 0);
	const char *why = secret_file_read(file->plan, &arena, &value);
	if (!why && !secrets_replace(server->secrets, file->index, value))
		why = "out of memory";
	span_wipe(value);
	if (why)
		log_say(server->ring, LOG_ERROR, "secret \"%s\": %s: %s: the old value stays in use", name,
			path, why);
	else
		log_say(server->ring, LOG_INFO, "secret \"%s\": %s has changed", name, path);
	arena_fini(&arena);
	return why ? WATCHED_MISTAKEN : WATCHED_TAKEN;
}

static void file_look(struct server *server, struct secret_file *file)
{
	const struct secret_plan *plan = file->plan;
	uint64_t node, other, signature = files_signature(plan->base, plan->path, &node);

	switch (watched_file_look(&file->file, signature, node)) {
	case WATCHED_SAME:
		return;
	case WATCHED_GONE:
		log_say(server->ring, LOG_ERROR, "secret \"%s\": %s is not there: the old value stays in use",
			plan->settings->name.text, plan->path);
		return;
	case WATCHED_CHANGED:
		break;
	}
	enum watched_result result = file_read(server, file);
	uint64_t after = files_signature(plan->base, plan->path, &other);
	watched_file_done(&file->file, signature, node, after, result);
}

void secret_files_look(struct server *server)
{
	for (size_t i = 0; i < server->secret_files->count; i++)
		file_look(server, &server->secret_files->files[i]);
}
