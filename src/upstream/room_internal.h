/*
 * What a worker keeps for upstream connections.
 */
#ifndef GUISE_UPSTREAM_ROOM_INTERNAL_H
#define GUISE_UPSTREAM_ROOM_INTERNAL_H

#include "upstream/group.h"
#include "upstream/origin.h"
#include "upstream/parent_internal.h"

struct upstream_room {
	struct origins origins;
	struct link origin_trusts;   /* struct origin_trust */
	struct parent_desk *parents; /* NULL: none are attached */
	size_t size;                 /* of all this, bytes */
	upstream_look_fn *on_look;   /* NULL: nobody asks */
	void *look_owner;
	size_t count; /* groups that have been set up, or begun to be */
	struct upstream_group groups[];
};

static inline struct upstream_room *upstream_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_UPSTREAM];
}

#endif
