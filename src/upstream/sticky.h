/*
 * What a client is given so that it comes back to the same server: the server's id, sealed for its group. On one worker.
 */
#ifndef GUISE_UPSTREAM_STICKY_H
#define GUISE_UPSTREAM_STICKY_H

#include "upstream/group.h"

enum { STICKY_TEXT = 48 }; /* characters, of base64 for URLs */

static inline bool upstream_is_sticky(const struct upstream_group *group)
{
	return group->sticky != NULL;
}

/* For a sticky group. False: out of memory. */
WARN_UNUSED bool upstream_sticky_close(struct upstream_group *group, uint64_t id, char text[STICKY_TEXT]);
/* For a sticky group. False: it was not made for this group, or not with its secret. */
WARN_UNUSED bool upstream_sticky_open(struct upstream_group *group, struct span text, uint64_t *id);

#endif
