/*
 * Pending bytes of a client's or server's connection. One block, grown by copying; bounded by what the codecs let in (the limit of a head, and one
 * receive).
 */
#include "core/pending.h"

bool pending_append(struct pending *pending, struct buffers *buffers, struct span bytes)
{
	struct block *block = pending->block;

	if (!block || block->capacity - block->used < bytes.len) {
		struct span held = pending_bytes(pending);
		size_t needed = held.len + bytes.len;
		struct block *larger = block_new(buffers, block ? needed * 2 : needed);
		if (!larger)
			return false;
		if (held.len)
			memcpy(larger->bytes, held.at, held.len);
		larger->used = (uint32_t)held.len;
		block_release(buffers, block);
		pending->block = block = larger;
		pending->at = 0;
	}
	memcpy(block->bytes + block->used, bytes.at, bytes.len);
	block->used += (uint32_t)bytes.len;
	return true;
}

void pending_consume(struct pending *pending, struct buffers *buffers, size_t bytes)
{
	pending->at += bytes;
	if (pending->at == pending->block->used)
		pending_clear(pending, buffers);
}

void pending_clear(struct pending *pending, struct buffers *buffers)
{
	block_release(buffers, pending->block);
	*pending = (struct pending){0};
}
