/*
 * Putting a worker together and taking it apart. Called on the worker's own thread, or before it starts and
 * after it ended.
 */
#include "core/worker.h"

#include <errno.h>

enum { KEEP_PAGES = 256 };

bool worker_init(struct worker *worker, unsigned index, struct memory *memory, struct log_ring *log)
{
	*worker = (struct worker){.index = index, .memory = memory, .log = log};
	buffers_init(&worker->buffers, memory);
	pool_init(&worker->pages, memory, WORKER_PAGE, KEEP_PAGES);
	random_init(&worker->random);
	if (!loop_init(&worker->loop))
		goto fail;
	worker->receive = block_new(&worker->buffers, BLOCK_MEDIUM - BLOCK_HEADER);
	if (!worker->receive) {
		errno = ENOMEM;
		goto fail;
	}
	if (!mailbox_init(&worker->mailbox, &worker->loop, worker))
		goto fail;
	return true;
fail:
	block_release(&worker->buffers, worker->receive);
	loop_fini(&worker->loop);
	buffers_fini(&worker->buffers);
	return false;
}

void worker_fini(struct worker *worker)
{
	mailbox_fini(&worker->mailbox);
	loop_fini(&worker->loop);
	block_release(&worker->buffers, worker->receive);
	worker->receive = NULL;
	pool_fini(&worker->pages);
	buffers_fini(&worker->buffers);
}
