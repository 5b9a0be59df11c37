/*
 * A whole proxy on one thread, for tests: a worker with all its rooms, listeners compiled from YAML, clients and servers at the
 * other ends of socket pairs, a hosts file and no name server. connect(2) is ours: whatever address Guise connects to, the other end appears in stage->servers. So is the
 * monotonic clock: time passes when stage_pass says so.
 *
 * One stage at a time in a process; one file of a program includes this.
 */
#ifndef GUISE_TESTS_STAGE_H
#define GUISE_TESTS_STAGE_H

#include "account/allowance.h"
#include "account/accounts.h"
#include "admin/admin.h"
#include "config/snapshot.h"
#include "exchange/exchange.h"
#include "http/h1/server.h"
#include "http/h2/server.h"
#include "net/resolver.h"
#include "proxy/entrance.h"
#include "socks/server.h"
#include "tls/server.h"
#include "upstream/discovery.h"
#include "upstream/exit.h"
#include "upstream/group.h"
#include "upstream/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { STAGE_CLIENTS = 8, STAGE_SERVERS = 64, STAGE_LISTENERS = 8 };

/* The peer's end of a connection of Guise. */
struct stage_peer {
	int fd;                 /* -1: none, or closed by us */
	bool ended;             /* Guise has closed, or half-closed */
	bool reset;             /* and not in good order */
	bool paused;            /* takes nothing */
	struct address address; /* servers: what was connected to */
	uint8_t *bytes;         /* all that has come; a NUL follows */
	size_t len, capacity;
	size_t seen; /* for the test's use: what it has looked at */
};

struct stage {
	struct memory memory;  /* of the worker */
	struct memory outside; /* of the snapshot */
	struct arena arena;
	struct diagnostics diagnostics;
	struct snapshot *snapshot;
	struct fleet *fleet;
	struct parents *parents;
	struct discovery *discovery;
	struct resolver_settings names;
	struct map hosts;
	struct worker worker;
	bool working;
	struct brake *brake;
	struct accounts *accounts[STAGE_LISTENERS]; /* of those with users */
	struct log_ring *log;                       /* set before stage_start, if anything is to be logged */
	struct guard_own own;
	struct exits *exits;
	struct allowances *allowances;
	struct proxy_listener listeners[STAGE_LISTENERS]; /* in the order of the snapshot */
	struct admin admin;                               /* of those that are the operator's interface */
	struct admin_listener shown[STAGE_LISTENERS];     /* to it: all others */
	struct tls_server *contexts[STAGE_LISTENERS];     /* of those that speak TLS */
	struct stage_peer clients[STAGE_CLIENTS], servers[STAGE_SERVERS];
	unsigned server_count; /* so many connects there were */
	int refuse_next;       /* errno of the next connect; 0: it succeeds */
	bool datagrams;        /* connect(2) of UDP sockets is the system's, but for those of the resolver */
	unsigned gone;         /* clients' connections that have ended */
};

static struct stage *stage_now;
static _Atomic uint64_t stage_clock_ms = 1000 * 1000; /* the log has a thread of its own */

/* ---- instead of the system's ---- */

int clock_gettime(clockid_t id, struct timespec *time)
{
	if (id != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, id, time);
	time->tv_sec = (time_t)(stage_clock_ms / 1000);
	time->tv_nsec = (long)(stage_clock_ms % 1000) * 1000000;
	return 0;
}

/* The descriptor becomes one end of a pair, connected at once. */
int connect(int fd, const struct sockaddr *address, socklen_t len)
{
	struct stage *stage = stage_now;
	int pair[2], type = 0;
	socklen_t type_len = sizeof(type);

	if (!stage)
		return (int)syscall(SYS_connect, fd, address, len);
	bool asks = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) != 0 || type != SOCK_STREAM;
	if (asks && stage->datagrams && ((const struct sockaddr_in *)address)->sin_port != htons(1))
		return (int)syscall(SYS_connect, fd, address, len);
	if (asks) {
		errno = ENETUNREACH; /* there is no name server */
		return -1;
	}
	int error = stage->refuse_next;
	stage->refuse_next = 0;
	if (!error && (stage->server_count == STAGE_SERVERS ||
		       socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0))
		error = ECONNREFUSED;
	if (error) {
		errno = error;
		return -1;
	}
	struct stage_peer *server = &stage->servers[stage->server_count++];
	union socket_address raw = {0};
	memcpy(&raw, address, size_min(len, sizeof(raw)));
	*server = (struct stage_peer){.fd = pair[1], .address = address_from_socket(&raw, len)};
	dup2(pair[0], fd);
	close(pair[0]);
	return 0;
}

