/*
 * Received bytes that a codec cannot use yet: a part of a message, what was pipelined behind one. An idle connection has none and owns no block.
 */
#ifndef GUISE_CORE_PENDING_H
#define GUISE_CORE_PENDING_H

#include "core/chunk.h"

struct pending {
	struct block *block; /* NULL: nothing is held */
	size_t at;           /* bytes of it that have been used */
};

static inline struct span pending_bytes(const struct pending *pending)
{
	if (!pending->block)
		return (struct span){0};
	return span_make(pending->block->bytes + pending->at, pending->block->used - pending->at);
}

/* False: out of memory, nothing changed. */
WARN_UNUSED bool pending_append(struct pending *pending, struct buffers *buffers, struct span bytes);
/* The first `bytes` have been used. */
void pending_consume(struct pending *pending, struct buffers *buffers, size_t bytes);
void pending_clear(struct pending *pending, struct buffers *buffers);

#endif
