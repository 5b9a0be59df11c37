/*
 * Bytes on their way: blocks hold them, chunks name a part of a block, queues order chunks.
 *
 * What was written into a block is wiped when its last reference goes: whoever has the block next, for another client, finds nothing in it, and a password stays no
 * longer than it is needed. So who writes into a block keeps `used` true.
 *
 * A block is reference-counted by its worker's chunks and never shared across threads. A worker lends one
 * block to whatever receives; a codec that wants to keep bytes refers to the block (large parts) or copies
 * them (small ones), so that a queue of little pieces cannot hold much more memory than it has bytes.
 */
#ifndef GUISE_CORE_CHUNK_H
#define GUISE_CORE_CHUNK_H

#include "core/memory.h"
#include "core/span.h"

#include <sys/uio.h>

enum {
	BLOCK_SMALL = 2 * 1024,   /* heads, small copies */
	BLOCK_MEDIUM = 16 * 1024, /* the usual receive */
	BLOCK_LARGE = 64 * 1024,  /* flows that have shown that they are long */
};

struct block {
	uint32_t references;
	uint32_t capacity; /* of bytes[] */
	uint32_t used; /* bytes written; what follows is free for who holds the only reference, and has never been written, or wiped */
	uint8_t bytes[];
};

/* capacity + header are the class sizes above, so that a block fits its pool exactly. */
enum { BLOCK_HEADER = offsetof(struct block, bytes) };

struct chunk {
	struct chunk *next;
	struct block *block; /* NULL: static bytes, never freed */
	const uint8_t *at;
	size_t len;
};

struct chunk_queue {
	struct chunk *first, *last;
	size_t bytes;
};

/* A worker's supply of blocks and chunks. */
struct buffers {
	struct memory *memory;
	struct pool chunks, small, medium, large;
};

void buffers_init(struct buffers *buffers, struct memory *memory);
void buffers_fini(struct buffers *buffers);

/* A block of at least `capacity` bytes with one reference, used = 0. NULL: out of memory. */
WARN_UNUSED struct block *block_new(struct buffers *buffers, size_t capacity);
void block_free(struct buffers *buffers, struct block *block); /* what block_release calls at the last reference */

/* Forgets what is in it, before it is used again for something else. Only by who holds the only reference. */
static inline void block_wipe(struct block *block)
{
	span_wipe(span_make(block->bytes, block->used));
	block->used = 0;
}

/* Gives one reference back; NULL is fine. */
static inline void block_release(struct buffers *buffers, struct block *block)
{
	if (block && --block->references == 0)
		block_free(buffers, block);
}

static inline void chunk_queue_init(struct chunk_queue *queue)
{
	*queue = (struct chunk_queue){0};
}

static inline bool chunk_queue_empty(const struct chunk_queue *queue)
{
	return queue->bytes == 0;
}

/*
 * Appends. False: out of memory, the queue is as before.
 * _add:    bytes inside `block` (which the caller holds or borrows): refers to it or copies, whichever wastes less.
 *          Without a block (NULL) they are copied.
 * _copy:   copies, filling up the last chunk's block where it is ours alone.
 * _static: bytes that live for ever.
 */
WARN_UNUSED bool chunk_queue_add(struct buffers *buffers, struct chunk_queue *queue, struct block *block,
				 struct span bytes);
WARN_UNUSED bool chunk_queue_copy(struct buffers *buffers, struct chunk_queue *queue, struct span bytes);
WARN_UNUSED bool chunk_queue_static(struct buffers *buffers, struct chunk_queue *queue, struct span bytes);

/*
 * Room for `len` contiguous bytes at the queue's end, for a writer that knows its size: write at the returned
 * place, then commit how much was written (<= len). NULL: out of memory. Nothing else may touch the queue in
 * between.
 */
WARN_UNUSED uint8_t *chunk_queue_reserve(struct buffers *buffers, struct chunk_queue *queue, size_t len);
void chunk_queue_commit(struct buffers *buffers, struct chunk_queue *queue, size_t len);

/*
 * Moves everything, or the first `bytes` (splitting a chunk where needed; false: out of memory, nothing
 * moved).
 */
void chunk_queue_move_all(struct chunk_queue *to, struct chunk_queue *from);
WARN_UNUSED bool chunk_queue_move(struct buffers *buffers, struct chunk_queue *to, struct chunk_queue *from,
				  size_t bytes);

/* Drops the first `bytes` (<= queue->bytes), giving blocks back. */
void chunk_queue_consume(struct buffers *buffers, struct chunk_queue *queue, size_t bytes);
void chunk_queue_clear(struct buffers *buffers, struct chunk_queue *queue);

/* Fills at most `most` vectors from the queue's front; returns how many. */
unsigned chunk_queue_vectors(const struct chunk_queue *queue, struct iovec *vectors, unsigned most);

/* Copies the first `len` bytes (<= queue->bytes) out without consuming. */
void chunk_queue_peek(const struct chunk_queue *queue, uint8_t *out, size_t len);

#endif
