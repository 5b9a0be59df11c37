/*
 * Immutable tables whose place another has taken, and which workers may still be inside of. What a worker does is over before it opens a letter; so each
 * worker gets one, and when the last is opened, nobody is inside any more. Freed on the main thread, since giving back much memory takes longer than a
 * worker should. All of it is the main thread's but for the opening.
 */
#ifndef GUISE_SERVER_OUTDATED_H
#define GUISE_SERVER_OUTDATED_H

#include "core/base.h"

struct server;
struct outdated; /* room for one */
typedef void outdated_free_fn(void *table);

/* Before a table is replaced, so that it can be told afterwards without fail. NULL: out of memory. */
WARN_UNUSED struct outdated *outdated_new(struct server *server);
void outdated_drop(struct server *server, struct outdated *outdated); /* nothing was replaced */
/* After it was replaced: takes the room and the table, which may be NULL. */
void outdated_add(struct server *server, struct outdated *outdated, void *table, outdated_free_fn *table_free);

void outdated_look(struct server *server); /* frees those that nobody is inside of any more */
void outdated_fini(struct server *server); /* when the workers' mailboxes are gone */

#endif