/* ---- setting up ---- */

static inline void stage_listener(struct stage *stage, size_t index)
{
	const struct snapshot_listener *origin = &stage->snapshot->listeners[index];
	struct proxy_listener *listener = &stage->listeners[index];
	const struct settings *settings = &stage->snapshot->settings;
	static const enum proxy_face faces[] = {
		[SNAPSHOT_FORWARD] = PROXY_FORWARD,
		[SNAPSHOT_REVERSE] = PROXY_REVERSE,
		[SNAPSHOT_TCP] = PROXY_TCP,
		[SNAPSHOT_ADMIN] = PROXY_ADMIN,
	};

	*listener = (struct proxy_listener){
		.service = {.ops = &proxy_exchange_ops,
			    .limits = &settings->limits,
			    .timeouts = &settings->timeouts,
			    .scheme = origin->tls ? SPAN("https") : SPAN("http"),
			    .local = origin->addresses[0].address,
			    .log_addresses = LOG_ADDRESSES_FULL,
			    .owner = listener},
		.face = faces[origin->face],
		.text = SPAN("stage:80"),
		.written = span_of(origin->addresses[0].text),
		.name = span_make(settings->name.text, settings->name.len),
		.via = SPAN("guise-1"),
		.log_format = (enum log_format)settings->log.format,
		.log_queries = settings->log.queries == LOG_QUERIES_FULL,
		.http2 = origin->http2,
		.proxy_protocol = &origin->proxy_protocol,
		.router = origin->router,
		.forwarded = &origin->forwarded,
		.rules = origin->rules,
		.own = &stage->own,
		.mask = origin->mask,
		.trust = origin->trust,
		.allowances = stage->allowances,
		.allowance = origin->allowance,
		.exits = stage->exits,
		.exit = origin->exit,
		.intercept = origin->intercept,
		.intercept_destination = origin->intercept_destination,
		.hsts = origin->tls ? origin->tls->hsts : (struct span){0},
		.tcp = origin->tcp,
	};
	if (listener->face == PROXY_ADMIN) {
		listener->service.ops = &admin_exchange_ops;
		listener->service.owner = &stage->admin;
	} else {
		stage->shown[stage->admin.listener_count++] = (struct admin_listener){
			.listener = listener, .face = "stage", .index = (unsigned)index};
	}
	if (origin->socks)
		listener->service.beside = &socks_beside;
	listener->plain = listener->service;
	listener->plain.ops = &proxy_plain_ops;
	listener->plain.scheme = SPAN("http");
}

/* The TLS of the listeners that speak it. */
static inline void stage_contexts(struct stage *stage)
{
	for (size_t i = 0; i < stage->snapshot->listener_count; i++) {
		const struct snapshot_listener *origin = &stage->snapshot->listeners[i];
		struct tls_server_options options = {.name = SPAN("stage")};
		const char *why;
		if (!origin->tls)
			continue;
		options.store = origin->tls->store;
		options.minimum = (enum tls_version)origin->tls->settings->minimum;
		options.http2 = origin->http2 == HTTP2_TLS;
		stage->contexts[i] = tls_server_new(&stage->worker, &options, &why);
		ENSURE(stage->contexts[i]);
		stage->listeners[i].tls = &stage->contexts[i];
	}
}

/* Reads the configuration; once for many stage_start. */
static inline void stage_configure(struct stage *stage, const char *yaml)
{
	signal(SIGPIPE, SIG_IGN);
	memory_init(&stage->outside, 0);
	arena_init(&stage->arena, &stage->outside, NULL, NULL, 0);
	diagnostics_init(&stage->diagnostics, &stage->arena, "stage.yaml");
	stage->snapshot = snapshot_from_yaml(span_of(yaml), "", &stage->outside, &stage->diagnostics);
	for (const struct diagnostic *one = stage->diagnostics.first; one && !stage->snapshot; one = one->next)
		fprintf(stderr, "stage: %s\n", one->text);
	ENSURE(stage->snapshot);
	ENSURE(stage->snapshot->listener_count <= STAGE_LISTENERS);
	stage->admin = (struct admin){.file = "stage.yaml", .listeners = stage->shown};
	stage->exits = exits_new(&stage->arena, stage->snapshot->exits, stage->snapshot->settings.exits.count);
	ENSURE(stage->exits);
	stage->allowances = allowances_new(&stage->outside, &stage->snapshot->settings.allowances, NULL);
	ENSURE(stage->allowances);
	for (size_t i = 0; i < stage->snapshot->listener_count; i++)
		stage_listener(stage, i);
	map_init(&stage->hosts, &stage->outside);
	ENSURE(resolver_hosts_parse(SPAN("10.2.0.3 a.test\n10.2.0.4 b.test\n127.0.0.1 inside.test\n"),
				    &stage->arena, &stage->hosts));
	stage->names = (struct resolver_settings){.servers = "127.0.0.1:1",
						  .timeout_ms = 1,
						  .attempts = 1,
						  .cache_entries = 16,
						  .hosts = &stage->hosts};
}

