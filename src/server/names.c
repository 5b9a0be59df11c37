/*
 * A resolver and discovery on a loop that runs here. See names.h.
 */
#include "server/names.h"

#include "config/files.h"
#include "server/server_internal.h"
#include "upstream/discovery.h"

#include <stdlib.h>

enum { PATIENCE_MS = 3000, TURN_MS = 20 };

static bool snapshot_has_names(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->upstream_count; i++)
		if (discovery_is_needed(&snapshot->upstreams[i].servers) ||
		    discovery_is_needed(&snapshot->plans[i].file_servers))
			return true;
	return false;
}

static void names_tell(void *owner, const struct discovery_missing *missing)
{
	struct diagnostics *diagnostics = owner;
	const struct upstream_settings *settings = missing->plan->settings;
	const char *file = diagnostics->file;

	if (missing->file)
		diagnostics->file = files_path(diagnostics->arena, missing->plan->base, settings->file.text);
	diagnostics_warning(
		diagnostics, missing->server->address.place,
		"\"%.*s\" does not resolve: %s; until it does, it is no server of the upstream \"%s\"",
		SPAN_ARG(missing->name), missing->why, settings->name.text);
	diagnostics->file = file;
}

static void names_ask(struct worker *worker, struct fleet *fleet, struct diagnostics *diagnostics)
{
	struct discovery *discovery = discovery_start(worker, fleet);
	uint64_t end = worker->loop.now + PATIENCE_MS;

	if (!discovery)
		return;
	while (!discovery_settled(discovery) && worker->loop.now < end)
		loop_turn(&worker->loop, TURN_MS);
	loop_turn(&worker->loop, 0); /* what came last goes to where it is used */
	discovery_each_missing(discovery, names_tell, diagnostics);
	discovery_stop(discovery);
}

/* Out of memory or descriptors, nothing is found. */
static void names_check_with(struct server *server, struct worker *worker, struct diagnostics *diagnostics)
{
	server->fleet =
		fleet_new(&server->memory, server->snapshot->plans, server->snapshot->upstream_count, 1, NULL);
	if (server->fleet && resolver_prepare(server) && worker_init(worker, 0, &server->memory, NULL)) {
		if (resolver_init(worker, &server->resolver)) {
			names_ask(worker, server->fleet, diagnostics);
			resolver_fini(worker);
		}
		loop_settle(&worker->loop);
		worker_fini(worker);
	}
	fleet_free(server->fleet);
	map_fini(&server->hosts);
}

void names_check(struct snapshot *snapshot, struct diagnostics *diagnostics)
{
	if (!snapshot_has_names(snapshot))
		return;
	struct server *server = calloc(1, sizeof(*server));
	struct worker *worker = calloc(1, sizeof(*worker));
	if (server && worker) {
		server->snapshot = snapshot;
		memory_init(&server->memory, 0);
		arena_init(&server->arena, &server->memory, NULL, NULL, 0);
		names_check_with(server, worker, diagnostics);
		arena_fini(&server->arena);
	}
	free(worker);
	free(server);
}
