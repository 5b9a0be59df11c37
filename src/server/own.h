/*
 * What belongs to this process, for the egress guard: where it listens, the machine's addresses, its upstream servers and parent proxies. What of it
 * changes is followed on the control thread, of which this is a part (control.h): interfaces are looked at again and again, and names that workers
 * resolve at each connect are resolved here too, so that their addresses are known before anybody asks for one of them.
 */
#ifndef GUISE_SERVER_OWN_H
#define GUISE_SERVER_OWN_H

#include "core/base.h"

struct own;
struct server;
struct worker;

/* Fills server->own but for the fleet's servers; does nothing without a forward listener. After sockets are bound. False: out of memory. */
WARN_UNUSED bool own_prepare(struct server *server);
void own_fini(struct server *server); /* after the fleet, and whatever else holds servers */

/* NULL: out of memory. */
WARN_UNUSED struct own *own_start(struct worker *worker, struct server *server);
bool own_settled(const struct own *own); /* each name has been answered, in one way or the other */
void own_stop(struct own *own);          /* NULL is fine */

#endif
