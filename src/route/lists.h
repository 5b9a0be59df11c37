/*
 * The named lists of a snapshot (`lists`), for rules. What a list holds is a table that is replaced while workers run, when its file has changed: the pointer to it
 * is the one thing here that changes.
 *
 * A worker looks at the table within one call that does not wait for anything, and keeps no pointer. Whoever publishes a new one frees the old one when
 * every worker has, after that, opened a letter: then no worker is inside of such a call.
 */
#ifndef GUISE_ROUTE_LISTS_H
#define GUISE_ROUTE_LISTS_H

#include "route/domain_list.h"
#include "route/settings.h"

#include <stdatomic.h>

struct list {
	const struct list_settings *settings;
	const char *base;   /* the directory that its file starts from; NULL: files are not read */
	uint64_t signature; /* of the file, when the snapshot was built */
	_Atomic(struct domain_list *) table; /* never NULL once the snapshot is built */
};

struct lists {
	struct list *items;
	size_t count;
};

static inline const struct domain_list *list_table(const struct list *list)
{
	return atomic_load_explicit(&list->table, memory_order_acquire);
}

/* What was there before; the caller's, once no worker looks at it. */
WARN_UNUSED static inline struct domain_list *list_publish(struct list *list, struct domain_list *table)
{
	return atomic_exchange_explicit(&list->table, table, memory_order_acq_rel);
}

#endif
