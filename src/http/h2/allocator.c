/*
 * Blocks by size class, each with its class in front. Called by nghttp2 on the worker's thread.
 */
#include "http/h2/allocator.h"

#include "core/span.h"

#include <string.h>

enum {
	CLASS_LEAST = 64, /* bytes of the smallest class, header included */
	CLASS_KEPT = 256, /* free blocks held of each class */
	CLASS_NONE = H2_ALLOCATOR_CLASSES,
};

/* As large as the strictest alignment. */
struct block_head {
	size_t used; /* bytes behind the head that were asked for */
	uint32_t class;
	uint32_t unused;
};

_Static_assert(sizeof(struct block_head) % _Alignof(max_align_t) == 0, "blocks must stay aligned");

static unsigned class_of(size_t size)
{
	unsigned class = 0;

	while (class < CLASS_NONE && size > (size_t)CLASS_LEAST << class)
		class ++;
	return class;
}

/* Of the whole block, bytes. */
static size_t size_of(const struct block_head *head)
{
	return head->class < CLASS_NONE ? (size_t)CLASS_LEAST << head->class : head->used + sizeof(*head);
}

static void *allocate(size_t bytes, void *owner)
{
	struct h2_allocator *allocator = owner;
	size_t size = bytes + sizeof(struct block_head);
	unsigned class = class_of(size);
	struct block_head *head;

	if (size < bytes)
		return NULL;
	if (class < CLASS_NONE) {
		size = (size_t)CLASS_LEAST << class;
		head = pool_get(&allocator->classes[class]);
	} else {
		head = memory_alloc(allocator->classes[0].memory, size);
	}
	if (!head)
		head = memory_alloc_beyond(allocator->classes[0].memory, size);
	*head = (struct block_head){.used = bytes, .class = class};
	return head + 1;
}

static void release(void *block, void *owner)
{
	struct h2_allocator *allocator = owner;
	struct block_head *head;

	if (!block)
		return;
	head = (struct block_head *)block - 1;
	span_wipe(span_make(block, head->used));
	if (head->class < CLASS_NONE)
		pool_put(&allocator->classes[head->class], head);
	else
		memory_free(allocator->classes[0].memory, head, size_of(head));
}

static void *allocate_cleared(size_t count, size_t bytes, void *owner)
{
	size_t all;

	if (__builtin_mul_overflow(count, bytes, &all))
		return NULL;
	void *block = allocate(all, owner);
	return block ? memset(block, 0, all) : NULL;
}

static void *reallocate(void *block, size_t bytes, void *owner)
{
	struct block_head *head;

	if (!block)
		return allocate(bytes, owner);
	head = (struct block_head *)block - 1;
	size_t room = size_of(head) - sizeof(*head);
	if (bytes <= room) {
		head->used = size_max(head->used, bytes);
		return block;
	}
	void *larger = allocate(bytes, owner);
	if (!larger)
		return NULL;
	memcpy(larger, block, head->used);
	release(block, owner);
	return larger;
}

void h2_allocator_init(struct h2_allocator *allocator, struct memory *memory)
{
	for (unsigned i = 0; i < H2_ALLOCATOR_CLASSES; i++)
		pool_init(&allocator->classes[i], memory, (size_t)CLASS_LEAST << i, CLASS_KEPT);
	allocator->table = (nghttp2_mem){allocator, allocate, release, allocate_cleared, reallocate};
}

void h2_allocator_fini(struct h2_allocator *allocator)
{
	for (unsigned i = 0; i < H2_ALLOCATOR_CLASSES; i++)
		pool_fini(&allocator->classes[i]);
}
