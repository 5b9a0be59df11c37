/*
 * Idle upstream connections of many who are not to be in each other's way: there is a bound for all of them together, and when it is passed, one goes of whoever has
 * most. So nobody loses what is idle because somebody else has opened much. Each step costs the same, however many there are. One worker's own.
 */
#ifndef GUISE_UPSTREAM_IDLE_SHARE_H
#define GUISE_UPSTREAM_IDLE_SHARE_H

#include "exchange/session.h"

enum { IDLE_SHARES_MOST = 1024 }; /* idle connections of all together */

struct idle_shares {
	uint32_t count, most; /* most <= IDLE_SHARES_MOST */
	uint32_t highest;     /* no level above it has a share */
	/* Shares by how many idle connections they have: who came to the level first stands first. */
	struct link levels[IDLE_SHARES_MOST + 2];
};

/* Of one who shares. */
struct idle_share {
	struct idle_shares *all;
	struct link level; /* in the list of its level; alone while it has none */
	struct link idle;  /* session.rest, the one that is idle for longest first */
	uint32_t count;
};

void idle_shares_init(struct idle_shares *all);
void idle_share_init(struct idle_share *share, struct idle_shares *all);

/* The session is idle. One may be discarded, this one or another; its owner is told. */
void idle_share_add(struct idle_share *share, struct session *session);
/* It is in use again, or ends. */
void idle_share_remove(struct idle_share *share, struct session *session);

#endif
