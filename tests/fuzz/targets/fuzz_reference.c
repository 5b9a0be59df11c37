/*
 * References, links, cookies and policies of servers: whatever they say, what goes on is a value of a field, leads to no server by the reading that browsers have, and is read
 * the same when it comes again. First byte: which reader, and what the client may know; then the value.
 */
#include "mask/reference_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum reference_fate (*const readers[])(const struct reference_map *map, struct span *value) = {
	reference_location, reference_refresh, reference_link,        reference_cookie, reference_whole,
	reference_list,     reference_policy,  reference_permissions, reference_frame,
};

enum { ALL_GONE = 4 }; /* the readers from here on leave no name of a server behind */

static void map_make(struct reference_map *map, struct inside *inside, struct arena *arena, uint8_t how)
{
	*map = (struct reference_map){
		.inside = inside,
		.server = SPAN("a.in"),
		.said = SPAN("b.in"),
		.server_port = 81,
		.asked = SPAN("c.out"),
		.asked_port = 80,
		.scheme = SPAN("http"),
		.arena = arena,
	};
	if (how & 16)
		map->authority = map->host = SPAN("c.out");
	if (how & 32) {
		map->from = SPAN("/from/");
		map->to = SPAN("/to/");
	} else if (how & 64) {
		map->from = SPAN("/");
		map->to = SPAN("/t");
	}
}

/* A path alone never becomes one that browsers take for a host. */
static void judge(const struct reference_map *map, unsigned reader, struct span before, struct span after)
{
	struct span again = after;
	bool relative = before.len > 1 && before.at[0] == '/' && before.at[1] != '/' && before.at[1] != '\\';

	ENSURE(http_is_field_value(after) && after.len > 0);
	if (readers[reader] == reference_location && (relative || map->authority.len == 0) &&
	    after.at[0] == '/' && before.at[1] != '/')
		ENSURE(after.len == 1 || (after.at[1] != '/' && after.at[1] != '\\'));
	if (reader >= ALL_GONE)
		ENSURE(readers[reader](map, &again) == REFERENCE_STAYS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reference_map map;
	struct memory memory;
	struct arena arena;
	struct inside *inside;

	if (size == 0)
		return 0;
	unsigned reader = (data[0] & 15) % ARRAY_LENGTH(readers);
	struct span value = span_trim(span_make(data + 1, size - 1)), before = value;
	if (!http_is_field_value(value))
		return 0; /* the codec lets no others in */
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	inside = inside_new(&arena);
	ENSURE(inside && inside_add(inside, SPAN("a.in"), 80) && inside_add(inside, SPAN("web"), 80) &&
	       inside_add(inside, SPAN("10.0.0.1"), 80) && inside_add(inside, SPAN("::1"), 80));
	map_make(&map, inside, &arena, data[0]);
	switch (readers[reader](&map, &value)) {
	case REFERENCE_STAYS:
		ENSURE(value.at == before.at && value.len == before.len);
		break;
	case REFERENCE_CHANGED:
		judge(&map, reader, before, value);
		break;
	case REFERENCE_GOES:
		break;
	case REFERENCE_MEMORY:
		ENSURE(false);
	}
	inside_free(inside);
	arena_fini(&arena);
	ENSURE(atomic_load(&memory.used) == 0);
	return 0;
}
