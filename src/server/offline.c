/*
 * See offline.h.
 */
#include "server/offline.h"

#include "account/allowance.h"
#include "proxy/secrets.h"
#include "server/own.h"
#include "server/server_internal.h"
#include "tls/server.h"
#include "upstream/parent.h"

#include <stdlib.h>

enum { RESOLVER_ENTRIES = 16 };

struct offline {
	struct server server;
	struct worker worker;
	bool working; /* the worker is there */
	bool rooms;   /* some of its rooms may be */
};

/* Nothing is looked up; the resolver only has to be there. */
static bool offline_worker_init(struct offline *offline)
{
	struct server *server = &offline->server;

	server->resolver = (struct resolver_settings){
		.servers = "", .cache_entries = RESOLVER_ENTRIES, .hosts = &server->hosts};
	offline->working = worker_init(&offline->worker, 0, &server->memory, NULL);
	offline->rooms = offline->working;
	return offline->working && rooms_init(&offline->worker, server, 1);
}

static bool offline_init(struct offline *offline, struct snapshot *snapshot)
{
	struct server *server = &offline->server;

	server->snapshot = snapshot;
	server->limits = snapshot->settings.limits;
	server->worker_count = 1;
	memory_init(&server->memory, 0);
	arena_init(&server->arena, &server->memory, NULL, NULL, 0);
	map_init(&server->hosts, &server->memory);
	if (!sockets_describe(server) || !listeners_prepare(server))
		return false;
	server->fleet = fleet_new(&server->memory, snapshot->plans, snapshot->upstream_count, 1, NULL);
	server->admin.fleet = server->fleet;
	if (server->fleet && server->own.servers)
		fleet_keep_addresses(server->fleet, server->own.servers);
	server->parents = parents_new(&server->memory, &snapshot->parents);
	return server->fleet && server->parents && offline_worker_init(offline);
}

struct offline *offline_new(struct snapshot *snapshot)
{
	struct offline *offline = calloc(1, sizeof(*offline));

	if (offline && offline_init(offline, snapshot))
		return offline;
	offline_free(offline);
	return NULL;
}

void offline_free(struct offline *offline)
{
	if (!offline)
		return;
	struct server *server = &offline->server;
	struct worker *worker = &offline->worker;

	if (offline->rooms) {
		loop_settle(&worker->loop);
		rooms_fini(worker);
		if (worker->slots[WORKER_SLOT_TLS])
			tls_room_fini(worker);
	}
	if (offline->working)
		worker_fini(worker);
	parents_free(server->parents);
	fleet_free(server->fleet);
	user_files_fini(server);
	secrets_free(server->secrets);
	allowances_free(server->allowances);
	own_fini(server);
	map_fini(&server->hosts);
	arena_fini(&server->arena);
	free(offline);
}

const struct admin *offline_admin(const struct offline *offline)
{
	return &offline->server.admin;
}

struct worker *offline_worker(struct offline *offline)
{
	return &offline->worker;
}
