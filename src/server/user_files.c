/*
 * The accounts of listeners, and the files that they come from: looked at every second, read here on the main thread, since reading waits for the
 * disk. New users take the place of the old ones at once.
 */
#include "server/server_internal.h"

#include "config/users.h"
#include "server/outdated.h"
#include "server/watched_file.h"

/* What is known of the files of one listener. */
struct user_files_watch {
	const struct snapshot_listener *origin;
	struct accounts *accounts;
	struct watched_file files; /* as if they were one */
};

struct user_files {
	struct brake *brake; /* the process's; NULL: nobody has to log in */
	size_t count;
	struct user_files_watch watches[];
};

/* ---- life ---- */

bool user_files_init(struct server *server)
{
	const struct snapshot *snapshot = server->snapshot;
	struct user_files *files = arena_zalloc(
		&server->arena, 1, sizeof(*files) + snapshot->listener_count * sizeof(files->watches[0]));

	server->users = files;
	if (!files)
		return false;
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct snapshot_listener *origin = &snapshot->listeners[i];
		uint64_t node;
		if (!origin->users)
			continue;
		if (!files->brake)
			files->brake = brake_new(&server->memory);
		if (!files->brake)
			return false;
		uint64_t now = users_signature(origin->users, &node);
		struct accounts *accounts = accounts_new(&server->memory, origin->users, files->brake);
		if (!accounts)
			return false;
		struct user_files_watch *watch = &files->watches[files->count++];
		watch->origin = origin;
		watch->accounts = accounts;
		watched_file_init(&watch->files, origin->users->signature, now, node);
	}
	return true;
}

struct accounts *user_files_accounts(const struct server *server, const struct snapshot_listener *origin)
{
	for (size_t i = 0; i < server->users->count; i++)
		if (server->users->watches[i].origin == origin)
			return server->users->watches[i].accounts;
	return NULL;
}

bool user_files_start(struct server *server)
{
	for (size_t i = 0; i < server->users->count; i++)
		if (!accounts_start(server->users->watches[i].accounts))
			return false;
	return true;
}

void user_files_stop(struct server *server)
{
	for (size_t i = 0; server->users && i < server->users->count; i++)
		accounts_stop(server->users->watches[i].accounts);
}

void user_files_fini(struct server *server)
{
	if (!server->users)
		return;
	for (size_t i = 0; i < server->users->count; i++)
		accounts_free(server->users->watches[i].accounts);
	brake_free(server->users->brake);
	server->users = NULL;
}

bool user_files_watched(const struct server *server)
{
	for (size_t i = 0; i < server->users->count; i++) {
		const struct users_settings *settings = server->users->watches[i].origin->users->settings;
		if (settings->file.len || settings->groups.len)
			return true;
	}
	return false;
}

/* ---- new users ---- */

static void users_free(void *users)
{
	users_release(users);
}

/* Takes the users over. False: out of memory, and nothing has changed. */
static bool users_publish(struct server *server, struct accounts *accounts, struct users *users)
{
	struct outdated *outdated = outdated_new(server);

	if (outdated)
		outdated_add(server, outdated, accounts_replace(accounts, users), users_free);
	return outdated != NULL;
}

/* ---- looking ---- */

static enum watched_result files_take(struct server *server, const struct user_files_watch *watch)
{
	const struct accounts_plan *plan = watch->origin->users;
	struct diagnostics diagnostics;
	struct arena arena;
	enum watched_result result = WATCHED_TAKEN;

	arena_init(&arena, &server->memory, NULL, NULL, 0);
	diagnostics_init(&diagnostics, &arena, NULL);
	struct users *users = users_read(plan, &server->memory, &diagnostics);
	size_t count = users ? users_count(users) : 0;
	if (!users) {
		file_complain(server, &diagnostics, "users", "ones");
		result = WATCHED_MISTAKEN;
	} else if (!users_publish(server, watch->accounts, users)) {
		users_release(users);
		result = WATCHED_NO_MEMORY;
	} else {
		log_say(server->ring, LOG_INFO, "users of %s[%u] have changed: there are %zu with a password",
			server_face_name(watch->origin->face), watch->origin->index, count);
	}
	arena_fini(&arena);
	return result;
}

static void watch_look(struct server *server, struct user_files_watch *watch)
{
	const struct accounts_plan *plan = watch->origin->users;
	uint64_t node, other, signature = users_signature(plan, &node);

	switch (watched_file_look(&watch->files, signature, node)) {
	case WATCHED_SAME:
		return;
	case WATCHED_GONE:
		log_say(server->ring, LOG_ERROR,
			"users of %s[%u]: a file is not there: the old ones stay in use",
			server_face_name(watch->origin->face), watch->origin->index);
		return;
	case WATCHED_CHANGED:
		break;
	}
	enum watched_result result = files_take(server, watch);
	uint64_t after = users_signature(plan, &other);
	watched_file_done(&watch->files, signature, node, after, result);
}

void user_files_look(struct server *server)
{
	for (size_t i = 0; i < server->users->count; i++) {
		const struct users_settings *settings = server->users->watches[i].origin->users->settings;
		if (settings->file.len || settings->groups.len)
			watch_look(server, &server->users->watches[i]);
	}
}
