/*
 * What the files of a path share: what only a way through parents needs. In the room of src/upstream.
 */
#ifndef GUISE_UPSTREAM_PATH_INTERNAL_H
#define GUISE_UPSTREAM_PATH_INTERNAL_H

#include "upstream/parent_talk.h"
#include "upstream/path.h"

/* The servers of the current try, the one that is connected to first, and what has failed before it. */
struct path_row {
	struct path *path;
	struct parent_talk talk;
	struct timer timer; /* of the current step, but for those that have one of their own */
	uint64_t began;     /* loop clock, ms: of the try */
	uint32_t servers[PARENT_HOPS_MOST];
	uint32_t tried[PATH_TRIES_MOST];
	uint8_t count, hop, tried_count;
};

/* path_choose.c */

void path_mark_tried(struct path *path, uint32_t server); /* it is not tried again */
/* The next choice, with a server for each hop: those that are well first. False: there is none left. */
WARN_UNUSED bool path_choose(struct path *path);

#endif
