/*
 * Bump allocation for things that end together: one exchange, one snapshot. Nothing in it is freed alone. The
 * first bytes come from the memory that the owner lends (often the rest of a block); more comes from the pool
 * of pages given at init, larger requests from the heap. One thread at a time.
 *
 * At the end all of it is wiped that was given out, the lent memory too: what stood in a request is in no page that the next one is given.
 */
#ifndef GUISE_CORE_ARENA_H
#define GUISE_CORE_ARENA_H

#include "core/memory.h"
#include "core/span.h"

#include <stdarg.h>

struct arena_page;

struct arena {
	uint8_t *at, *end;        /* free room in the current page; both aligned to 8 bytes */
	uint8_t *lent, *lent_end; /* the owner's memory, as it was given */
	struct arena_page *pages; /* to give back */
	struct pool *pool;        /* pages of pool->size bytes; NULL = heap pages of 4 KiB */
	struct memory *memory;    /* counts what does not come from the pool */
};

/* `lent` (may be NULL) is used first and not freed; it must outlive the arena. */
void arena_init(struct arena *arena, struct memory *memory, struct pool *pool, void *lent, size_t lent_size);
void arena_fini(struct arena *arena);

/* The slow half of arena_alloc: a page or a heap block of its own. */
WARN_UNUSED void *arena_alloc_page(struct arena *arena, size_t bytes);

/* Memory aligned to 8 bytes, not cleared. NULL: out of memory. */
WARN_UNUSED static inline void *arena_alloc(struct arena *arena, size_t bytes)
{
	uint8_t *at = arena->at;
	bytes += bytes == 0; /* an answer that differs from NULL */
	if (__builtin_expect(bytes > (size_t)(arena->end - at), 0))
		return arena_alloc_page(arena, bytes);
	/* The room is a multiple of 8, so rounding up cannot pass its end. */
	arena->at = at + ((bytes + 7) & ~(size_t)7);
	unpoison(at, bytes);
	return at;
}

/* Cleared memory for `count` objects of `size` bytes; NULL on overflow too. */
WARN_UNUSED void *arena_zalloc(struct arena *arena, size_t count, size_t size);
/* A copy of the bytes; ->at is NULL when memory ran out (also for an empty span: at is then not NULL). */
WARN_UNUSED struct span arena_copy(struct arena *arena, struct span bytes);
/* The parts one after the other, copied; ->at is NULL when memory ran out. */
WARN_UNUSED struct span arena_join(struct arena *arena, const struct span *parts, unsigned count);
/* printf into the arena; ->at is NULL when memory ran out. A NUL follows, not counted. */
WARN_UNUSED struct span arena_format(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
WARN_UNUSED struct span arena_format_list(struct arena *arena, const char *format, va_list arguments)
	PRINTF_LIKE(2, 0);

#endif