/* The accounts of the listeners that have users, with their threads. */
static inline void stage_accounts(struct stage *stage)
{
	for (size_t i = 0; i < stage->snapshot->listener_count; i++) {
		const struct snapshot_listener *origin = &stage->snapshot->listeners[i];
		if (!origin->users)
			continue;
		if (!stage->brake)
			stage->brake = brake_new(&stage->outside);
		ENSURE(stage->brake);
		stage->accounts[i] = accounts_new(&stage->outside, origin->users, stage->brake);
		ENSURE(stage->accounts[i] && accounts_start(stage->accounts[i]));
		stage->listeners[i].service.accounts = stage->accounts[i];
	}
}

static inline void stage_accounts_free(struct stage *stage)
{
	for (size_t i = 0; i < STAGE_LISTENERS; i++) {
		accounts_free(stage->accounts[i]);
		stage->accounts[i] = NULL;
	}
	brake_free(stage->brake);
	stage->brake = NULL;
}

/* A worker with its rooms. */
static inline void stage_start(struct stage *stage)
{
	struct worker *worker = &stage->worker;

	stage_now = stage;
	stage->server_count = 0;
	stage->refuse_next = 0;
	stage->gone = 0;
	for (unsigned i = 0; i < STAGE_CLIENTS; i++)
		stage->clients[i] = (struct stage_peer){.fd = -1};
	memory_init(&stage->memory, stage->snapshot->settings.limits.memory);
	stage->fleet =
		fleet_new(&stage->memory, stage->snapshot->plans, stage->snapshot->upstream_count, 1, NULL);
	ENSURE(stage->fleet);
	stage->admin.fleet = stage->fleet;
	stage->parents = parents_new(&stage->memory, &stage->snapshot->parents);
	ENSURE(stage->parents);
	ENSURE(worker_init(worker, 0, &stage->memory, stage->log));
	ENSURE(conn_room_init(worker) && resolver_init(worker, &stage->names) && tls_room_init(worker, 64) &&
	       exchange_room_init(worker) && h1_room_init(worker) && h2_room_init(worker) &&
	       socks_room_init(worker) && entrance_room_init(worker) &&
	       upstream_room_init(worker, stage->fleet) && parents_attach(worker, stage->parents));
	stage->discovery = discovery_start(worker, stage->fleet);
	ENSURE(stage->discovery);
	stage_contexts(stage);
	stage_accounts(stage);
	stage->working = true;
}

/* ---- time and turns ---- */

static inline void stage_peer_close(struct stage_peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
}

/* Takes what Guise has sent. */
static inline void stage_peer_take(struct stage_peer *peer)
{
	while (peer->fd >= 0 && !peer->paused && !peer->ended) {
		if (peer->capacity - peer->len < 4096) {
			peer->capacity = peer->capacity * 2 + 8192;
			peer->bytes = realloc(peer->bytes, peer->capacity);
			ENSURE(peer->bytes);
			peer->bytes[peer->len] = 0;
		}
		ssize_t got = recv(peer->fd, peer->bytes + peer->len, peer->capacity - peer->len - 1, 0);
		if (got > 0) {
			peer->len += (size_t)got;
			peer->bytes[peer->len] = 0;
		} else if (got == 0 || errno != EAGAIN) {
			peer->ended = true;
			peer->reset = got < 0;
		} else {
			return;
		}
	}
}

static inline void stage_turn(struct stage *stage)
{
	loop_turn(&stage->worker.loop, 0);
	for (unsigned i = 0; i < STAGE_CLIENTS; i++)
		stage_peer_take(&stage->clients[i]);
	for (unsigned i = 0; i < stage->server_count; i++)
		stage_peer_take(&stage->servers[i]);
}

static inline void stage_turns(struct stage *stage, unsigned turns)
{
	while (turns-- > 0)
		stage_turn(stage);
}

static inline void stage_pass(struct stage *stage, uint64_t ms)
{
	stage_clock_ms += ms;
	stage_turn(stage);
}

