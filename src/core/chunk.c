/*
 * Blocks and the queues of chunks over them. All of one worker: nothing here is shared between threads.
 */
#include "core/chunk.h"

enum {
	KEEP_CHUNKS = 4096,
	KEEP_SMALL = 512,
	KEEP_MEDIUM = 64,
	KEEP_LARGE = 16,
};

void buffers_init(struct buffers *buffers, struct memory *memory)
{
	buffers->memory = memory;
	pool_init(&buffers->chunks, memory, sizeof(struct chunk), KEEP_CHUNKS);
	pool_init(&buffers->small, memory, BLOCK_SMALL, KEEP_SMALL);
	pool_init(&buffers->medium, memory, BLOCK_MEDIUM, KEEP_MEDIUM);
	pool_init(&buffers->large, memory, BLOCK_LARGE, KEEP_LARGE);
}

void buffers_fini(struct buffers *buffers)
{
	pool_fini(&buffers->chunks);
	pool_fini(&buffers->small);
	pool_fini(&buffers->medium);
	pool_fini(&buffers->large);
}

/*
 * The pool of blocks whose size, header included, is at least `size`; NULL when it takes a block of its own.
 */
static struct pool *pool_for(struct buffers *buffers, size_t size)
{
	if (size <= BLOCK_SMALL)
		return &buffers->small;
	if (size <= BLOCK_MEDIUM)
		return &buffers->medium;
	return size <= BLOCK_LARGE ? &buffers->large : NULL;
}

struct block *block_new(struct buffers *buffers, size_t capacity)
{
	if (capacity > UINT32_MAX - BLOCK_HEADER)
		return NULL;
	size_t size = BLOCK_HEADER + capacity;
	struct pool *pool = pool_for(buffers, size);
	struct block *block;
	if (pool) {
		size = pool->size;
		block = pool_get(pool);
	} else {
		block = memory_alloc(buffers->memory, size);
	}
	if (!block)
		return NULL;
	block->references = 1;
	block->capacity = (uint32_t)(size - BLOCK_HEADER);
	block->used = 0;
	return block;
}

void block_free(struct buffers *buffers, struct block *block)
{
	size_t size = BLOCK_HEADER + block->capacity;
	struct pool *pool = pool_for(buffers, size);
	block_wipe(block);
	if (pool)
		pool_put(pool, block);
	else
		memory_free(buffers->memory, block, size);
}

static struct chunk *chunk_new(struct buffers *buffers, struct block *block, const uint8_t *at, size_t len)
{
	struct chunk *chunk = pool_get(&buffers->chunks);
	if (chunk)
		*chunk = (struct chunk){.block = block, .at = at, .len = len};
	return chunk;
}

static void chunk_free(struct buffers *buffers, struct chunk *chunk)
{
	block_release(buffers, chunk->block);
	pool_put(&buffers->chunks, chunk);
}

static void append(struct chunk_queue *queue, struct chunk *chunk)
{
	chunk->next = NULL;
	if (queue->last)
		queue->last->next = chunk;
	else
		queue->first = chunk;
	queue->last = chunk;
	queue->bytes += chunk->len;
}

static struct chunk *take_first(struct chunk_queue *queue)
{
	struct chunk *chunk = queue->first;
	queue->first = chunk->next;
	if (!queue->first)
		queue->last = NULL;
	queue->bytes -= chunk->len;
	return chunk;
}

/* Bytes that directly follow the queue's last ones in the same block need no chunk of their own. */
static bool continues(const struct chunk_queue *queue, const struct block *block, const uint8_t *at)
{
	const struct chunk *last = queue->last;
	return last && block && last->block == block && last->at + last->len == at;
}

static void extend(struct chunk_queue *queue, size_t len)
{
	queue->last->len += len;
	queue->bytes += len;
}

/* Bytes that can be written behind the queue's last ones, since nobody else looks at that block. */
static size_t tail_room(const struct chunk_queue *queue)
{
	const struct chunk *last = queue->last;
	if (!last || !last->block || last->block->references != 1)
		return 0;
	if (last->at + last->len != last->block->bytes + last->block->used)
		return 0;
	return last->block->capacity - last->block->used;
}

/* len <= tail_room */
static void fill_tail(struct chunk_queue *queue, const uint8_t *at, size_t len)
{
	struct block *block = queue->last->block;
	memcpy(block->bytes + block->used, at, len);
	block->used += (uint32_t)len;
	extend(queue, len);
}

/* An empty chunk over a new block at the queue's end. */
static bool append_room(struct buffers *buffers, struct chunk_queue *queue, size_t capacity)
{
	struct block *block = block_new(buffers, capacity);
	if (!block)
		return false;
	struct chunk *chunk = chunk_new(buffers, block, block->bytes, 0);
	if (!chunk) {
		block_release(buffers, block);
		return false;
	}
	append(queue, chunk);
	return true;
}

bool chunk_queue_add(struct buffers *buffers, struct chunk_queue *queue, struct block *block, struct span bytes)
{
	if (bytes.len == 0)
		return true;
	if (continues(queue, block, bytes.at)) {
		extend(queue, bytes.len);
		return true;
	}
	if (!block || bytes.len * 4 < block->capacity)
		return chunk_queue_copy(buffers, queue, bytes);
	struct chunk *chunk = chunk_new(buffers, block, bytes.at, bytes.len);
	if (!chunk)
		return false;
	block->references++;
	append(queue, chunk);
	return true;
}

