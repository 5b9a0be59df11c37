/*
 * Received bytes that a codec cannot use yet: a partial head, a pipelined request. An idle connection has none and owns no block.
 */
#ifndef GUISE_HTTP_H1_PENDING_H
#define GUISE_HTTP_H1_PENDING_H

#include "core/chunk.h"
#include "exchange/settings.h"
#include "http/h1/parse.h"

struct h1_pending {
	struct block *block; /* NULL: nothing is held */
	size_t at;           /* bytes of it that have been used */
};

static inline struct span h1_pending_bytes(const struct h1_pending *pending)
{
	if (!pending->block)
		return (struct span){0};
	return span_make(pending->block->bytes + pending->at, pending->block->used - pending->at);
}

/* False: out of memory, nothing changed. */
WARN_UNUSED bool h1_pending_append(struct h1_pending *pending, struct buffers *buffers, struct span bytes);
/* The first `bytes` have been used. */
void h1_pending_consume(struct h1_pending *pending, struct buffers *buffers, size_t bytes);
void h1_pending_clear(struct h1_pending *pending, struct buffers *buffers);

/* The configuration's limits as the parser wants them. */
struct h1_limits h1_limits_from(const struct limits_settings *limits);

#endif
