/*
 * The upstream groups of one worker: made at start from the fleet, used by the proxy. See group.h.
 */
#include "upstream/group.h"

#include "upstream/attempt_internal.h"
#include "upstream/connections_internal.h"
#include "upstream/group_internal.h"
#include "upstream/origin.h"
#include "upstream/origin_tls.h"
#include "upstream/queue_internal.h"
#include "upstream/room_internal.h"
#include "upstream/secure_internal.h"

/* ---- a server ---- */

/* As far as the configuration settles it. */
static enum upstream_speaks upstream_speaks(const struct upstream_settings *settings)
{
	if (settings->http == UPSTREAM_HTTP_2)
		return UPSTREAM_SPEAKS_HTTP2;
	if (settings->http == UPSTREAM_HTTP_1 || settings->proxy_protocol || !settings->tls.place.line)
		return UPSTREAM_SPEAKS_HTTP1;
	return UPSTREAM_SPEAKS_UNKNOWN;
}

static void server_free(struct loop_task *task)
{
	struct upstream_server *server = CONTAINER_OF(task, struct upstream_server, retire);
	struct worker *worker = server->group->worker;

	upstream_secure_server_fini(server);
	fleet_server_release(server->fleet);
	memory_free(worker->memory, server, sizeof(*server));
}

/* Gone, and nobody uses it: its memory goes with the turn. */
static void server_consider_end(struct upstream_server *server)
{
	if (!server->gone || server->users > 0 || server->pool.open > 0 || loop_task_queued(&server->retire))
		return;
	list_remove(&server->link);
	loop_retire(&server->group->worker->loop, &server->retire);
}

static void server_on_pool_empty(struct session_pool *pool)
{
	server_consider_end(CONTAINER_OF(pool, struct upstream_server, pool));
}

static void server_on_pool_room(struct session_pool *pool)
{
	connections_on_session(CONTAINER_OF(pool, struct upstream_server, pool)->group);
}

struct upstream_server *upstream_server_new(struct upstream_group *group, struct fleet_server *fleet)
{
	struct worker *worker = group->worker;
	struct upstream_server *server = memory_alloc(worker->memory, sizeof(*server));

	if (!server)
		return NULL;
	*server = (struct upstream_server){
		.fleet = fleet_server_retain(fleet),
		.group = group,
		.speaks = (uint8_t)upstream_speaks(group->settings),
	};
	list_init(&server->attempts);
	list_init(&server->waiting);
	list_init(&server->link);
	loop_task_init(&server->retire, server_free);
	session_pool_init(&server->pool, worker, (uint32_t)size_min(group->settings->keepalive, UINT32_MAX),
			  server_on_pool_empty);
	server->pool.on_room = server_on_pool_room;
	upstream_secure_server_init(server);
	return server;
}

void upstream_server_unuse(struct upstream_server *server)
{
	server->users--;
	server_consider_end(server);
}

static void server_give_up(struct upstream_server *server)
{
	struct link *link = server->attempts.next;

	while (link != &server->attempts) {
		struct attempt *attempt = CONTAINER_OF(link, struct attempt, link);
		link = link->next;
		if (attempt->waiting == 0)
			attempt_stop(attempt);
	}
}

static void server_drain(struct upstream_server *server)
{
	upstream_server_use(server);
	server_give_up(server);
	session_pool_drain(&server->pool);
	upstream_server_unuse(server);
}

void upstream_server_leave(struct upstream_server *server)
{
	server->gone = true;
	server->pool.keep = 0;
	list_push(&server->group->leaving, &server->link);
	server_drain(server);
}

/* ---- a group ---- */

