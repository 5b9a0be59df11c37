/*
 * Pages of an arena. One thread at a time; the owner gives everything back at once with arena_fini.
 */
#include "core/arena.h"

#include <stdio.h>

struct arena_page {
	struct arena_page *next;
	size_t size; /* of the whole page, bytes */
	bool pooled; /* goes back to the pool, not to the heap */
	uint8_t bytes[] __attribute__((aligned(8)));
};

enum { HEAP_PAGE = 4096 };

static uint8_t *align_up(uint8_t *at)
{
	return at + (-(uintptr_t)at & 7);
}

static uint8_t *align_down(uint8_t *at)
{
	return at - ((uintptr_t)at & 7);
}

void arena_init(struct arena *arena, struct memory *memory, struct pool *pool, void *lent, size_t lent_size)
{
	*arena = (struct arena){.memory = memory, .pool = pool};
	if (lent_size < 16)
		return;
	arena->lent = lent;
	arena->lent_end = arena->lent + lent_size;
	arena->at = align_up(arena->lent);
	arena->end = align_down(arena->lent_end);
	poison(arena->at, (size_t)(arena->end - arena->at));
}

/* From `begin` as far as it was given out: to its end, unless it is what is given out from now. */
static void wipe(const struct arena *arena, uint8_t *begin, uint8_t *end)
{
	if (arena->at >= begin && arena->at <= end)
		end = arena->at;
	if (begin)
		span_wipe(span_make(begin, (size_t)(end - begin)));
}

static void page_free(struct arena *arena, struct arena_page *page)
{
	unpoison(page, page->size);
	wipe(arena, page->bytes, (uint8_t *)page + page->size);
	if (page->pooled)
		pool_put(arena->pool, page);
	else
		memory_free(arena->memory, page, page->size);
}

void arena_fini(struct arena *arena)
{
	for (struct arena_page *page = arena->pages, *next; page; page = next) {
		next = page->next;
		page_free(arena, page);
	}
	unpoison(arena->lent, (size_t)(arena->lent_end - arena->lent));
	wipe(arena, arena->lent, arena->lent_end);
	arena->pages = NULL;
	arena->at = arena->end = arena->lent = arena->lent_end = NULL;
}

static struct arena_page *page_new(struct arena *arena, size_t bytes)
{
	size_t usual = arena->pool ? arena->pool->size : HEAP_PAGE;
	size_t size = size_max(usual, sizeof(struct arena_page) + bytes);
	bool pooled = arena->pool && size == usual;
	struct arena_page *page = pooled ? pool_get(arena->pool) : memory_alloc(arena->memory, size);
	if (!page)
		return NULL;
	*page = (struct arena_page){.next = arena->pages, .size = size, .pooled = pooled};
	arena->pages = page;
	return page;
}

void *arena_alloc_page(struct arena *arena, size_t bytes)
{
	if (bytes > SIZE_MAX / 2)
		return NULL;
	bytes = (bytes + 7) & ~(size_t)7;
	struct arena_page *page = page_new(arena, bytes);
	if (!page)
		return NULL;
	uint8_t *at = page->bytes + bytes, *end = align_down((uint8_t *)page + page->size);
	poison(at, (size_t)(end - at));
	/*
	 * The page with more room left serves the next requests: a large one does not waste the page before
	 * it.
	 */
	if (end - at > arena->end - arena->at) {
		arena->at = at;
		arena->end = end;
	}
	return page->bytes;
}

void *arena_zalloc(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	void *object = arena_alloc(arena, bytes);
	return object ? memset(object, 0, bytes) : NULL;
}

struct span arena_copy(struct arena *arena, struct span bytes)
{
	uint8_t *at = arena_alloc(arena, bytes.len);
	if (!at)
		return (struct span){0};
	if (bytes.len)
		memcpy(at, bytes.at, bytes.len);
	return span_make(at, bytes.len);
}

struct span arena_join(struct arena *arena, const struct span *parts, unsigned count)
{
	size_t len = 0;

	for (unsigned i = 0; i < count; i++)
		len += parts[i].len;
	uint8_t *text = arena_alloc(arena, len), *at = text;
	if (!text)
		return (struct span){0};
	for (unsigned i = 0; i < count; i++)
		if (parts[i].len)
			at = mempcpy(at, parts[i].at, parts[i].len);
	return span_make(text, len);
}

struct span arena_format_list(struct arena *arena, const char *format, va_list arguments)
{
	va_list again;
	va_copy(again, arguments);
	char *text = NULL;
	int length = vsnprintf(NULL, 0, format, arguments);
	if (length >= 0)
		text = arena_alloc(arena, (size_t)length + 1);
	if (text)
		vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return text ? span_make(text, (size_t)length) : (struct span){0};
}

struct span arena_format(struct arena *arena, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	struct span text = arena_format_list(arena, format, arguments);
	va_end(arguments);
	return text;
}
