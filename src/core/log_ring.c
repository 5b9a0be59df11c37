/*
 * A ring of records between one thread, which reserves and commits, and the writer thread, which reads and
 * releases.
 */
#include "core/log_internal.h"

#include <stdlib.h>

enum { SMALLEST_RING = 4096, RECORD = sizeof(struct log_record) };

static size_t padded(size_t len)
{
	return (len + RECORD - 1) & ~(size_t)(RECORD - 1);
}

static struct log_record *record_at(const struct log_ring *ring, size_t position)
{
	return (struct log_record *)(uintptr_t)(ring->bytes + (position & (ring->size - 1)));
}

struct log_ring *log_ring_new(struct log *log, size_t bytes)
{
	size_t size = SMALLEST_RING;
	while (size < bytes && size <= SIZE_MAX / 4)
		size *= 2;
	struct log_ring *ring = aligned_alloc(CACHE_LINE, sizeof(*ring) + size);
	if (!ring)
		return NULL;
	*ring = (struct log_ring){.log = log, .size = size};
	ring->next = atomic_load(&log->rings);
	while (!atomic_compare_exchange_weak(&log->rings, &ring->next, ring)) {
	}
	return ring;
}

static bool has_room(struct log_ring *ring, size_t head, size_t bytes)
{
	if (bytes <= ring->size - (head - ring->tail_seen))
		return true;
	ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
	return bytes <= ring->size - (head - ring->tail_seen);
}

uint8_t *log_reserve(struct log_ring *ring, enum log_stream stream, size_t most)
{
	if (!ring || !ring->log->streams[stream])
		return NULL;
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t to_end = ring->size - (head & (ring->size - 1));
	if (most > ring->size / 2)
		goto full;
	size_t need = RECORD + padded(most);
	size_t skip = need <= to_end ? 0 : to_end;
	if (!has_room(ring, head, skip + need))
		goto full;
	ring->skip = skip;
	ring->most = most;
	ring->stream = stream;
	return (uint8_t *)(record_at(ring, head + skip) + 1);
full:
	atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
	return NULL;
}

void log_commit(struct log_ring *ring, size_t len)
{
	ENSURE(len <= ring->most);
	if (len == 0)
		return;
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	if (ring->skip > 0)
		*record_at(ring, head) =
			(struct log_record){.len = (uint32_t)(ring->skip - RECORD), .stream = LOG_RECORD_SKIP};
	head += ring->skip;
	*record_at(ring, head) = (struct log_record){.len = (uint32_t)len, .stream = ring->stream};
	/*
	 * Sequentially consistent, as is the load below: either this thread sees that the writer parks, or it
	 * sees the record.
	 */
	atomic_store(&ring->head, head + RECORD + padded(len));
	if (__builtin_expect(atomic_load(&ring->log->state) == LOG_PARKED, 0))
		log_writer_wake(ring->log);
}

const struct log_record *log_ring_next(const struct log_ring *ring, size_t *position)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	while (*position != head) {
		const struct log_record *record = record_at(ring, *position);
		*position += RECORD + padded(record->len);
		if (record->stream != LOG_RECORD_SKIP)
			return record;
	}
	return NULL;
}

void log_ring_release(struct log_ring *ring, size_t position)
{
	atomic_store_explicit(&ring->tail, position, memory_order_release);
}

size_t log_ring_fill(const struct log_ring *ring)
{
	return atomic_load(&ring->head) - atomic_load_explicit(&ring->tail, memory_order_relaxed);
}
