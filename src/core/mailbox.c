/*
 * Posting happens on any thread under the lock; everything else on the loop's thread.
 */
#include "core/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

/* The letters so far, in order; the mailbox is empty then, and the next letter rings again. */
static struct letter *take_all(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	struct letter *first = mailbox->first;
	mailbox->first = NULL;
	mailbox->end = &mailbox->first;
	pthread_mutex_unlock(&mailbox->lock);
	return first;
}

static void open_all(struct mailbox *mailbox)
{
	struct letter *next;
	for (struct letter *letter = take_all(mailbox); letter; letter = next) {
		next = letter->next;
		letter->open(letter, mailbox->owner);
	}
}

/* The counter is never read: edge-triggered, each ring is an event of its own. */
static void on_bell(struct loop_source *bell, uint32_t events)
{
	open_all(CONTAINER_OF(bell, struct mailbox, bell));
}

bool mailbox_init(struct mailbox *mailbox, struct loop *loop, void *owner)
{
	*mailbox = (struct mailbox){.loop = loop, .owner = owner};
	mailbox->end = &mailbox->first;
	mailbox->bell.on_event = on_bell;
	mailbox->bell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mailbox->bell.fd < 0)
		return false;
	if (!loop_add(loop, &mailbox->bell, EPOLLIN)) {
		close(loop_forget(loop, &mailbox->bell));
		return false;
	}
	pthread_mutex_init(&mailbox->lock, NULL);
	return true;
}

void mailbox_fini(struct mailbox *mailbox)
{
	open_all(mailbox);
	close(loop_remove(mailbox->loop, &mailbox->bell));
	pthread_mutex_destroy(&mailbox->lock);
}

void mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
	letter->next = NULL;
	pthread_mutex_lock(&mailbox->lock);
	bool was_empty = mailbox->first == NULL;
	*mailbox->end = letter;
	mailbox->end = &letter->next;
	/* Under the lock, so that whoever has opened the letter may close the mailbox. */
	if (was_empty)
		ENSURE(eventfd_write(mailbox->bell.fd, 1) == 0);
	pthread_mutex_unlock(&mailbox->lock);
}