/* ---- clients and servers ---- */

static inline bool stage_on_named(void *owner, const struct address *client)
{
	return true;
}

static inline void stage_on_gone(void *owner, const struct client *client)
{
	struct stage *stage = owner;
	stage->gone++;
}

static const struct entrance_owner_ops stage_owner_ops = {
	.on_named = stage_on_named,
	.on_gone = stage_on_gone,
};

/* A connection of client `who` (10.1.0.who) to a listener. False: Guise would not have it. */
static inline bool stage_connect(struct stage *stage, unsigned who, unsigned listener)
{
	struct stage_peer *client = &stage->clients[who];
	struct address address = {.family = ADDRESS_V4, .ip = {10, 1, 0, (uint8_t)who}, .port = 1024};
	int pair[2];

	stage_peer_close(client);
	free(client->bytes);
	*client = (struct stage_peer){.fd = -1};
	ENSURE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	if (!entrance_open(&stage->listeners[listener], &stage->worker, pair[0], &address, &stage_owner_ops,
			   stage)) {
		close(pair[1]);
		return false;
	}
	client->fd = pair[1];
	return true;
}

/* Sends what the pair takes; how much that was. */
static inline size_t stage_send(struct stage_peer *peer, struct span bytes)
{
	if (peer->fd < 0)
		return 0;
	ssize_t sent = send(peer->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
	return sent > 0 ? (size_t)sent : 0;
}

static inline size_t stage_say(struct stage_peer *peer, const char *text)
{
	return stage_send(peer, span_of(text));
}

static inline struct span stage_got(const struct stage_peer *peer)
{
	return span_make(peer->bytes, peer->len);
}

/* ---- the end ---- */

/* Cuts what is open and takes the worker apart. Whatever was allocated must have come back. */
static inline void stage_stop(struct stage *stage)
{
	struct worker *worker = &stage->worker;

	if (!stage->working)
		return;
	stage->working = false;
	memory_fail_every(&stage->memory, 0);
	entrance_cut(worker);
	upstream_drain(worker);
	stage_turns(stage, 2);
	stage_pass(stage, 40 * 1000); /* longer than any linger */
	stage_turns(stage, 2);
	for (size_t i = 0; i < STAGE_LISTENERS; i++)
		if (stage->accounts[i])
			accounts_stop(stage->accounts[i]);
	ENSURE(exchange_count(worker) == 0);
	ENSURE(conn_count(worker) == 0);
	discovery_stop(stage->discovery);
	upstream_room_fini(worker);
	resolver_fini(worker);
	loop_turn(&worker->loop, 0);
	entrance_room_fini(worker);
	socks_room_fini(worker);
	h2_room_fini(worker);
	h1_room_fini(worker);
	exchange_room_fini(worker);
	conn_room_fini(worker);
	loop_settle(&worker->loop);
	for (size_t i = 0; i < stage->snapshot->listener_count; i++)
		if (stage->listeners[i].tls)
			tls_server_free(stage->contexts[i]);
	tls_room_fini(worker);
	worker_fini(worker);
	stage_accounts_free(stage);
	fleet_free(stage->fleet);
	parents_free(stage->parents);
	ENSURE(atomic_load(&stage->memory.used) == 0);
	for (unsigned i = 0; i < STAGE_CLIENTS; i++) {
		stage_peer_close(&stage->clients[i]);
		free(stage->clients[i].bytes);
	}
	for (unsigned i = 0; i < stage->server_count; i++) {
		stage_peer_close(&stage->servers[i]);
		free(stage->servers[i].bytes);
	}
	stage_now = NULL;
}

/* Everybody goes, clients first, and time passes until nothing is left of any connection. */
static inline void stage_leave(struct stage *stage)
{
	for (unsigned i = 0; i < STAGE_CLIENTS; i++)
		stage_peer_close(&stage->clients[i]);
	stage_turn(stage);
	for (unsigned i = 0; i < stage->server_count; i++)
		stage_peer_close(&stage->servers[i]);
	for (unsigned i = 0; i < 40 && (i < 2 || conn_count(&stage->worker)); i++)
		stage_pass(stage, 2500);
	ENSURE(exchange_count(&stage->worker) == 0);
	ENSURE(conn_count(&stage->worker) == 0);
}

static inline void stage_discard(struct stage *stage)
{
	allowances_free(stage->allowances);
	snapshot_release(stage->snapshot);
	map_fini(&stage->hosts);
	arena_fini(&stage->arena);
	ENSURE(atomic_load(&stage->outside.used) == 0);
}

#endif
