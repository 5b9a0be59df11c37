/*
 * Which server would be picked, without picking it. On one worker.
 */
#ifndef GUISE_UPSTREAM_PEEK_H
#define GUISE_UPSTREAM_PEEK_H

#include "upstream/pick.h"

struct upstream_peek {
	enum upstream_pick pick;        /* what upstream_pick would answer */
	unsigned tier;                  /* of the view: that is picked from; PICKED and FULL */
	struct upstream_server *server; /* NULL: turns, loads or the lot decide between those of the tier */
	bool sticky;                    /* `server` is the one that the query sticks to */
};

void upstream_peek(struct upstream_group *group, const struct upstream_query *query,
		   struct upstream_peek *peek);

/* Whether a server of the view may be picked now for the query, but for its turn. */
bool upstream_may_pick(const struct upstream_server *server, const struct upstream_query *query);

#endif
