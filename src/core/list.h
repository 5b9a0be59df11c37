/*
 * Intrusive, circular, doubly linked list. The head is a link whose neighbours are the last and first
 * element.
 */
#ifndef GUISE_CORE_LIST_H
#define GUISE_CORE_LIST_H

#include "core/base.h"

struct link {
	struct link *next, *prev;
};

static inline void list_init(struct link *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct link *head)
{
	return head->next == head;
}

static inline void list_insert_after(struct link *where, struct link *item)
{
	item->prev = where;
	item->next = where->next;
	where->next->prev = item;
	where->next = item;
}

static inline void list_push(struct link *head, struct link *item)
{
	list_insert_after(head->prev, item);
}

static inline void list_push_front(struct link *head, struct link *item)
{
	list_insert_after(head, item);
}

/* Unlinks and leaves the item linked to itself, so that a second remove is harmless. */
static inline void list_remove(struct link *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->next = item->prev = item;
}

/* The first element unlinked, or NULL. */
static inline struct link *list_pop(struct link *head)
{
	struct link *first = head->next;
	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

#endif
