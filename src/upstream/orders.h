/*
 * Orders for servers at run time: the one place for them, whoever gives them. They hold until another one comes, and survive a reload of the
 * configuration for servers that did not change. Any thread that has a worker; workers see them at once, or at their next pick.
 */
#ifndef GUISE_UPSTREAM_ORDERS_H
#define GUISE_UPSTREAM_ORDERS_H

#include "upstream/fleet.h"

enum { FLEET_WEIGHT_MOST = 256 };

/* The server whose `text` this is, held for the caller; NULL: the group has none. */
WARN_UNUSED struct fleet_server *fleet_server_find(struct fleet_group *group, struct span text);

/*
 * What it takes from now on. One that comes back from maintenance starts slowly (slow_start). `worker` is the caller's: its clock, its log. False: it
 * was so before.
 */
bool fleet_order_set(struct fleet_group *group, struct fleet_server *server, enum fleet_order order,
		     const struct worker *worker);

/* Its weight from now on, 1..FLEET_WEIGHT_MOST (checked by the caller), instead of the configured one; 0: that one. False: it was so before. */
bool fleet_weight_set(struct fleet_group *group, struct fleet_server *server, unsigned weight,
		      const struct worker *worker);

/* "ready", "drain", "maintenance". */
const char *fleet_order_name(enum fleet_order order);
/* False: it is none of them. */
WARN_UNUSED bool fleet_order_parse(struct span name, enum fleet_order *order);

#endif
