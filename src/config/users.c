/*
 * From the settings of users to plans of accounts. See users.h.
 */
#include "config/users.h"

#include "config/files.h"

#include <xxhash.h>

/* ---- files ---- */

typedef bool users_add_fn(struct users *users, struct span text, struct diagnostics *diagnostics);

static bool read_one(const struct accounts_plan *plan, const struct setting_string *file, users_add_fn *add,
		     struct users *users, struct diagnostics *diagnostics)
{
	const char *configuration = diagnostics->file;
	struct arena arena;
	struct span text = {0};
	bool good = false;

	arena_init(&arena, diagnostics->arena->memory, NULL, NULL, 0);
	const char *why = files_read_named(&arena, plan->base, file->text, &text);
	if (why) {
		diagnostics_error(diagnostics, file->place, "cannot read the users of %s: %s", file->text, why);
	} else {
		const char *path = files_path(&arena, plan->base, file->text);
		diagnostics->file =
			(const char *)arena_format(diagnostics->arena, "%s", path ? path : file->text).at;
		good = add(users, text, diagnostics);
		diagnostics->file = configuration;
		span_wipe(text); /* hashes of passwords */
	}
	arena_fini(&arena);
	return good;
}

struct users *users_read(const struct accounts_plan *plan, struct memory *memory,
			 struct diagnostics *diagnostics)
{
	static const struct setting_place nowhere = {0, 0};
	const struct users_settings *settings = plan->settings;
	struct users *users = users_new(memory);

	if (!users) {
		diagnostics_error(diagnostics, nowhere, "out of memory");
		return NULL;
	}
	bool good = settings->file.len == 0 || read_one(plan, &settings->file, users_add, users, diagnostics);
	if (settings->groups.len && !read_one(plan, &settings->groups, users_add_groups, users, diagnostics))
		good = false;
	if (good)
		return users;
	users_release(users);
	return NULL;
}

uint64_t users_signature(const struct accounts_plan *plan, uint64_t *node)
{
	const struct setting_string *const files[] = {&plan->settings->file, &plan->settings->groups};
	uint64_t signatures[ARRAY_LENGTH(files)] = {0}, nodes[ARRAY_LENGTH(files)] = {0};

	*node = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		if (files[i]->len == 0)
			continue;
		signatures[i] = files_signature(plan->base, files[i]->text, &nodes[i]);
		if (signatures[i] == 0)
			return 0;
	}
	*node = XXH3_64bits(nodes, sizeof(nodes));
	return XXH3_64bits(signatures, sizeof(signatures)) | 1;
}

/* ---- settings ---- */

/* Certificates that nobody asks for name nobody; without any way to be somebody there is no user. */
static void check_ways(const struct snapshot_listener *listener, const struct users_settings *settings,
		       struct diagnostics *diagnostics)
{
	/* RFC 9110 15.5.8: 407 is for who knows of the proxy. */
	if (settings->file.len && listener->intercept != INTERCEPT_OFF)
		diagnostics_error(
			diagnostics, settings->file.place,
			"clients that are intercepted know of no proxy and cannot be asked for a password: \"users\" with "
			"\"intercept\" takes \"networks\" alone");
	bool asks = listener->tls && listener->tls->settings->clients.verify != TLS_CLIENT_NONE;

	if (settings->certificates && !asks)
		diagnostics_error(
			diagnostics, settings->certificates_place,
			"\"certificates\" needs certificates: \"tls\" of this listener with \"clients: {verify: optional, ca: FILE}\"");
	if (settings->file.len == 0 && settings->networks.count == 0 && !settings->certificates)
		diagnostics_error(
			diagnostics, settings->place,
			"\"users\" lets nobody in: it takes a \"file\" with passwords, \"networks\" or \"certificates\"");
}

static bool plan_users(struct snapshot *snapshot, struct snapshot_listener *listener, const char *base,
		       const struct users_settings *settings, struct diagnostics *diagnostics)
{
	struct accounts_plan *plan = arena_zalloc(&snapshot->arena, 1, sizeof(*plan));
	uint64_t node;

	if (!plan)
		return false;
	plan->settings = settings;
	plan->base = base;
	if (!accounts_plan_networks(plan, &snapshot->arena, diagnostics))
		return false;
	/* Looked at before they are read, so that a change in between is seen as one. */
	plan->signature = users_signature(plan, &node);
	plan->users = users_read(plan, snapshot->arena.memory, diagnostics);
	listener->users = plan;
	return true;
}

void users_bind(struct snapshot *snapshot, struct snapshot_listener *listener, const char *base,
		struct diagnostics *diagnostics)
{
	const struct forward_settings *forward = snapshot->settings.forward.items;
	const struct users_settings *settings = &forward[listener->index].users;

	if (settings->place.line == 0)
		return;
	check_ways(listener, settings, diagnostics);
	if (!plan_users(snapshot, listener, base, settings, diagnostics))
		diagnostics_error(diagnostics, settings->place, "out of memory");
}

void users_unbind(struct snapshot_listener *listener)
{
	if (listener->users)
		users_release(listener->users->users);
}
