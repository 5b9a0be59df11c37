/*
 * The table behind a map: linear probing; a removed entry leaves a tombstone, so that removal is fine while
 * the map is walked.
 */
#include "core/map.h"

#include "core/random.h"

#include <stdlib.h>
#include <xxhash.h>

enum { MAP_SMALLEST = 16 };

/* `hash` of an entry without value. */
enum { ENTRY_EMPTY = 0, ENTRY_TOMB = 1 };

void map_init(struct map *map, struct memory *memory)
{
	*map = (struct map){.memory = memory};
	random_secret(&map->seed, sizeof(map->seed));
}

static struct map_entry *entries_new(const struct map *map, size_t capacity)
{
	size_t bytes;
	if (__builtin_mul_overflow(capacity, sizeof(struct map_entry), &bytes))
		return NULL;
	struct map_entry *entries = map->memory ? memory_alloc(map->memory, bytes) : malloc(bytes);
	return entries ? memset(entries, 0, bytes) : NULL;
}

static void entries_free(const struct map *map, struct map_entry *entries, size_t capacity)
{
	if (map->memory)
		memory_free(map->memory, entries, capacity * sizeof(struct map_entry));
	else
		free(entries);
}

void map_fini(struct map *map)
{
	entries_free(map, map->entries, map->capacity);
	map->entries = NULL;
	map->capacity = map->count = map->tombs = 0;
}

static uint64_t hash_of(const struct map *map, struct span key)
{
	return XXH3_64bits_withSeed(key.at, key.len, map->seed);
}

static bool is_empty(const struct map_entry *entry)
{
	return !entry->value && entry->hash == ENTRY_EMPTY;
}

static struct map_entry *find(const struct map *map, struct span key, uint64_t hash)
{
	if (map->capacity == 0)
		return NULL;
	size_t mask = map->capacity - 1;
	for (size_t i = hash & mask; !is_empty(&map->entries[i]); i = (i + 1) & mask) {
		struct map_entry *entry = &map->entries[i];
		if (entry->value && entry->hash == hash && span_equal(entry->key, key))
			return entry;
	}
	return NULL;
}

/* The key is known not to be there, and room is left. */
static struct map_entry *find_room(struct map_entry *entries, size_t capacity, uint64_t hash)
{
	size_t mask = capacity - 1, i = hash & mask;
	while (entries[i].value)
		i = (i + 1) & mask;
	return &entries[i];
}

/* Into a new table, twice as large or, where tombstones fill this one, as large as it is. */
static bool rebuild(struct map *map)
{
	size_t capacity = size_max(map->capacity, MAP_SMALLEST);
	if (map->count >= capacity / 2)
		capacity *= 2;
	struct map_entry *entries = entries_new(map, capacity);
	if (!entries)
		return false;
	for (size_t i = 0; i < map->capacity; i++) {
		if (map->entries[i].value)
			*find_room(entries, capacity, map->entries[i].hash) = map->entries[i];
	}
	entries_free(map, map->entries, map->capacity);
	map->entries = entries;
	map->capacity = capacity;
	map->tombs = 0;
	return true;
}

void *map_get(const struct map *map, struct span key)
{
	const struct map_entry *entry = find(map, key, hash_of(map, key));
	return entry ? entry->value : NULL;
}

bool map_put(struct map *map, struct span key, void *value)
{
	ENSURE(value);
	uint64_t hash = hash_of(map, key);
	struct map_entry *entry = find(map, key, hash);
	if (!entry) {
		if ((map->count + map->tombs + 1) * 4 > map->capacity * 3 && !rebuild(map))
			return false;
		entry = find_room(map->entries, map->capacity, hash);
		map->tombs -= entry->hash == ENTRY_TOMB;
		map->count++;
	}
	*entry = (struct map_entry){.key = key, .value = value, .hash = hash};
	return true;
}

void *map_remove(struct map *map, struct span key)
{
	struct map_entry *entry = find(map, key, hash_of(map, key));
	if (!entry)
		return NULL;
	void *value = entry->value;
	size_t next = ((size_t)(entry - map->entries) + 1) & (map->capacity - 1);
	bool last = is_empty(&map->entries[next]); /* of its run: nobody probes past it */
	*entry = (struct map_entry){.hash = last ? ENTRY_EMPTY : ENTRY_TOMB};
	map->tombs += !last;
	map->count--;
	return value;
}

struct map_entry *map_next(const struct map *map, size_t *cursor)
{
	while (*cursor < map->capacity) {
		struct map_entry *entry = &map->entries[(*cursor)++];
		if (entry->value)
			return entry;
	}
	return NULL;
}
