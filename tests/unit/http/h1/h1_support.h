/*
 * What the tests of the HTTP/1 codec share: memory to parse into, and tables of bytes.
 */
#ifndef GUISE_TESTS_H1_SUPPORT_H
#define GUISE_TESTS_H1_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/arena.h"
#include "core/chunk.h"
#include "core/error.h"
#include "http/h1/body.h"
#include "http/h1/parse.h"
#include "http/h1/write.h"

/* A literal that may hold NULs. */
#define BYTES(literal)                                                                                       \
	{                                                                                                    \
		(const uint8_t *)("" literal), sizeof(literal) - 1                                           \
	}

static const struct h1_limits usual_limits __attribute__((unused)) = {
	.request_line = 8192,
	.field_line = 8192,
	.fields = 100,
	.head = 32768,
};

struct bench {
	struct memory memory;
	struct arena arena;
	struct buffers buffers;
	struct http_head head;
	struct h1_framing framing;
	struct error error;
};

static inline void bench_init(struct bench *bench)
{
	memset(bench, 0, sizeof(*bench));
	memory_init(&bench->memory, 0);
	arena_init(&bench->arena, &bench->memory, NULL, NULL, 0);
	buffers_init(&bench->buffers, &bench->memory);
}

static inline void bench_fini(struct bench *bench)
{
	arena_fini(&bench->arena);
	buffers_fini(&bench->buffers);
}

/* The bytes in memory of exactly their size, so that a sanitizer sees the first byte read beyond them. */
static inline struct span exactly(struct bench *bench, struct span bytes)
{
	struct span copy = arena_copy(&bench->arena, bytes);
	assert_non_null(copy.at);
	return copy;
}

static inline bool parse_request(struct bench *bench, struct span bytes)
{
	bench->error = ERROR_OK;
	return h1_request_parse(exactly(bench, bytes), &bench->arena, &usual_limits, SPAN("http"),
				&bench->head, &bench->framing, &bench->error);
}

static inline bool parse_response(struct bench *bench, struct span bytes, enum http_method method)
{
	bench->error = ERROR_OK;
	return h1_response_parse(exactly(bench, bytes), &bench->arena, &usual_limits, method, &bench->head,
				 &bench->framing, &bench->error);
}

static inline struct span queue_text(struct bench *bench, struct chunk_queue *queue)
{
	uint8_t *text = arena_alloc(&bench->arena, queue->bytes + 1);
	assert_non_null(text);
	chunk_queue_peek(queue, text, queue->bytes);
	struct span span = span_make(text, queue->bytes);
	chunk_queue_clear(&bench->buffers, queue);
	return span;
}

#define assert_span(got, want)                                                                               \
	do {                                                                                                 \
		struct span got_ = (got), want_ = (want);                                                    \
		if (!span_equal(got_, want_))                                                                \
			fail_msg("got \"%.*s\", want \"%.*s\"", SPAN_ARG(got_), SPAN_ARG(want_));            \
	} while (0)

#endif
