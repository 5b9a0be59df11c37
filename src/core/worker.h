/*
 * A worker: one thread, one loop, and everything that it needs. Passed to whoever works on it; there are no
 * globals. Rooms above keep what they own for each worker in a slot of their own, which no other room reads.
 */
#ifndef GUISE_CORE_WORKER_H
#define GUISE_CORE_WORKER_H

#include "core/chunk.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mailbox.h"
#include "core/random.h"

enum worker_slot {
	WORKER_SLOT_NET,
	WORKER_SLOT_RESOLVER,
	WORKER_SLOT_DATAGRAM,
	WORKER_SLOT_TLS,
	WORKER_SLOT_EXCHANGE,
	WORKER_SLOT_H1,
	WORKER_SLOT_H2,
	WORKER_SLOT_SOCKS,
	WORKER_SLOT_UPSTREAM,
	WORKER_SLOT_ENTRANCE,
	WORKER_SLOT_RAW_CLIENT,
	WORKER_SLOT_DETACHED,
	WORKER_SLOT_CLIENT_LOG,
	WORKER_SLOTS
};

struct worker {
	unsigned index;
	bool draining; /* no keep-alive any more; new exchanges end their connection */
	struct loop loop;
	struct memory *memory; /* the process's */
	struct buffers buffers;
	struct pool pages; /* for arenas, 4 KiB each */
	struct random random;
	struct log_ring *log;
	struct mailbox mailbox;
	struct block *receive; /* lent to whatever receives; replaced when a receiver kept it */
	void *slots[WORKER_SLOTS];
};

enum { WORKER_PAGE = 4096 };

/* Sets up everything but the slots. `log` is the worker's own ring. False: errno or ENOMEM. */
WARN_UNUSED bool worker_init(struct worker *worker, unsigned index, struct memory *memory,
			     struct log_ring *log);
void worker_fini(struct worker *worker);

#endif
