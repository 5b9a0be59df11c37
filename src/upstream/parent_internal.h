/*
 * A worker's part of the parents. In the room of src/upstream.
 */
#ifndef GUISE_UPSTREAM_PARENT_INTERNAL_H
#define GUISE_UPSTREAM_PARENT_INTERNAL_H

#include "upstream/parent.h"

struct parent_desk {
	struct parents *shared;
	struct tls_client **clients; /* by parent; NULL: not needed yet */
	struct tls_peer *peers;      /* by server */
};

void parents_detach(struct worker *worker, struct parent_desk *desk); /* NULL is fine; after their connections */

#endif
