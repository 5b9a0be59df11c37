/*
 * Connections to servers of a group that belong to one client's connection (exchange/pin.h). On one worker.
 */
#ifndef GUISE_UPSTREAM_PINNED_H
#define GUISE_UPSTREAM_PINNED_H

#include "exchange/pin.h"
#include "upstream/group.h"

/* `pins` may be NULL. The fleet_server.id of a server of the group to which there is one on which nothing runs; 0: there is none. */
uint64_t upstream_pinned(const struct upstream_group *group, const struct pins *pins);
/* One to this server, to be opened or discarded at once; NULL: there is none. */
struct session *upstream_take_pinned(const struct upstream_server *server, struct pins *pins);
/* Ends the one to a server of the group that is idle for longest, of whatever client. False: there is none. */
bool upstream_close_pinned(const struct upstream_group *group);
/* See session_pin. The session is the server's. */
void upstream_pin(const struct upstream_server *server, struct session *session, struct exchange *x);

#endif
