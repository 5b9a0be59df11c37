/*
 * Tables of users. See users.h.
 */
#include "account/users.h"

#include "account/hash.h"
#include "account/settings.h"
#include "core/map.h"
#include "core/random.h"

#include <stdatomic.h>
#include <xxhash.h>

struct membership {
	struct membership *next;
	const struct user_group *group;
};

struct user_group {
	struct span name;
};

struct user {
	struct span name;
	const char *hash; /* NULL: only a member of groups */
	unsigned line;
	struct user *next; /* of those with a hash, for decoys */
	struct membership *memberships;
};

struct users {
	atomic_uint references;
	struct memory *memory;
	struct arena arena;
	struct map by_name, groups;
	struct user *first;   /* with a hash */
	struct user **decoys; /* all of them; made when the file has been read */
	size_t count;
	uint64_t seed;
};

struct users *users_new(struct memory *memory)
{
	struct users *users = memory_alloc(memory, sizeof(*users));

	if (!users)
		return NULL;
	memset(users, 0, sizeof(*users));
	users->memory = memory;
	atomic_init(&users->references, 1);
	arena_init(&users->arena, memory, NULL, NULL, 0);
	map_init(&users->by_name, memory);
	map_init(&users->groups, memory);
	random_secret(&users->seed, sizeof(users->seed));
	return users;
}

struct users *users_retain(struct users *users)
{
	atomic_fetch_add_explicit(&users->references, 1, memory_order_relaxed);
	return users;
}

void users_release(struct users *users)
{
	if (!users || atomic_fetch_sub_explicit(&users->references, 1, memory_order_acq_rel) != 1)
		return;
	map_fini(&users->by_name);
	map_fini(&users->groups);
	arena_fini(&users->arena);
	memory_free(users->memory, users, sizeof(*users));
}

/* ---- lines ---- */

static bool out_of_memory(struct diagnostics *diagnostics)
{
	diagnostics_error(diagnostics, (struct setting_place){0, 0}, "out of memory");
	return false;
}

/* The next line that says something. False: there is none. */
static bool line_next(struct span *rest, struct span *line, unsigned *number)
{
	while (rest->len > 0) {
		span_cut(*rest, '\n', line, rest);
		(*number)++;
		if (line->len > 0 && line->at[line->len - 1] == '\r')
			line->len--;
		struct span said = span_trim(*line);
		if (said.len > 0 && said.at[0] != '#')
			return true;
	}
	return false;
}

/* Who is called so; made if need be. NULL: out of memory. */
static struct user *user_called(struct users *users, struct span name)
{
	struct user *user = map_get(&users->by_name, name);

	if (user)
		return user;
	user = arena_zalloc(&users->arena, 1, sizeof(*user));
	if (!user)
		return NULL;
	user->name = arena_copy(&users->arena, name);
	return user->name.at && map_put(&users->by_name, user->name, user) ? user : NULL;
}

/* ---- names and hashes ---- */

static const char *line_check(struct span name, struct span hash, bool parted, bool *in_hash)
{
	const char *why;

	*in_hash = false;
	if (!parted)
		return "a line is \"name:hash\", as \"htpasswd -B\" writes it";
	why = user_check_name((const char *)name.at, name.len);
	if (why)
		return why;
	*in_hash = true;
	return hash_check(hash);
}

static bool add_user(struct users *users, struct span line, unsigned number, struct diagnostics *diagnostics)
{
	struct span name, rest, hash, comment;
	bool in_hash, parted = span_cut(line, ':', &name, &rest);

	span_cut(rest, ':', &hash, &comment); /* what some write behind it is theirs */
	hash = span_trim(hash);
	const char *why = line_check(name, hash, parted, &in_hash);
	struct setting_place place = {number, in_hash ? (unsigned)name.len + 2 : 1};
	if (why) {
		diagnostics_error(diagnostics, place, "%s", why);
		return true;
	}
	struct user *user = user_called(users, name);
	if (!user)
		return false;
	if (user->hash) {
		diagnostics_error(diagnostics, place, "this user is on line %u already", user->line);
		return true;
	}
	user->hash = (const char *)arena_format(&users->arena, "%.*s", SPAN_ARG(hash)).at;
	user->line = number;
	user->next = users->first;
	users->first = user;
	users->count++;
	return user->hash != NULL;
}

