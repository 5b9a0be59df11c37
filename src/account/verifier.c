/*
 * The threads, and their queue: a mutex around two short lists, held for a few instructions. See verifier.h.
 */
#include "account/verifier.h"

#include <pthread.h>

struct verifier_thread {
	pthread_t thread;
	struct verifier *verifier;
	struct hash_workspace *workspace;
	bool started;
};

struct verifier {
	struct memory *memory;
	const struct verifier_ops *ops;
	void *owner;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct link waiting, running; /* tasks */
	unsigned count, most;
	bool stopping;
	unsigned thread_count;
	struct verifier_thread threads[];
};

static size_t verifier_size(unsigned threads)
{
	return sizeof(struct verifier) + threads * sizeof(struct verifier_thread);
}

struct verifier *verifier_new(struct memory *memory, unsigned threads, unsigned most,
			      const struct verifier_ops *ops, void *owner)
{
	struct verifier *verifier = memory_alloc(memory, verifier_size(threads));

	if (!verifier)
		return NULL;
	memset(verifier, 0, verifier_size(threads));
	verifier->memory = memory;
	verifier->ops = ops;
	verifier->owner = owner;
	verifier->most = most;
	verifier->thread_count = threads;
	pthread_mutex_init(&verifier->lock, NULL);
	pthread_cond_init(&verifier->more, NULL);
	list_init(&verifier->waiting);
	list_init(&verifier->running);
	return verifier;
}

void verifier_free(struct verifier *verifier)
{
	if (!verifier)
		return;
	pthread_cond_destroy(&verifier->more);
	pthread_mutex_destroy(&verifier->lock);
	memory_free(verifier->memory, verifier, verifier_size(verifier->thread_count));
}

/* ---- tasks ---- */

struct verifier_task *verifier_task_new(struct verifier *verifier)
{
	struct verifier_task *task = memory_alloc(verifier->memory, sizeof(*task));

	return task ? memset(task, 0, sizeof(*task)) : NULL;
}

void verifier_task_free(struct verifier *verifier, struct verifier_task *task)
{
	explicit_bzero(task, sizeof(*task));
	memory_free(verifier->memory, task, sizeof(*task));
}

static struct verifier_task *find_in(struct link *head, const struct login_mac *mac)
{
	for (struct link *link = head->next; link != head; link = link->next) {
		struct verifier_task *task = CONTAINER_OF(link, struct verifier_task, link);
		if (memcmp(&task->mac, mac, sizeof(*mac)) == 0)
			return task;
	}
	return NULL;
}

static bool join(struct verifier *verifier, const struct login_mac *mac, struct verifier_waiter *waiter)
{
	struct verifier_task *task = find_in(&verifier->running, mac);

	if (!task)
		task = find_in(&verifier->waiting, mac);
	if (!task)
		return false;
	waiter->next = task->waiters;
	task->waiters = waiter;
	return true;
}

bool verifier_join(struct verifier *verifier, const struct login_mac *mac, struct verifier_waiter *waiter)
{
	pthread_mutex_lock(&verifier->lock);
	bool joined = join(verifier, mac, waiter);
	pthread_mutex_unlock(&verifier->lock);
	return joined;
}

enum verifier_asked verifier_ask(struct verifier *verifier, struct verifier_task *task,
				 struct verifier_waiter *waiter)
{
	enum verifier_asked asked = VERIFIER_TAKEN;

	pthread_mutex_lock(&verifier->lock);
	if (join(verifier, &task->mac, waiter)) {
		asked = VERIFIER_JOINED;
	} else if (verifier->count == verifier->most || verifier->stopping) {
		asked = VERIFIER_FULL;
	} else {
		waiter->next = NULL;
		task->waiters = waiter;
		verifier->count++;
		list_push(&verifier->waiting, &task->link);
		pthread_cond_signal(&verifier->more);
	}
	pthread_mutex_unlock(&verifier->lock);
	return asked;
}

/* ---- threads ---- */

/* Nobody can join it any more once it is in no list. */
static void task_answer(struct verifier *verifier, struct verifier_task *task, enum verifier_answer answer)
{
	explicit_bzero(task->password, sizeof(task->password));
	verifier->ops->on_verified(task, answer, verifier->owner);
	pthread_mutex_lock(&verifier->lock);
	list_remove(&task->link);
	verifier->count--;
	struct verifier_waiter *waiter = task->waiters;
	pthread_mutex_unlock(&verifier->lock);
	while (waiter) {
		struct verifier_waiter *next = waiter->next;
		verifier->ops->on_answer(waiter, answer, verifier->owner);
		waiter = next;
	}
	verifier_task_free(verifier, task);
}

/* The next task, which is running then; NULL: it is over. */
static struct verifier_task *task_next(struct verifier *verifier)
{
	struct link *link = NULL;

	pthread_mutex_lock(&verifier->lock);
	while (!verifier->stopping && !(link = list_pop(&verifier->waiting)))
		pthread_cond_wait(&verifier->more, &verifier->lock);
	if (link)
		list_push(&verifier->running, link);
	pthread_mutex_unlock(&verifier->lock);
	return link ? CONTAINER_OF(link, struct verifier_task, link) : NULL;
}

static void *verifier_main(void *argument)
{
	struct verifier_thread *self = argument;
	struct verifier_task *task;

	while ((task = task_next(self->verifier))) {
		bool matches = hash_matches(self->workspace, task->hash, task->password);
		bool good = matches & !task->decoy;
		task_answer(self->verifier, task, good ? VERIFIER_GOOD : VERIFIER_WRONG);
	}
	return NULL;
}

bool verifier_start(struct verifier *verifier)
{
	for (unsigned i = 0; i < verifier->thread_count; i++) {
		struct verifier_thread *thread = &verifier->threads[i];
		thread->verifier = verifier;
		thread->workspace = hash_workspace_new();
		if (!thread->workspace)
			return false;
		thread->started = pthread_create(&thread->thread, NULL, verifier_main, thread) == 0;
		if (!thread->started)
			return false;
	}
	return true;
}

void verifier_stop(struct verifier *verifier)
{
	struct link *link;

	pthread_mutex_lock(&verifier->lock);
	verifier->stopping = true;
	pthread_cond_broadcast(&verifier->more);
	pthread_mutex_unlock(&verifier->lock);
	for (unsigned i = 0; i < verifier->thread_count; i++) {
		struct verifier_thread *thread = &verifier->threads[i];
		if (thread->started)
			pthread_join(thread->thread, NULL);
		hash_workspace_free(thread->workspace);
		*thread = (struct verifier_thread){0};
	}
	while ((link = list_pop(&verifier->waiting)))
		task_answer(verifier, CONTAINER_OF(link, struct verifier_task, link), VERIFIER_STOPPED);
}
