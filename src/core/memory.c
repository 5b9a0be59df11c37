/*
 * The budget's counter and the slow paths of pools. The budget is touched by every thread, a pool by its own.
 */
#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

void memory_init(struct memory *memory, size_t limit)
{
	memory->limit = limit;
	atomic_init(&memory->used, 0);
	atomic_init(&memory->fail_every, 0);
	atomic_init(&memory->allocations, 0);
}

bool memory_take(struct memory *memory, size_t bytes)
{
	size_t before = atomic_fetch_add_explicit(&memory->used, bytes, memory_order_relaxed);
	if (memory->limit == 0 || (bytes <= memory->limit && before <= memory->limit - bytes))
		return true;
	memory_give(memory, bytes);
	return false;
}

void memory_give(struct memory *memory, size_t bytes)
{
	atomic_fetch_sub_explicit(&memory->used, bytes, memory_order_relaxed);
}

enum memory_pressure memory_pressure(const struct memory *memory)
{
	if (memory->limit == 0)
		return MEMORY_EASY;
	size_t used = atomic_load_explicit(&memory->used, memory_order_relaxed);
	if (used > memory->limit - memory->limit / 20)
		return MEMORY_FULL;
	return used > memory->limit - memory->limit / 5 ? MEMORY_HIGH : MEMORY_EASY;
}

static bool fails_for_test(struct memory *memory)
{
	uint64_t every = atomic_load_explicit(&memory->fail_every, memory_order_relaxed);
	if (__builtin_expect(every == 0, 1))
		return false;
	return (atomic_fetch_add_explicit(&memory->allocations, 1, memory_order_relaxed) + 1) % every == 0;
}

static void *alloc(struct memory *memory, size_t bytes, bool cleared)
{
	if (fails_for_test(memory) || !memory_take(memory, bytes))
		return NULL;
	void *object = cleared ? calloc(1, bytes) : malloc(bytes);
	if (!object)
		memory_give(memory, bytes);
	return object;
}

void *memory_alloc(struct memory *memory, size_t bytes)
{
	return alloc(memory, bytes, false);
}

void *memory_alloc_beyond(struct memory *memory, size_t bytes)
{
	void *object = malloc(bytes);

	ENSURE(object);
	atomic_fetch_add_explicit(&memory->used, bytes, memory_order_relaxed);
	return object;
}

void memory_free(struct memory *memory, void *object, size_t bytes)
{
	if (!object)
		return;
	free(object);
	memory_give(memory, bytes);
}

void memory_fail_every(struct memory *memory, uint64_t every)
{
	atomic_store_explicit(&memory->allocations, 0, memory_order_relaxed);
	atomic_store_explicit(&memory->fail_every, every, memory_order_relaxed);
}

void pool_init(struct pool *pool, struct memory *memory, size_t size, size_t keep)
{
	ENSURE(size >= sizeof(void *));
	*pool = (struct pool){.memory = memory, .size = size, .keep = keep};
}

void pool_fini(struct pool *pool)
{
	while (pool->free)
		pool_shrink(pool, pool_get(pool));
}

void *pool_grow(struct pool *pool)
{
	/* Whatever had it before, a library perhaps, has left nothing in it for a client to be near to; what the system gives is clear, and not touched. */
	return alloc(pool->memory, pool->size, true);
}

void pool_shrink(struct pool *pool, void *object)
{
	memory_free(pool->memory, object, pool->size);
}
