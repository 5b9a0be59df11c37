/*
 * How routes are found: by hash of the host, and there by hash of the path and of its prefixes. Built with a
 * snapshot, then only read, on any thread.
 */
#include "route/router_internal.h"

#include "net/address.h"

static void group_init(struct host_group *group, struct arena *arena)
{
	*group = (struct host_group){.next = NULL};
	map_init(&group->exact, arena->memory);
	map_init(&group->prefixes, arena->memory);
}

static void group_fini(struct host_group *group)
{
	map_fini(&group->exact);
	map_fini(&group->prefixes);
}

void route_index_init(struct route_index *index, struct arena *arena)
{
	*index = (struct route_index){.arena = arena};
	map_init(&index->exact, arena->memory);
	map_init(&index->below, arena->memory);
	group_init(&index->any, arena);
}

void route_index_fini(struct route_index *index)
{
	for (struct host_group *group = index->groups; group; group = group->next)
		group_fini(group);
	group_fini(&index->any);
	map_fini(&index->exact);
	map_fini(&index->below);
}

/* Room for one more in an array that lives in an arena; NULL: out of memory. */
static void *grow(struct arena *arena, void *items, size_t count, size_t *capacity, size_t size)
{
	size_t wanted = *capacity ? *capacity * 2 : 4;
	void *larger;

	if (count < *capacity)
		return items;
	larger = arena_zalloc(arena, wanted, size);
	if (!larger)
		return NULL;
	if (count > 0)
		memcpy(larger, items, count * size);
	*capacity = wanted;
	return larger;
}

static bool list_append(struct arena *arena, struct position_list *list, uint32_t position)
{
	uint32_t *items;

	if (list->count > 0 && list->items[list->count - 1] == position)
		return true;
	items = grow(arena, list->items, list->count, &list->capacity, sizeof(*items));
	if (!items)
		return false;
	list->items = items;
	list->items[list->count++] = position;
	return true;
}

static bool map_append(struct arena *arena, struct map *map, struct span key, uint32_t position)
{
	struct position_list *list = map_get(map, key);

	if (!list) {
		list = arena_zalloc(arena, 1, sizeof(*list));
		if (!list || !map_put(map, key, list))
			return false;
	}
	return list_append(arena, list, position);
}

/* Notes a length of prefixes; the lengths are kept ascending. */
static bool note_length(struct arena *arena, struct host_group *group, struct span prefix)
{
	bool slash = prefix.len > 0 && prefix.at[prefix.len - 1] == '/';
	struct prefix_length *lengths;
	size_t at = 0;

	while (at < group->length_count && group->lengths[at].length < prefix.len)
		at++;
	if (at < group->length_count && group->lengths[at].length == prefix.len) {
		group->lengths[at].slash = group->lengths[at].slash && slash;
		return true;
	}
	lengths = grow(arena, group->lengths, group->length_count, &group->length_capacity, sizeof(*lengths));
	if (!lengths)
		return false;
	group->lengths = lengths;
	memmove(lengths + at + 1, lengths + at, (group->length_count - at) * sizeof(*lengths));
	lengths[at] = (struct prefix_length){.length = prefix.len, .slash = slash};
	group->length_count++;
	return true;
}

static bool group_add(struct arena *arena, struct host_group *group, const struct conditions *conditions,
		      uint32_t position)
{
	if (conditions->path_count == 0)
		return list_append(arena, &group->open, position);
	for (size_t i = 0; i < conditions->path_count; i++) {
		const struct path_condition *path = &conditions->paths[i];
		bool added = false;

		switch (path->kind) {
		case PATH_EXACT:
			added = map_append(arena, &group->exact, path->text, position);
			break;
		case PATH_PREFIX:
			added = note_length(arena, group, path->text) &&
				map_append(arena, &group->prefixes, path->text, position);
			break;
		case PATH_PATTERN:
			added = list_append(arena, &group->open, position);
			break;
		}
		if (!added)
			return false;
	}
	return true;
}

static bool host_add(struct route_index *index, struct map *map, struct span name,
		     const struct conditions *conditions, uint32_t position)
{
	struct host_group *group = map_get(map, name);

	if (!group) {
		group = arena_alloc(index->arena, sizeof(*group));
		if (!group)
			return false;
		group_init(group, index->arena);
		group->next = index->groups;
		index->groups = group;
		if (!map_put(map, name, group))
			return false;
	}
	return group_add(index->arena, group, conditions, position);
}

bool route_index_add(struct route_index *index, const struct conditions *conditions, uint32_t position)
{
	if (conditions->host_count == 0)
		return group_add(index->arena, &index->any, conditions, position);
	for (size_t i = 0; i < conditions->host_count; i++) {
		const struct domain_pattern *host = &conditions->hosts[i];

		if ((host->reach & DOMAIN_EXACT) &&
		    !host_add(index, &index->exact, host->name, conditions, position))
			return false;
		if ((host->reach & DOMAIN_BELOW) &&
		    !host_add(index, &index->below, host->name, conditions, position))
			return false;
	}
	return true;
}

static bool group_find(const struct host_group *group, struct span path, route_candidates *candidates,
		       void *context)
{
	const struct position_list *list;

	if (group->exact.count > 0) {
		list = map_get(&group->exact, path);
		if (list && !candidates(context, list, false))
			return false;
	}
	for (size_t i = 0; i < group->length_count && group->lengths[i].length <= path.len; i++) {
		size_t length = group->lengths[i].length;

		if (group->lengths[i].slash && path.at[length - 1] != '/')
			continue;
		list = map_get(&group->prefixes, span_first(path, length));
		if (list && !candidates(context, list, false))
			return false;
	}
	return group->open.count == 0 || candidates(context, &group->open, true);
}

/* IPv6 has many spellings; routes are kept by the one of RFC 5952. */
struct span route_host_key(const struct http_authority *host, char *buffer)
{
	struct address address = {.family = ADDRESS_V6};

	if (host->ip_family != ADDRESS_V6)
		return host->host;
	memcpy(address.ip, host->ip, sizeof(address.ip));
	return span_make(buffer, address_format_ip(&address, buffer));
}

bool route_index_find(const struct route_index *index, const struct http_authority *host, struct span path,
		      route_candidates *candidates, void *context)
{
	const struct host_group *group;
	char buffer[ADDRESS_TEXT];

	if (index->exact.count > 0 && host->host.len > 0) {
		group = map_get(&index->exact, route_host_key(host, buffer));
		if (group && !group_find(group, path, candidates, context))
			return false;
	}
	if (index->below.count > 0 && host->ip_family == ADDRESS_NONE) {
		for (struct span rest = domain_parent(host->host); rest.len > 0; rest = domain_parent(rest)) {
			group = map_get(&index->below, rest);
			if (group && !group_find(group, path, candidates, context))
				return false;
		}
	}
	return group_find(&index->any, path, candidates, context);
}
