/*
 * Which choice is tried next, and over which servers. See path.h.
 */
#include "upstream/path_internal.h"

static bool row_was_tried(const struct path_row *row, uint32_t server)
{
	for (unsigned i = 0; i < row->tried_count; i++)
		if (row->tried[i] == server)
			return true;
	return false;
}

void path_mark_tried(struct path *path, uint32_t server)
{
	struct path_row *row = path->row;

	if (row->tried_count < PATH_TRIES_MOST && !row_was_tried(row, server))
		row->tried[row->tried_count++] = server;
}

/* One of the parent's servers that has not failed here. PARENT_NONE: there is none. */
static uint32_t row_pick(const struct path *path, const struct parent_plan *plan, bool any)
{
	struct parents *parents = parents_of(path->worker);

	for (uint32_t i = 0; i < plan->count; i++) {
		uint32_t server = plan->servers[i].index;
		if (!row_was_tried(path->row, server) &&
		    (any || parent_server_take(parents, server, path->worker->loop.now)))
			return server;
	}
	return PARENT_NONE;
}

/* A server for each hop, from the last to the first. `any`: also those that are not well. */
static bool row_fill(struct path *path, uint32_t parent, bool any)
{
	const struct parent_plans *plans = parents_plans(parents_of(path->worker));
	uint32_t backwards[PARENT_HOPS_MOST], count = 0;
	const struct parent_server *only = path->wish.only;

	for (; parent != PARENT_NONE && count < PARENT_HOPS_MOST; parent = plans->items[parent].via) {
		uint32_t server = only && count == 0 ? only->index : row_pick(path, &plans->items[parent], any);
		if (server == PARENT_NONE || (only && count == 0 && row_was_tried(path->row, server)))
			return false;
		backwards[count++] = server;
	}
	for (uint32_t i = 0; i < count; i++)
		path->row->servers[i] = backwards[count - 1 - i];
	path->row->count = (uint8_t)count;
	return true;
}

static bool path_choose_from(struct path *path, bool any)
{
	bool may_try = path->row->tried_count <
		       PATH_TRIES_MOST; /* what failed is known, and so there is an end */

	for (uint32_t i = 0; i < path->wish.parent_count; i++) {
		uint32_t parent = path->wish.parents[i];
		path->choice = i;
		path->direct = parent == PARENT_DIRECT;
		if (path->direct ? !path->direct_tried : may_try && row_fill(path, parent, any))
			return true;
	}
	return false;
}

bool path_choose(struct path *path)
{
	if (path->wish.parent_count == 0) {
		path->direct = true;
		return !path->direct_tried;
	}
	return path_choose_from(path, false) || path_choose_from(path, true);
}
