/*
 * Memory for nghttp2, which allocates a few small things for each stream and frame: from pools by size, one worker's own, so that the heap is left
 * alone in the steady state, and what is taken counts against limits.memory. It is never refused, since nghttp2 1.52 does not bear that: an item
 * that could not be scheduled is freed twice. What its sessions may hold is bounded by other limits, and new work is refused while they
 * are past this one.
 *
 * What is released is wiped: fields of one client's requests stand in it, and the next session may be another's.
 */
#ifndef GUISE_HTTP_H2_ALLOCATOR_H
#define GUISE_HTTP_H2_ALLOCATOR_H

#include "core/memory.h"

#include <nghttp2/nghttp2.h>

enum { H2_ALLOCATOR_CLASSES = 6 }; /* 64 bytes to 2 KiB, doubling; what is larger comes from the heap */

struct h2_allocator {
	struct pool classes[H2_ALLOCATOR_CLASSES];
	nghttp2_mem table; /* to be given to sessions; points here, so that the allocator must stay where it is */
};

void h2_allocator_init(struct h2_allocator *allocator, struct memory *memory);
void h2_allocator_fini(struct h2_allocator *allocator); /* when all sessions are gone */

#endif