bool chunk_queue_copy(struct buffers *buffers, struct chunk_queue *queue, struct span bytes)
{
	size_t behind = size_min(tail_room(queue), bytes.len);
	struct span rest = span_from(bytes, behind);
	struct chunk_queue fresh = {0};
	while (rest.len > 0) {
		if (!append_room(buffers, &fresh, size_min(rest.len, BLOCK_LARGE - BLOCK_HEADER))) {
			chunk_queue_clear(buffers, &fresh);
			return false;
		}
		size_t len = size_min(tail_room(&fresh), rest.len);
		fill_tail(&fresh, rest.at, len);
		rest = span_from(rest, len);
	}
	if (behind)
		fill_tail(queue, bytes.at, behind);
	chunk_queue_move_all(queue, &fresh);
	return true;
}

bool chunk_queue_static(struct buffers *buffers, struct chunk_queue *queue, struct span bytes)
{
	if (bytes.len == 0)
		return true;
	struct chunk *chunk = chunk_new(buffers, NULL, bytes.at, bytes.len);
	if (!chunk)
		return false;
	append(queue, chunk);
	return true;
}

uint8_t *chunk_queue_reserve(struct buffers *buffers, struct chunk_queue *queue, size_t len)
{
	if ((len == 0 || tail_room(queue) < len) && !append_room(buffers, queue, len))
		return NULL;
	struct block *block = queue->last->block;
	return block->bytes + block->used;
}

/* Takes away the last chunk, which a reservation made and nobody filled. */
static void drop_last(struct buffers *buffers, struct chunk_queue *queue)
{
	struct chunk *last = queue->last, *before = NULL;
	for (struct chunk *chunk = queue->first; chunk != last; chunk = chunk->next)
		before = chunk;
	if (before)
		before->next = NULL;
	else
		queue->first = NULL;
	queue->last = before;
	chunk_free(buffers, last);
}

void chunk_queue_commit(struct buffers *buffers, struct chunk_queue *queue, size_t len)
{
	ENSURE(len <= tail_room(queue));
	queue->last->block->used += (uint32_t)len;
	extend(queue, len);
	if (queue->last->len == 0)
		drop_last(buffers, queue);
}

void chunk_queue_move_all(struct chunk_queue *to, struct chunk_queue *from)
{
	if (!from->first)
		return;
	if (to->last)
		to->last->next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	to->bytes += from->bytes;
	chunk_queue_init(from);
}

static void move_chunk(struct buffers *buffers, struct chunk_queue *to, struct chunk *chunk)
{
	if (continues(to, chunk->block, chunk->at)) {
		extend(to, chunk->len);
		chunk_free(buffers, chunk);
	} else {
		append(to, chunk);
	}
}

/* Cuts `from`'s first chunk so that `chunk`, a fresh one, names its first `bytes`. */
static void split_first(struct chunk_queue *from, struct chunk *chunk, size_t bytes)
{
	struct chunk *first = from->first;
	*chunk = (struct chunk){.block = first->block, .at = first->at, .len = bytes};
	if (first->block)
		first->block->references++;
	first->at += bytes;
	first->len -= bytes;
	from->bytes -= bytes;
}

/* Whether the first `bytes` end inside a chunk. */
static bool needs_split(const struct chunk_queue *queue, size_t bytes)
{
	for (const struct chunk *chunk = queue->first; chunk && bytes > 0; chunk = chunk->next) {
		if (bytes < chunk->len)
			return true;
		bytes -= chunk->len;
	}
	return false;
}

bool chunk_queue_move(struct buffers *buffers, struct chunk_queue *to, struct chunk_queue *from, size_t bytes)
{
	ENSURE(bytes <= from->bytes);
	if (bytes == from->bytes) {
		chunk_queue_move_all(to, from);
		return true;
	}
	struct chunk *spare = NULL;
	if (needs_split(from, bytes)) {
		spare = pool_get(&buffers->chunks);
		if (!spare)
			return false;
	}
	while (bytes > 0 && from->first->len <= bytes) {
		bytes -= from->first->len;
		move_chunk(buffers, to, take_first(from));
	}
	if (spare) {
		split_first(from, spare, bytes);
		move_chunk(buffers, to, spare);
	}
	return true;
}

void chunk_queue_consume(struct buffers *buffers, struct chunk_queue *queue, size_t bytes)
{
	ENSURE(bytes <= queue->bytes);
	while (bytes > 0 && bytes >= queue->first->len) {
		bytes -= queue->first->len;
		chunk_free(buffers, take_first(queue));
	}
	if (bytes > 0) {
		queue->first->at += bytes;
		queue->first->len -= bytes;
		queue->bytes -= bytes;
	}
}

void chunk_queue_clear(struct buffers *buffers, struct chunk_queue *queue)
{
	while (queue->first)
		chunk_free(buffers, take_first(queue));
}

unsigned chunk_queue_vectors(const struct chunk_queue *queue, struct iovec *vectors, unsigned most)
{
	unsigned count = 0;
	for (const struct chunk *chunk = queue->first; chunk && count < most; chunk = chunk->next)
		vectors[count++] =
			(struct iovec){.iov_base = (void *)(uintptr_t)chunk->at, .iov_len = chunk->len};
	return count;
}

void chunk_queue_peek(const struct chunk_queue *queue, uint8_t *out, size_t len)
{
	ENSURE(len <= queue->bytes);
	for (const struct chunk *chunk = queue->first; len > 0; chunk = chunk->next) {
		size_t part = size_min(len, chunk->len);
		memcpy(out, chunk->at, part);
		out += part;
		len -= part;
	}
}
