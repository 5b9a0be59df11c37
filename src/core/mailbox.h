/*
 * Letters from any thread to one loop's thread: a locked list and an eventfd that rings once for many
 * letters.
 */
#ifndef GUISE_CORE_MAILBOX_H
#define GUISE_CORE_MAILBOX_H

#include "core/loop.h"

#include <pthread.h>

struct letter;
typedef void letter_fn(struct letter *letter, void *owner);

struct letter {
	struct letter *next;
	letter_fn *open; /* called on the receiving thread with the mailbox's owner; may free the letter */
};

struct mailbox {
	struct loop_source bell;
	pthread_mutex_t lock;
	struct letter *first, **end;
	struct loop *loop;
	void *owner;
};

WARN_UNUSED bool mailbox_init(struct mailbox *mailbox, struct loop *loop, void *owner); /* false: errno tells */
void mailbox_fini(struct mailbox *mailbox);                        /* opens what is still in it */
void mailbox_post(struct mailbox *mailbox, struct letter *letter); /* any thread; in order for each sender */

#endif
