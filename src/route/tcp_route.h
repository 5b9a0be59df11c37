/*
 * Where the connections of one tcp listener go: all to one group, or by the name in the ClientHello (SNI). Compiled with the snapshot, immutable
 * afterwards; matched on all workers at once. The cost of a match grows with the labels of the name, not with the routes.
 */
#ifndef GUISE_ROUTE_TCP_ROUTE_H
#define GUISE_ROUTE_TCP_ROUTE_H

#include "core/diagnostic.h"
#include "core/span.h"
#include "route/settings.h"

struct split; /* route/split.h */
struct tcp_router;

struct tcp_route {
	uint32_t index; /* from 0, in file order */
	uint32_t group; /* index in the groups that it was compiled with; of a split the first one's */
	const struct split *split; /* which group it is, is for split_choose; NULL: `group` */
	struct setting_place place;
};

/*
 * `groups`: the names of the upstream groups, NULL-terminated. NULL when there were errors (all of them are in the diagnostics) or memory ran out
 * (then an error says so too). Routes that earlier ones leave nothing to are warned of.
 */
WARN_UNUSED struct tcp_router *tcp_router_compile(const struct tcp_settings *settings, struct arena *arena,
						  const char *const *groups, struct diagnostics *diagnostics);
void tcp_router_free(struct tcp_router *router); /* gives back maps; the rest is the arena's. NULL is fine */

/* Whether it has `routes`: then the ClientHello has to be read first. */
bool tcp_router_by_name(const struct tcp_router *router);
/* The first route for a name (lower case, without trailing dot; empty: none was given); NULL: there is none. */
const struct tcp_route *tcp_router_match(const struct tcp_router *router, struct span name);

size_t tcp_router_count(const struct tcp_router *router);
const struct tcp_route *tcp_router_at(const struct tcp_router *router,
				      size_t index); /* index < tcp_router_count */

#endif
