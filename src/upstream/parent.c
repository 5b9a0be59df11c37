/*
 * Parents of the process, and a worker's part of them. See parent.h.
 */
#include "upstream/parent.h"

#include "upstream/parent_internal.h"
#include "upstream/room_internal.h"

#include <stdatomic.h>
#include <stdio.h>

enum parent_health { PARENT_UNCHECKED, PARENT_UP, PARENT_DOWN };

/* Of one server; times on the loops' clock, ms. */
struct parent_state {
	atomic_uint health;               /* enum parent_health */
	atomic_uint strikes;              /* in a row */
	atomic_uint asides;               /* in a row */
	atomic_uint_fast64_t aside_since; /* 0: it is not */
	atomic_uint_fast64_t aside_until;
};

struct parents {
	struct memory *memory;
	size_t size; /* of all this, bytes */
	const struct parent_plans *plans;
	struct parent_state states[];
};

struct parents *parents_new(struct memory *memory, const struct parent_plans *plans)
{
	size_t size = sizeof(struct parents) + plans->server_count * sizeof(struct parent_state);
	struct parents *parents = memory_alloc(memory, size);

	if (!parents)
		return NULL;
	memset(parents, 0, size);
	parents->memory = memory;
	parents->size = size;
	parents->plans = plans;
	return parents;
}

void parents_free(struct parents *parents)
{
	if (parents)
		memory_free(parents->memory, parents, parents->size);
}

const struct parent_plans *parents_plans(const struct parents *parents)
{
	return parents->plans;
}

/* ---- how a server is ---- */

bool parent_server_is_well(const struct parents *parents, uint32_t server, uint64_t now_ms)
{
	const struct parent_state *state = &parents->states[server];

	return atomic_load_explicit(&state->health, memory_order_relaxed) != PARENT_DOWN &&
	       atomic_load_explicit(&state->aside_until, memory_order_relaxed) <= now_ms;
}

bool parent_server_take(struct parents *parents, uint32_t server, uint64_t now_ms)
{
	struct parent_state *state = &parents->states[server];
	uint_fast64_t until = atomic_load_explicit(&state->aside_until, memory_order_relaxed);

	if (!parent_server_is_well(parents, server, now_ms))
		return false;
	return until == 0 ||
	       atomic_compare_exchange_strong(&state->aside_until, &until, now_ms + PARENT_TRIAL_MS);
}

static void say(const struct parents *parents, uint32_t server, struct log_ring *log, enum log_level level,
		const char *what, const struct error *why)
{
	const struct parent_server *who = parents->plans->servers[server];
	const struct parent_plan *plan = &parents->plans->items[who->parent];

	log_say(log, level, "parent %.*s: server %.*s %s%s%s", SPAN_ARG(plan->name), SPAN_ARG(who->text),
		what, why ? ": " : "", why ? error_text(why) : "");
}

void parent_server_succeeded(struct parents *parents, uint32_t server, struct log_ring *log)
{
	struct parent_state *state = &parents->states[server];

	if (atomic_load_explicit(&state->strikes, memory_order_relaxed))
		atomic_store(&state->strikes, 0);
	if (atomic_load_explicit(&state->aside_until, memory_order_relaxed) == 0)
		return;
	atomic_store(&state->asides, 0);
	atomic_store(&state->aside_since, 0);
	if (atomic_exchange(&state->aside_until, 0) != 0)
		say(parents, server, log, LOG_INFO, "is used again", NULL);
}

