/*
 * Threads that verify passwords, so that no event loop waits for a hash that is dear by design. They know nothing of workers: what is asked is answered
 * on the thread that found out.
 */
#ifndef GUISE_ACCOUNT_VERIFIER_H
#define GUISE_ACCOUNT_VERIFIER_H

#include "account/cache.h"
#include "account/hash.h"
#include "account/settings.h"
#include "core/list.h"

struct verifier;

/* Who waits for an answer; several may wait for the same one. Owned by who asks until it is answered. */
struct verifier_waiter {
	struct verifier_waiter *next;
};

enum verifier_answer {
	VERIFIER_GOOD,
	VERIFIER_WRONG,
	VERIFIER_STOPPED, /* nobody has looked */
};

struct verifier_task;

/* All calls are on a thread of the verifier, or on the one that stops it. */
struct verifier_ops {
	/* Known, and none of those who wait has been told. The task's name and so on are still there; the password is not. */
	void (*on_verified)(struct verifier_task *task, enum verifier_answer answer, void *owner);
	/* For each who waits, once. */
	void (*on_answer)(struct verifier_waiter *waiter, enum verifier_answer answer, void *owner);
};

/* A password that is to be verified. Allocated by verifier_task_new, given to the verifier by verifier_ask. */
struct verifier_task {
	struct link link;
	struct login_mac mac; /* what tells it from others */
	struct verifier_waiter *waiters;
	bool decoy;    /* wrong, whatever the hash says */
	void *context; /* of who asks */
	char hash[HASH_TEXT_MOST + 1];
	char password[USER_PASSWORD_MOST + 1];
};

/* At most `most` tasks at a time. NULL: out of memory. */
struct verifier *verifier_new(struct memory *memory, unsigned threads, unsigned most,
			      const struct verifier_ops *ops, void *owner);
WARN_UNUSED bool verifier_start(struct verifier *verifier); /* false: no threads; verifier_stop still has to be called */
/* Waits for what the threads are at; what was not begun is answered with VERIFIER_STOPPED. */
void verifier_stop(struct verifier *verifier);
void verifier_free(struct verifier *verifier); /* stopped; NULL is fine */

struct verifier_task *verifier_task_new(struct verifier *verifier); /* cleared; NULL: out of memory */
void verifier_task_free(struct verifier *verifier,
			struct verifier_task *task); /* wiped; of one that was not taken */

/* The waiter waits for the task with this MAC, if there is one. Any thread, as the next. */
WARN_UNUSED bool verifier_join(struct verifier *verifier, const struct login_mac *mac,
			       struct verifier_waiter *waiter);

enum verifier_asked {
	VERIFIER_TAKEN,
	VERIFIER_JOINED, /* somebody else has asked for the same: the waiter is taken, the task is not */
	VERIFIER_FULL,   /* neither is */
};
WARN_UNUSED enum verifier_asked verifier_ask(struct verifier *verifier, struct verifier_task *task,
					     struct verifier_waiter *waiter);

#endif
