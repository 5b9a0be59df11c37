/*
 * What each listening address means: from the snapshot to what the proxy room and the admin room work with. Main thread, before workers run.
 */
#include "mask/sameness.h"
#include "net/proxy_protocol.h"
#include "server/own.h"
#include "server/server_internal.h"
#include "socks/server.h"
#include "upstream/exit.h"

#include <stdio.h>

/* In Via: the name, and a tag of this listener in this process alone, so that loops are told from chains. */
static void via_prepare(struct server *server, struct bound *bound)
{
	uint32_t tag;

	random_secret(&tag, sizeof(tag));
	snprintf(bound->via, sizeof(bound->via), "%s-%08x", server->snapshot->settings.name.text, tag);
}

static enum log_addresses log_addresses_of(const struct server *server, enum proxy_face face)
{
	enum log_addresses addresses = (enum log_addresses)server->snapshot->settings.log.addresses;

	if (addresses != LOG_ADDRESSES_AUTO)
		return addresses;
	return face == PROXY_FORWARD ? LOG_ADDRESSES_TRUNCATED : LOG_ADDRESSES_FULL;
}

/* What the workers' keys begin with; it is wiped as soon as they have it. */
static void client_log_prepare(struct server *server)
{
	const struct log_settings *settings = &server->snapshot->settings.log;

	if (settings->addresses != LOG_ADDRESSES_HASH)
		return;
	server->client_log.period_ms = settings->hash_rotation;
	random_secret(server->client_log.key, sizeof(server->client_log.key));
}

static const enum proxy_face faces[] = {
	[SNAPSHOT_FORWARD] = PROXY_FORWARD,
	[SNAPSHOT_REVERSE] = PROXY_REVERSE,
	[SNAPSHOT_TCP] = PROXY_TCP,
	[SNAPSHOT_ADMIN] = PROXY_ADMIN,
};

static bool servers_ask(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->upstream_count; i++)
		if (snapshot->upstreams[i].proxy_protocol != PROXY_PROTOCOL_OFF)
			return true;
	return false;
}

static void listener_prepare(struct server *server, struct bound *bound)
{
	const struct snapshot_listener *origin = bound->origin;
	const struct settings *settings = &server->snapshot->settings;
	enum proxy_face face = faces[origin->face];

	bound->listener = (struct proxy_listener){
		.service = {.ops = &proxy_exchange_ops,
			    .limits = &server->limits,
			    .timeouts = &settings->timeouts,
			    .scheme = origin->tls ? SPAN("https") : SPAN("http"),
			    .local = bound->address,
			    .log_addresses = log_addresses_of(server, face),
			    .accounts = user_files_accounts(server, origin),
			    .owner = &bound->listener},
		.face = face,
		.text = span_of(bound->text),
		.written = span_of(bound->written->text),
		.name = span_make(settings->name.text, settings->name.len),
		.via = span_of(bound->via),
		.log_format = (enum log_format)settings->log.format,
		.log_queries = settings->log.queries == LOG_QUERIES_FULL,
		.servers_ask = servers_ask(server->snapshot),
		.http2 = origin->http2,
		.proxy_protocol = &origin->proxy_protocol,
		.router = origin->router,
		.forwarded = &origin->forwarded,
		.told = &bound->told,
		.leaks = &bound->leaks,
		.rules = origin->rules,
		.own = &server->own,
		.secrets = server->secrets,
		.pac = origin->pac,
		.mask = origin->mask,
		.trust = origin->trust,
		.allowances = server->allowances,
		.allowance = origin->allowance,
		.exits = server->exits,
		.exit = origin->exit,
		.intercept = origin->intercept,
		.intercept_destination = origin->intercept_destination,
		.tcp = origin->tcp,
	};
	if (origin->socks && origin->intercept == INTERCEPT_OFF)
		bound->listener.service.beside = &socks_beside;
	bound->listener.plain = bound->listener.service;
	bound->listener.plain.ops = &proxy_plain_ops;
	bound->listener.plain.scheme = SPAN("http");
	if (origin->tls) {
		bound->listener.hsts = origin->tls->hsts;
		bound->listener.pass_certificate = origin->tls->settings->clients.pass;
	}
	if (face == PROXY_ADMIN) {
		bound->listener.service.ops = &admin_exchange_ops;
		bound->listener.service.owner = &server->admin;
	}
}

/* What the operator's interface shows, and answers questions about. */
static bool admin_prepare(struct server *server)
{
	struct admin_listener *listeners =
		arena_zalloc(&server->arena, server->bound_count, sizeof(*listeners));

	if (!listeners)
		return false;
	server->admin = (struct admin){.file = server->snapshot->file, .listeners = listeners};
	for (size_t i = 0; i < server->bound_count; i++) {
		const struct bound *bound = &server->bound[i];
		if (bound->origin->face == SNAPSHOT_ADMIN)
			continue;
		listeners[server->admin.listener_count++] = (struct admin_listener){
			.listener = &bound->listener,
			.face = server_face_name(bound->origin->face),
			.index = bound->origin->index,
			.place = bound->written->place,
		};
	}
	return true;
}

bool listeners_prepare(struct server *server)
{
	const struct snapshot *snapshot = server->snapshot;

	client_log_prepare(server);
	server->exits = exits_new(&server->arena, snapshot->exits, snapshot->settings.exits.count);
	if (!user_files_init(server) || !secret_files_init(server) || !server->exits ||
	    !allowances_prepare(server) || !own_prepare(server))
		return false;
	for (size_t i = 0; i < server->bound_count; i++) {
		via_prepare(server, &server->bound[i]);
		listener_prepare(server, &server->bound[i]);
	}
	return admin_prepare(server);
}

static void say_exit(void *owner, const char *text)
{
	struct server *server = owner;

	log_say(server->ring, LOG_WARNING, "%s", text);
}

static bool seals_at_random(const struct router *router)
{
	bool random = sameness_key_is_random(reverse_mask_same(router_mask(router)));

	for (size_t i = 0; i < router_count(router); i++)
		random |= sameness_key_is_random(reverse_mask_same(router_at(router, i)->mask));
	return random;
}

void masks_look(const struct server *server)
{
	for (size_t i = 0; i < server->snapshot->listener_count; i++) {
		const struct router *router = server->snapshot->listeners[i].router;
		if (!router || !seals_at_random(router))
			continue;
		log_say(server->ring, LOG_INFO,
			"mask.same.etags: without \"key\" tags are sealed with one that was made now: no other node knows it, and after a "
			"restart clients ask for everything once more");
		return;
	}
}

void exits_look(struct server *server)
{
	exits_probe(server->exits, say_exit, server);
}
