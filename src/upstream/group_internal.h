/*
 * What the files of a worker's groups share.
 */
#ifndef GUISE_UPSTREAM_GROUP_INTERNAL_H
#define GUISE_UPSTREAM_GROUP_INTERNAL_H

#include "upstream/pick.h"

/* group.c. NULL: out of memory. */
WARN_UNUSED struct upstream_server *upstream_server_new(struct upstream_group *group,
							struct fleet_server *fleet);
/* It is in no view any more: it ends when nobody uses it. */
void upstream_server_leave(struct upstream_server *server);

/* view.c: takes the fleet's roster over. False: out of memory; what was there stays. */
WARN_UNUSED bool upstream_view_apply(struct upstream_group *group);
void upstream_view_free(struct upstream_group *group,
			struct upstream_view *view); /* not its servers; NULL is fine */

/* sticky.c: harmless for a group that is not sticky. False: out of memory. */
WARN_UNUSED bool upstream_sticky_init(struct upstream_group *group);
void upstream_sticky_fini(struct upstream_group *group);

/* pick.c: tickets whose servers are down are told. */
void upstream_tell_down(struct upstream_group *group);

/* ---- pick.c, for peek.c ---- */

/* What a tier's balance is asked: those of its servers that were tried are put into `avoid`, which the answer borrows. */
struct balance_query upstream_balance_query(const struct upstream_group *group, unsigned tier,
					    const struct upstream_query *query,
					    unsigned avoid[UPSTREAM_TRIED_MOST]);
/* The server that the query sticks to. NULL: it is not there, or takes nothing now. */
struct upstream_server *upstream_pick_sticky(const struct upstream_group *group,
					     const struct upstream_query *query);
/* Whether it is only for lack of room that none of the tier was picked. */
bool upstream_tier_is_full(const struct upstream_tier *tier, const struct upstream_query *query);

#endif