void parent_server_failed(struct parents *parents, uint32_t server, bool maybe, uint64_t began_ms,
			  uint64_t now_ms, struct log_ring *log, const struct error *why)
{
	struct parent_state *state = &parents->states[server];
	uint_fast64_t since = atomic_load(&state->aside_since);
	uint_fast64_t pause = PARENT_ASIDE_MS;
	char what[48];

	/* Tries that were under way when it was set aside tell nothing new. */
	if (since && began_ms <= since)
		return;
	/* One that was set aside already has to prove that it is well; any failure speaks against that. */
	if (maybe && since == 0 && atomic_fetch_add(&state->strikes, 1) + 1 < PARENT_STRIKES)
		return;
	if (!atomic_compare_exchange_strong(&state->aside_since, &since, size_max(now_ms, 1)))
		return; /* another worker has just done it */
	unsigned times = atomic_fetch_add(&state->asides, 1);
	atomic_store(&state->strikes, 0);
	pause = times < 16 ? size_min(pause << times, PARENT_ASIDE_MOST_MS) : PARENT_ASIDE_MOST_MS;
	atomic_store(&state->aside_until, now_ms + pause);
	snprintf(what, sizeof(what), "is set aside for %u s", (unsigned)(pause / 1000));
	say(parents, server, log, LOG_WARNING, what, why);
}

void parent_server_checked(struct parents *parents, uint32_t server, bool good, struct log_ring *log,
			   const struct error *why)
{
	struct parent_state *state = &parents->states[server];
	unsigned before = atomic_exchange(&state->health, good ? PARENT_UP : PARENT_DOWN);

	if (good)
		parent_server_succeeded(parents, server, log);
	if (good && before != PARENT_UP)
		say(parents, server, log, LOG_INFO, "is up", NULL);
	else if (!good && before != PARENT_DOWN)
		say(parents, server, log, LOG_WARNING, "is down", why);
}

/* ---- on a worker ---- */

bool parents_attach(struct worker *worker, struct parents *parents)
{
	const struct parent_plans *plans = parents->plans;
	size_t size = sizeof(struct parent_desk) + plans->count * sizeof(struct tls_client *) +
		      plans->server_count * sizeof(struct tls_peer);
	struct parent_desk *desk = memory_alloc(worker->memory, size);

	if (!desk)
		return false;
	memset(desk, 0, size);
	desk->shared = parents;
	desk->peers = (struct tls_peer *)(desk + 1);
	desk->clients = (struct tls_client **)(desk->peers + plans->server_count);
	for (uint32_t i = 0; i < plans->server_count; i++)
		tls_peer_init(&desk->peers[i], plans->servers[i]->peer_name);
	upstream_room(worker)->parents = desk;
	return true;
}

void parents_detach(struct worker *worker, struct parent_desk *desk)
{
	if (!desk)
		return;
	const struct parent_plans *plans = desk->shared->plans;

	for (uint32_t i = 0; i < plans->server_count; i++)
		tls_peer_fini(&desk->peers[i]);
	for (uint32_t i = 0; i < plans->count; i++)
		tls_client_free(desk->clients[i]);
	memory_free(worker->memory, desk,
		    sizeof(*desk) + plans->count * sizeof(struct tls_client *) +
			    plans->server_count * sizeof(struct tls_peer));
}

struct parents *parents_of(const struct worker *worker)
{
	const struct parent_desk *desk = upstream_room(worker)->parents;

	return desk ? desk->shared : NULL;
}

bool parent_secure(struct conn *conn, const struct parent_server *server, uint64_t timeout_ms)
{
	struct parent_desk *desk = upstream_room(conn->worker)->parents;
	const struct parent_plan *plan = &desk->shared->plans->items[server->parent];
	struct tls_client **client = &desk->clients[server->parent];
	struct tls_client_options options = {
		.trust = plan->trust,
		.minimum = (enum tls_version)plan->settings->tls.minimum,
		.alpn = TLS_ALPN_HTTP1,
		.sni = plan->settings->tls.sni,
		.certificate = plan->certificate,
		.key = plan->key,
	};
	const char *why;

	/* What can be wrong with the files was found when the configuration was read. */
	if (!*client)
		*client = tls_client_new(conn->worker, &options, &why);
	return *client && tls_connect(conn, *client, &desk->peers[server->index], timeout_ms);
}
