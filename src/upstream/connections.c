/*
 * See connections_internal.h. On one worker.
 */
#include "upstream/connections_internal.h"

#include "upstream/pinned.h"

void connections_init(struct upstream_group *group)
{
	list_init(&group->starved);
}

/* The server with most idle connections is the one that misses one least; who has one pinned misses it more. False: there are none. */
static bool close_an_idle_one(struct upstream_group *group)
{
	struct session_pool *most = NULL;

	for (unsigned i = 0; i < group->view->count; i++) {
		struct session_pool *pool = &group->view->servers[i]->pool;
		if (pool->idle_count > (most ? most->idle_count : 0))
			most = pool;
	}
	return (most && session_pool_close_idle(most)) || upstream_close_pinned(group);
}

/* A connection that takes its leave first (HTTP/2) is counted until it is closed: then those that wait are told. */
static bool claim(struct upstream_group *group)
{
	return fleet_connection_enter(group->fleet, group->worker) ||
	       (close_an_idle_one(group) && fleet_connection_enter(group->fleet, group->worker));
}

bool connections_claim(struct upstream_group *group)
{
	return list_empty(&group->starved) && claim(group);
}

bool connections_wait(struct attempt *attempt)
{
	struct upstream_group *group = attempt->group;

	if (!fleet_enter(group->fleet, FLEET_PENDING))
		return false;
	list_push(&group->starved, &attempt->line);
	fleet_wait(group->fleet, group->worker, FLEET_FOR_CONNECTION, 1);
	/* One may have ended between the claim and this, on a worker that saw nobody wait; and others may have idle ones. */
	loop_soon(&group->worker->loop, &group->serve);
	fleet_call_others(group->fleet, group->worker);
	return true;
}

void connections_leave(struct attempt *attempt)
{
	struct upstream_group *group = attempt->group;

	list_remove(&attempt->line);
	fleet_wait(group->fleet, group->worker, FLEET_FOR_CONNECTION, -1);
	fleet_leave(group->fleet, FLEET_PENDING);
}

/* Those whose server has a session on which others run, and that has room: it costs nobody anything. */
static void serve_shared(struct upstream_group *group)
{
	struct link passed;

	list_init(&passed);
	while (!list_empty(&group->starved)) {
		struct link *link = list_pop(&group->starved);
		struct attempt *attempt = CONTAINER_OF(link, struct attempt, line);
		list_push(&passed, link);
		if (attempt->server->pool.busy_count > 0)
			acquire_from_pool(attempt);
	}
	while (!list_empty(&passed)) {
		struct link *last = passed.prev;
		list_remove(last);
		list_push_front(&group->starved, last);
	}
}

/* True: somebody got something. */
static bool serve_starved(struct upstream_group *group)
{
	bool served = false;

	serve_shared(group);
	while (!list_empty(&group->starved)) {
		struct attempt *first = CONTAINER_OF(group->starved.next, struct attempt, line);
		if (!acquire_from_pool(first)) {
			if (!claim(group))
				return served;
			attempt_begin(first);
		}
		served = true;
	}
	return served;
}

void connections_serve(struct upstream_group *group)
{
	struct fleet_group *fleet = group->fleet;

	if (list_empty(&group->starved)) {
		fleet_connection_pass_on(fleet, group->worker);
		/* Others wait: what is idle here, or was left meanwhile, is theirs. */
		if (fleet_waits(fleet, FLEET_FOR_CONNECTION) && !close_an_idle_one(group))
			fleet_on_place(fleet, FLEET_FOR_CONNECTION, NULL);
		return;
	}
	/* With more than its share, a worker gives every other one that it has no use for to those of others. */
	if (fleet_connections_unfair(fleet, group->worker) &&
	    !fleet_has_turn(fleet, FLEET_FOR_CONNECTION, group->worker) && close_an_idle_one(group))
		return;
	bool served = serve_starved(group);
	if (list_empty(&group->starved))
		fleet_connection_pass_on(fleet, group->worker);
	else if (served)
		fleet_call_others(fleet, group->worker);
}

void connections_on_session(struct upstream_group *group)
{
	if (fleet_waits(group->fleet, FLEET_FOR_CONNECTION))
		loop_soon(&group->worker->loop, &group->serve);
}
