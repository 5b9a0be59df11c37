/*
 * The limit of a group's connections: attempts that may not begin wait, first come first served, for a connection to end, or for a session of their
 * server to have room. Idle connections to other servers are closed to make room, on other workers too.
 */
#ifndef GUISE_UPSTREAM_CONNECTIONS_INTERNAL_H
#define GUISE_UPSTREAM_CONNECTIONS_INTERNAL_H

#include "upstream/attempt_internal.h"

void connections_init(struct upstream_group *group);

/* One more connection may be made, and is counted. False: wait. */
WARN_UNUSED bool connections_claim(struct upstream_group *group);
/* False: as many wait as may (`limits.pending`). */
WARN_UNUSED bool connections_wait(struct attempt *attempt);
void connections_leave(struct attempt *attempt); /* it waits no longer */

/* Gives what waits another chance; closes an idle connection if those of other workers wait. */
void connections_serve(struct upstream_group *group);
/* A session has room, or is idle. */
void connections_on_session(struct upstream_group *group);

#endif
