/*
 * Active checks of the servers of all groups that have `health`, run once for the process, on the control thread (server/control.h). What they find
 * out stands in the fleet (fleet_server.health), where workers see it, and survives a reload with the server.
 */
#ifndef GUISE_UPSTREAM_HEALTH_H
#define GUISE_UPSTREAM_HEALTH_H

#include "upstream/group.h"

struct health;

/*
 * Of the groups that the worker has views of (upstream_room_init); no other user of these views opens sessions. First checks come soon, spread
 * over a second or one interval. On the main thread, before the worker runs. NULL: out of memory.
 */
WARN_UNUSED struct health *health_start(struct worker *worker);
/* The group's roster may be another one: new servers are checked from now on, those that are gone are not any more. */
void health_look(struct health *health, size_t group);
/*
 * Cancels what is in progress; the memory goes at the end of the turn. On the worker's thread, or when that has ended and before its rooms do. NULL is
 * fine.
 */
void health_stop(struct health *health);

#endif