static bool group_init(struct upstream_group *group, struct worker *worker, struct fleet *fleet, size_t index)
{
	*group = (struct upstream_group){
		.worker = worker,
		.fleet = fleet_group_at(fleet, index),
	};
	group->plan = fleet_plan(group->fleet);
	group->settings = group->plan->settings;
	list_init(&group->leaving);
	upstream_queue_init(group);
	connections_init(group);
	retry_budget_init(&group->budget, &group->settings->retry_budget, fleet_workers(fleet),
			  worker->loop.now);
	if (!upstream_secure_init(group) || !upstream_sticky_init(group))
		return false;
	group->version = fleet_version(group->fleet);
	return upstream_view_apply(group);
}

static void server_end(struct upstream_server *server)
{
	server_give_up(server);
	session_pool_fini(&server->pool);
}

/* No exchange is left. What ends is gone with the turn. */
static void group_end(struct upstream_group *group)
{
	for (unsigned i = 0; group->view && i < group->view->count; i++)
		server_end(group->view->servers[i]);
	for (struct link *link = group->leaving.next; link != &group->leaving; link = link->next)
		server_end(CONTAINER_OF(link, struct upstream_server, link));
}

static void group_fini(struct upstream_group *group)
{
	for (unsigned i = 0; group->view && i < group->view->count; i++)
		server_free(&group->view->servers[i]->retire);
	while (!list_empty(&group->leaving))
		server_free(&CONTAINER_OF(list_pop(&group->leaving), struct upstream_server, link)->retire);
	upstream_view_free(group, group->view);
	group->view = NULL;
	upstream_sticky_fini(group);
	upstream_secure_fini(group);
}

static void room_look(struct worker *worker, size_t index)
{
	struct upstream_room *room = upstream_room(worker);
	struct upstream_group *group = &room->groups[index];

	upstream_group_refresh(group);
	upstream_tell_down(group);
	upstream_queue_serve(group);
	connections_serve(group);
	if (room->on_look)
		room->on_look(room->look_owner, index);
}

bool upstream_room_init(struct worker *worker, struct fleet *fleet)
{
	size_t count = fleet_count(fleet);
	size_t size = sizeof(struct upstream_room) + count * sizeof(struct upstream_group);
	struct upstream_room *room = memory_alloc(worker->memory, size);

	if (!room)
		return false;
	memset(room, 0, size);
	room->size = size;
	worker->slots[WORKER_SLOT_UPSTREAM] = room;
	origins_init(&room->origins, worker);
	list_init(&room->origin_trusts);
	for (room->count = 0; room->count < count;) {
		size_t i = room->count++;
		if (!group_init(&room->groups[i], worker, fleet, i))
			return false;
	}
	fleet_attach(fleet, worker, room_look);
	return true;
}

void upstream_room_fini(struct worker *worker)
{
	struct upstream_room *room = upstream_room(worker);

	if (!room)
		return;
	origins_fini(&room->origins);
	for (size_t i = 0; i < room->count; i++)
		group_end(&room->groups[i]);
	loop_settle(&worker->loop);
	for (size_t i = 0; i < room->count; i++)
		group_fini(&room->groups[i]);
	parents_detach(worker, room->parents);
	origin_trusts_fini(worker, &room->origin_trusts);
	memory_free(worker->memory, room, room->size);
	worker->slots[WORKER_SLOT_UPSTREAM] = NULL;
}

struct upstream_group *upstream_group(const struct worker *worker, size_t index)
{
	return &upstream_room(worker)->groups[index];
}

size_t upstream_group_count(const struct worker *worker)
{
	return upstream_room(worker)->count;
}

void upstream_on_look(struct worker *worker, upstream_look_fn *on_look, void *owner)
{
	struct upstream_room *room = upstream_room(worker);

	room->on_look = on_look;
	room->look_owner = owner;
}

void upstream_drain(struct worker *worker)
{
	struct upstream_room *room = upstream_room(worker);

	origins_drain(&room->origins);
	for (size_t i = 0; i < room->count; i++) {
		struct upstream_view *view = room->groups[i].view;
		for (unsigned j = 0; j < view->count; j++)
			server_drain(view->servers[j]);
	}
}
