/*
 * The queue of a group: see upstream_wait in pick.h.
 */
#ifndef GUISE_UPSTREAM_QUEUE_INTERNAL_H
#define GUISE_UPSTREAM_QUEUE_INTERNAL_H

#include "upstream/pick.h"

void upstream_queue_init(struct upstream_group *group);
/* Gives what waits another chance, first come first served, until one finds no room. */
void upstream_queue_serve(struct upstream_group *group);
/* A place has become free: somebody who waits, here or on another worker, gets it soon. */
void upstream_queue_on_place(struct upstream_group *group);

#endif
