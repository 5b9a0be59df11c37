/*
 * Stickiness by cookie: a client that was given one comes back to the server that it names, as long as that one takes requests.
 */
#ifndef GUISE_PROXY_STICKY_H
#define GUISE_PROXY_STICKY_H

#include "exchange/exchange.h"
#include "upstream/pick.h"

/*
 * Takes the group's cookie out of the request, and notes in the query which server it names. A cookie that is not ours, or not for this group, is as
 * good as none. Harmless for a group that is not sticky. False: out of memory.
 */
WARN_UNUSED bool sticky_read(struct exchange *x, struct upstream_group *group, struct upstream_query *query);

/*
 * The server of the ticket has answered: gives the client a cookie for it, unless it came with one. `secure`: the client came by https. False: out
 * of memory.
 */
WARN_UNUSED bool sticky_write(struct exchange *x, const struct upstream_query *query,
			      const struct upstream_ticket *ticket, bool secure);

#endif
