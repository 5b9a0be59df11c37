/*
 * What the fuzz targets of the HTTP/1 codec share.
 */
#ifndef GUISE_FUZZ_H1_H
#define GUISE_FUZZ_H1_H

#include "core/arena.h"
#include "core/chunk.h"
#include "core/error.h"
#include "http/h1/body.h"
#include "http/h1/parse.h"
#include "http/h1/write.h"

struct fuzz_h1 {
	struct memory memory;
	struct arena arena;
	struct buffers buffers;
};

static inline void fuzz_h1_init(struct fuzz_h1 *fuzz)
{
	memory_init(&fuzz->memory, 0);
	arena_init(&fuzz->arena, &fuzz->memory, NULL, NULL, 0);
	buffers_init(&fuzz->buffers, &fuzz->memory);
}

static inline void fuzz_h1_fini(struct fuzz_h1 *fuzz)
{
	arena_fini(&fuzz->arena);
	buffers_fini(&fuzz->buffers);
}

static inline struct span fuzz_h1_copy(struct fuzz_h1 *fuzz, struct span bytes)
{
	struct span copy = arena_copy(&fuzz->arena, bytes);
	ENSURE(copy.at);
	return copy;
}

/* The queue's bytes, and the queue empty. */
static inline struct span fuzz_h1_take(struct fuzz_h1 *fuzz, struct chunk_queue *queue)
{
	uint8_t *bytes = arena_alloc(&fuzz->arena, queue->bytes + 1);
	ENSURE(bytes);
	struct span span = span_make(bytes, queue->bytes);
	chunk_queue_peek(queue, bytes, queue->bytes);
	chunk_queue_clear(&fuzz->buffers, queue);
	return span;
}

static inline void fuzz_h1_check_fields(const struct http_fields *a, const struct http_fields *b)
{
	uint32_t i = 0, j = 0;
	for (;;) {
		const struct http_field *one = http_fields_next(a, &i), *other = http_fields_next(b, &j);
		ENSURE(!one == !other);
		if (!one)
			return;
		ENSURE(one->id == other->id && span_equal(one->name, other->name));
		ENSURE(span_equal(one->value, other->value));
		ENSURE(http_is_token(one->name) && http_is_field_value(one->value));
	}
}

/* The end of the head, found at once and byte by byte. */
static inline size_t fuzz_h1_check_end(struct span input, bool response, const struct h1_limits *limits)
{
	size_t scanned = 0, slowly = 0, end = h1_head_end(input, &scanned);
	scanned = 0;
	for (size_t len = 0; len <= input.len && !slowly; len++)
		slowly = h1_head_end(span_first(input, len), &scanned);
	ENSURE(end == slowly);
	return end;
}

#endif
