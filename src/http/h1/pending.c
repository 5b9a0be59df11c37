/*
 * Pending bytes of an HTTP/1 connection, either side. One block, grown by copying; bounded by what the codecs let in (the limit of
 * a head and one receive).
 */
#include "http/h1/pending.h"

bool h1_pending_append(struct h1_pending *pending, struct buffers *buffers, struct span bytes)
{
	struct block *block = pending->block;

	if (!block || block->capacity - block->used < bytes.len) {
		struct span held = h1_pending_bytes(pending);
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

void h1_pending_consume(struct h1_pending *pending, struct buffers *buffers, size_t bytes)
{
	pending->at += bytes;
	if (pending->at == pending->block->used)
		h1_pending_clear(pending, buffers);
}

void h1_pending_clear(struct h1_pending *pending, struct buffers *buffers)
{
	block_release(buffers, pending->block);
	*pending = (struct h1_pending){0};
}

static uint32_t limit_of(uint64_t value)
{
	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

struct h1_limits h1_limits_from(const struct limits_settings *limits)
{
	return (struct h1_limits){
		.request_line = limit_of(limits->request_line),
		.field_line = limit_of(limits->field_line),
		.fields = limit_of(limits->fields),
		.head = limit_of(limits->head),
	};
}