static bool list_decoys(struct users *users)
{
	size_t i = 0;

	users->decoys = arena_zalloc(&users->arena, users->count + 1, sizeof(*users->decoys));
	for (struct user *user = users->first; users->decoys && user; user = user->next)
		users->decoys[i++] = user;
	return users->decoys != NULL;
}

bool users_add(struct users *users, struct span text, struct diagnostics *diagnostics)
{
	unsigned before = diagnostics->errors, number = 0;
	struct span line;

	while (line_next(&text, &line, &number))
		if (!add_user(users, line, number, diagnostics))
			return out_of_memory(diagnostics);
	if (!list_decoys(users))
		return out_of_memory(diagnostics);
	return diagnostics->errors == before;
}

/* ---- groups ---- */

static struct user_group *group_called(struct users *users, struct span name)
{
	struct user_group *group = map_get(&users->groups, name);

	if (group)
		return group;
	group = arena_zalloc(&users->arena, 1, sizeof(*group));
	if (!group)
		return NULL;
	group->name = arena_copy(&users->arena, name);
	return group->name.at && map_put(&users->groups, group->name, group) ? group : NULL;
}

static bool is_member(const struct user *user, const struct user_group *group)
{
	for (const struct membership *one = user->memberships; one; one = one->next)
		if (one->group == group)
			return true;
	return false;
}

static bool add_member(struct users *users, const struct user_group *group, struct span name)
{
	struct user *user = user_called(users, name);

	if (!user)
		return false;
	if (is_member(user, group))
		return true;
	struct membership *membership = arena_alloc(&users->arena, sizeof(*membership));
	if (!membership)
		return false;
	*membership = (struct membership){.next = user->memberships, .group = group};
	user->memberships = membership;
	return true;
}

/* The next word; what parts words are spaces and tabs. */
static bool word_next(struct span *rest, struct span *word)
{
	size_t len = 0;

	*rest = span_trim(*rest);
	while (len < rest->len && rest->at[len] != ' ' && rest->at[len] != '\t')
		len++;
	*word = span_first(*rest, len);
	*rest = span_from(*rest, len);
	return len > 0;
}

static bool add_group(struct users *users, struct span line, unsigned number, struct diagnostics *diagnostics)
{
	struct span name, members, member;
	bool parted = span_cut(line, ':', &name, &members);
	struct setting_place place = {number, 1};
	const char *why = NULL;

	name = span_trim(name);
	if (!parted)
		why = "a line is \"group: user user\"";
	else if (name.len == 0)
		why = "the name of a group is empty";
	else
		why = user_check_name((const char *)name.at, name.len) ? "this is no name of a group" : NULL;
	if (why) {
		diagnostics_error(diagnostics, place, "%s", why);
		return true;
	}
	const struct user_group *group = group_called(users, name);
	if (!group)
		return false;
	while (word_next(&members, &member)) {
		why = user_check_name((const char *)member.at, member.len);
		place.column = (unsigned)(member.at - line.at) + 1;
		if (why)
			diagnostics_error(diagnostics, place, "%s", why);
		else if (!add_member(users, group, member))
			return false;
	}
	return true;
}

bool users_add_groups(struct users *users, struct span text, struct diagnostics *diagnostics)
{
	unsigned before = diagnostics->errors, number = 0;
	struct span line;

	while (line_next(&text, &line, &number))
		if (!add_group(users, line, number, diagnostics))
			return out_of_memory(diagnostics);
	return diagnostics->errors == before;
}

/* ---- asking ---- */

size_t users_count(const struct users *users)
{
	return users->count;
}

const char *users_hash(const struct users *users, struct span name)
{
	const struct user *user = map_get(&users->by_name, name);

	return user ? user->hash : NULL;
}

const char *users_decoy(const struct users *users, struct span name)
{
	if (users->count == 0)
		return NULL;
	return users->decoys[XXH3_64bits_withSeed(name.at, name.len, users->seed) % users->count]->hash;
}

bool users_in_group(const struct users *users, struct span name, struct span group)
{
	const struct user *user = name.len ? map_get(&users->by_name, name) : NULL;
	const struct user_group *found = user && user->memberships ? map_get(&users->groups, group) : NULL;

	return found && is_member(user, found);
}
