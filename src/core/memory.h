/*
 * The process's memory budget (`limits.memory`) and pools of equal objects that draw on it.
 *
 * The budget is one relaxed atomic shared by all threads; a pool belongs to one thread. What a pool hands out
 * is as it was given back, or cleared when it is new. Free objects are poisoned under ASan.
 */
#ifndef GUISE_CORE_MEMORY_H
#define GUISE_CORE_MEMORY_H

#include "core/base.h"
#include "core/poison.h"

#include <stdatomic.h>

struct memory {
	atomic_size_t used;                           /* bytes */
	size_t limit;                                 /* bytes; 0 = none */
	atomic_uint_fast64_t fail_every, allocations; /* see memory_fail_every */
};

enum memory_pressure {
	MEMORY_EASY,
	MEMORY_HIGH, /* over 80 %: windows stop growing */
	MEMORY_FULL, /* over 95 %: new work is refused */
};

void memory_init(struct memory *memory, size_t limit);

/* Counts `bytes` against the budget. False, and nothing counted, when that would pass the limit. */
WARN_UNUSED bool memory_take(struct memory *memory, size_t bytes);
void memory_give(struct memory *memory, size_t bytes);
enum memory_pressure memory_pressure(const struct memory *memory);

/* malloc and free that count; memory_free must be told the same size. */
WARN_UNUSED void *memory_alloc(struct memory *memory, size_t bytes);
void memory_free(struct memory *memory, void *object, size_t bytes);
/* As memory_alloc, past the limit if need be, and never NULL: for what small things a library asks for that cannot bear a refusal. */
void *memory_alloc_beyond(struct memory *memory, size_t bytes);

/*
 * For tests: of the allocations that follow, each `every`th fails (memory_alloc returns NULL); 0 ends it.
 * Compiled in always: one predictable branch where malloc is called anyway.
 */
void memory_fail_every(struct memory *memory, uint64_t every);

struct pool {
	struct memory *memory;
	void *free;        /* singly linked through the first word */
	size_t size;       /* of one object, bytes, >= sizeof(void *) */
	size_t kept, keep; /* free objects held, at most */
};

/* Keeps at most `keep` free objects for reuse; more go back to the heap. */
void pool_init(struct pool *pool, struct memory *memory, size_t size, size_t keep);
void pool_fini(struct pool *pool); /* frees what is kept; objects handed out must have come back */

/* The slow halves of pool_get and pool_put: an object from the heap, an object to the heap. */
WARN_UNUSED void *pool_grow(struct pool *pool);
void pool_shrink(struct pool *pool, void *object);

/* NULL: out of memory. */
WARN_UNUSED static inline void *pool_get(struct pool *pool)
{
	void *object = pool->free;
	if (__builtin_expect(object == NULL, 0))
		return pool_grow(pool);
	unpoison(object, pool->size);
	pool->free = *(void **)object;
	pool->kept--;
	return object;
}

static inline void pool_put(struct pool *pool, void *object)
{
	if (__builtin_expect(pool->kept >= pool->keep, 0)) {
		pool_shrink(pool, object);
		return;
	}
	*(void **)object = pool->free;
	pool->free = object;
	pool->kept++;
	poison(object, pool->size);
}

#endif
