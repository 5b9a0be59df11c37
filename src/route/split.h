/*
 * Which upstream group requests go to, where a route names more than one: each gets its share. Compiled with the snapshot, immutable afterwards;
 * asked on all workers at once.
 */
#ifndef GUISE_ROUTE_SPLIT_H
#define GUISE_ROUTE_SPLIT_H

#include "core/diagnostic.h"
#include "core/random.h"
#include "http/request_key.h"
#include "route/settings.h"

struct split_share {
	uint32_t group; /* index in the groups that it was compiled with */
	uint32_t end;   /* its positions are those from the one before's end to here */
};

/*
 * A request has a position, by lot or by its key: the shares lie one after the other in the order of the configuration, so that as few clients
 * as can be change sides when weights do.
 */
struct split {
	const struct split_share *shares;
	uint32_t count;
	uint32_t total; /* of the weights; the last share's end */
	bool keyed;
	struct request_key key; /* if keyed */
};

/*
 * From `to` and `split_by`. A single group: *group and no split; else *group is the first's. `groups`: names, NULL-terminated. False after
 * diagnostics.
 */
WARN_UNUSED bool split_compile(const struct destination_settings *settings, const char *const *groups,
			       struct arena *arena, struct diagnostics *diagnostics, uint32_t *group,
			       const struct split **split);

/*
 * The group of one request. Requests that do not have the key go by lot. `head` may be NULL (raw connections): then only the client is known.
 */
uint32_t split_choose(const struct split *split, const struct http_head *head, const struct address *client,
		      struct random *random);

#endif
