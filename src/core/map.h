/*
 * Hash map from byte strings to pointers, keyed with a secret per map (XXH3 with a random seed), so that no
 * peer can choose collisions. Open addressing; keys are borrowed from the values' owners. One thread's own.
 */
#ifndef GUISE_CORE_MAP_H
#define GUISE_CORE_MAP_H

#include "core/memory.h"
#include "core/span.h"

struct map_entry {
	struct span key; /* borrowed; must live as long as the entry */
	void *value;     /* never NULL */
	uint64_t hash;
};

struct map {
	struct memory *memory; /* NULL: not counted */
	struct map_entry *entries;
	size_t capacity, count, tombs;
	uint64_t seed;
};

void map_init(struct map *map, struct memory *memory);
void map_fini(struct map *map);
void *map_get(const struct map *map, struct span key);                   /* NULL: not there */
WARN_UNUSED bool map_put(struct map *map, struct span key, void *value); /* replaces; false: out of memory */
void *map_remove(struct map *map, struct span key);                      /* the value, or NULL */
/*
 * Next entry from *cursor (start with 0) on, or NULL. The map must not grow while it is walked; removal is
 * fine.
 */
struct map_entry *map_next(const struct map *map, size_t *cursor);

#endif
