/*
 * What is left of a text in memory that waits to be used again.
 */
#ifndef GUISE_TESTS_TRACES_H
#define GUISE_TESTS_TRACES_H

#include "core/worker.h"

static inline bool traces_in(const void *at, size_t len, const char *text)
{
	return memmem(at, len, text, strlen(text)) != NULL;
}

/* Takes every free object of the pool, looks at all of it, and gives it back. */
static inline bool traces_in_pool(struct pool *pool, const char *text)
{
	size_t count = pool->kept, found = 0;
	void *first = NULL;

	for (size_t i = 0; i < count; i++) {
		void *object = pool_get(pool);
		found += traces_in((uint8_t *)object + sizeof(first), pool->size - sizeof(first), text);
		*(void **)object = first;
		first = object;
	}
	while (first) {
		void *next = *(void **)first;
		pool_put(pool, first);
		first = next;
	}
	return found > 0;
}

/* In what the worker has for bytes of its connections. */
static inline bool traces_in_worker(struct worker *worker, const char *text)
{
	struct buffers *buffers = &worker->buffers;
	const struct block *receive = worker->receive;

	return traces_in_pool(&worker->pages, text) || traces_in_pool(&buffers->small, text) ||
	       traces_in_pool(&buffers->medium, text) || traces_in_pool(&buffers->large, text) ||
	       (receive && traces_in(receive->bytes, receive->capacity, text));
}

#endif
