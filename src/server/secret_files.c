/*
 * The files with secrets: looked at every second and read here on the main thread, since reading waits for the disk; requests have the new value from then on. A
 * file that is put in the place of another counts at once; one that is written in place when it has stayed as it is from one look to the next, so
 * that half of it is not taken for all.
 */
#include "server/server_internal.h"

#include "config/files.h"
#include "config/secrets.h"

/* What is known of the file of one secret. */
struct secret_file {
	size_t index;
	const struct secret_plan *plan;
	uint64_t loaded, node; /* signatures of what is in use; of which file it is */
	uint64_t seen;         /* signature at the last look */
	uint64_t failed;       /* signature of what could not be used, and was complained about; 0: none */
	bool missing;          /* complained about */
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
		files->files[files->count++] = (struct secret_file){
			.index = i,
			.plan = plan,
			.loaded = plan->signature,
			.node = now == plan->signature ? node : 0,
			.seen = plan->signature,
		};
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

/* False: it was said why not. */
static bool file_read(struct server *server, const struct secret_file *file)
{
	const char *name = file->plan->settings->name.text, *path = file->plan->path;
	struct span value = {0};
	struct arena arena;

	arena_init(&arena, &server->memory, NULL, NULL, 0);
	const char *why = secret_file_read(file->plan, &arena, &value);
	if (!why && !secrets_replace(server->secrets, file->index, value))
		why = "out of memory";
	if (value.len)
		explicit_bzero((void *)(uintptr_t)value.at, value.len);
	if (why)
		log_say(server->ring, LOG_ERROR, "secret \"%s\": %s: %s: the old value stays in use", name,
			path, why);
	else
		log_say(server->ring, LOG_INFO, "secret \"%s\": %s has changed", name, path);
	arena_fini(&arena);
	return !why;
}

static void file_look(struct server *server, struct secret_file *file)
{
	uint64_t node, after, signature = files_signature(file->plan->base, file->plan->path, &node);
	bool settled = signature == file->seen || (node && node != file->node);

	file->seen = signature;
	if (signature == 0 && settled && !file->missing)
		log_say(server->ring, LOG_ERROR, "secret \"%s\": %s is not there: the old value stays in use",
			file->plan->settings->name.text, file->plan->path);
	file->missing = signature == 0 && settled;
	if (signature == 0 || signature == file->loaded || signature == file->failed || !settled)
		return;
	bool taken = file_read(server, file);
	if (files_signature(file->plan->base, file->plan->path, &after) != signature)
		return; /* it was changed meanwhile: the next look sees to that */
	file->node = node;
	if (taken)
		file->loaded = signature;
	file->failed = taken ? 0 : signature;
}

void secret_files_look(struct server *server)
{
	for (size_t i = 0; i < server->secret_files->count; i++)
		file_look(server, &server->secret_files->files[i]);
}
