/*
 * One worker's thread: its rooms, its acceptors, its end. Set up on the main thread before it starts; afterwards only the worker's own
 * thread touches it, and orders come by mailbox.
 */
#include "server/server_internal.h"

#include "exchange/exchange.h"
#include "proxy/entrance.h"
#include "tls/server.h"
#include "upstream/group.h"

#include <signal.h>
#include <unistd.h>

enum {
	DRAIN_CHECK_MS = 10,
	FULL_CHECK_MS = 20,
	COMPLAIN_MS = 10000,
	OPERATORS_MOST = 16, /* connections to the operator's interface, which are no clients */
};

/* ---- accepting ---- */

static void acceptors_pause(struct server_worker *self)
{
	if (self->full)
		return;
	self->full = true;
	if (self->worker.loop.now - self->complained >= COMPLAIN_MS) {
		self->complained = self->worker.loop.now;
		log_say(self->worker.log, LOG_WARNING, "limits.connections is reached: new connections wait");
	}
	for (size_t i = 0; i < self->server->bound_count; i++)
		if (self->server->bound[i].listener.face != PROXY_ADMIN)
			acceptor_pause(&self->acceptors[i]);
	loop_timer_start(&self->worker.loop, &self->resume, FULL_CHECK_MS);
}

static void acceptors_resume(struct timer *timer)
{
	struct server_worker *self = CONTAINER_OF(timer, struct server_worker, resume);

	if (self->worker.draining)
		return;
	if (!clients_have_room(&self->server->clients)) {
		loop_timer_start(&self->worker.loop, timer, FULL_CHECK_MS);
		return;
	}
	self->full = false;
	for (size_t i = 0; i < self->server->bound_count; i++)
		if (self->server->bound[i].listener.face != PROXY_ADMIN)
			acceptor_resume(&self->acceptors[i]);
}

static bool on_client_named(void *owner, const struct address *client)
{
	struct server_worker *self = owner;

	return clients_name(&self->server->clients, client);
}

static void on_client_gone(void *owner, const struct client *client)
{
	struct server_worker *self = owner;

	clients_leave(&self->server->clients, &client->address);
}

static const struct entrance_owner_ops entrance_owner_ops = {
	.on_named = on_client_named,
	.on_gone = on_client_gone,
};

/* Operators get in however many clients there are, and however little memory: it is then that they want to. */
static void on_operator_gone(void *owner, const struct client *client)
{
	struct server_worker *self = owner;

	self->operators--;
}

static const struct entrance_owner_ops operator_ops = {
	.on_named = on_client_named,
	.on_gone = on_operator_gone,
};

static void accept_operator(struct server_worker *self, const struct bound *bound, int fd,
			    const struct address *peer)
{
	if (self->operators == OPERATORS_MOST) {
		close(fd);
		return;
	}
	if (entrance_open(&bound->listener, &self->worker, fd, peer, &operator_ops, self))
		self->operators++;
}

static void on_accept(struct acceptor *acceptor, int fd, const struct address *peer)
{
	struct server_worker *self = CONTAINER_OF(acceptor->worker, struct server_worker, worker);
	const struct bound *bound = acceptor->owner;
	struct address counted = *peer;

	if (bound->listener.face == PROXY_ADMIN) {
		accept_operator(self, bound, fd, peer);
		return;
	}
	if (entrance_awaits_header(&bound->listener, peer))
		counted = (struct address){.family = ADDRESS_NONE};
	if (memory_pressure(&self->server->memory) == MEMORY_FULL) {
		close(fd);
		return;
	}
	switch (clients_enter(&self->server->clients, &counted)) {
	case CLIENTS_ADMITTED:
		/* The next one is not even accepted: it waits in the kernel's queue. */
		if (!clients_have_room(&self->server->clients))
			acceptors_pause(self);
		if (entrance_open(&bound->listener, &self->worker, fd, peer, &entrance_owner_ops, self))
			return;
		clients_leave(&self->server->clients, &counted);
		return;
	case CLIENTS_FULL:
		acceptors_pause(self);
		break;
	case CLIENTS_TOO_MANY:
		break;
	}
	close(fd);
}

static const struct acceptor_ops acceptor_ops = {.on_accept = on_accept};

/* ---- orders ---- */

static void check_drained(struct timer *timer)
{
	struct server_worker *self = CONTAINER_OF(timer, struct server_worker, drain_check);
	struct loop *loop = &self->worker.loop;

	entrance_drain(&self->worker);
	upstream_drain(&self->worker);
	bool drained = conn_count(&self->worker) == 0 && exchange_count(&self->worker) == 0;
	if (!drained && !self->cut && loop->now < self->drain_deadline) {
		loop_timer_start(loop, timer, DRAIN_CHECK_MS);
		return;
	}
	entrance_cut(&self->worker);
	loop_timer_stop(loop, timer);
	loop_stop(loop);
}

/* New connections are refused from now on; a socket that all workers share is closed at the end. */
static void acceptors_stop(struct server_worker *self)
{
	for (size_t i = 0; i < self->server->bound_count; i++) {
		struct bound *bound = &self->server->bound[i];
		acceptor_stop(&self->acceptors[i]);
		if (!bound->shared) {
			close(bound->sockets[self->worker.index]);
			bound->sockets[self->worker.index] = -1;
		}
	}
}

static void on_order(struct letter *letter, void *owner)
{
	struct server_worker *self = CONTAINER_OF(letter, struct server_worker, order);

	if (self->worker.loop.stopping) /* opened after the end: the rooms are being taken down */
		return;
	if (!self->worker.draining) {
		self->worker.draining = true;
		self->drain_deadline = self->worker.loop.now + self->server->snapshot->settings.timeouts.drain;
		acceptors_stop(self);
	}
	check_drained(&self->drain_check);
}

static void on_cut(struct letter *letter, void *owner)
{
	struct server_worker *self = CONTAINER_OF(letter, struct server_worker, cut_order);

	self->cut = true;
	on_order(&self->order, owner);
}

void worker_thread_drain(struct server_worker *self, bool cut)
{
	struct letter *letter = cut ? &self->cut_order : &self->order;

	letter->open = cut ? on_cut : on_order;
	mailbox_post(&self->worker.mailbox, letter);
}

/* ---- the thread ---- */

static void *worker_main(void *argument)
{
	struct server_worker *self = argument;

	loop_run(&self->worker.loop);
	atomic_fetch_sub(&self->server->running, 1);
	return NULL;
}

static bool acceptors_start(struct server_worker *self)
{
	struct server *server = self->server;

	for (size_t i = 0; i < server->bound_count; i++) {
		struct bound *bound = &server->bound[i];
		if (!acceptor_start(&self->acceptors[i], &self->worker, bound->sockets[self->worker.index],
				    &bound->address, &acceptor_ops, bound))
			return false;
	}
	return true;
}

/* All workers' periods begin with the first one's clock. */
static bool worker_client_log_init(struct server_worker *self)
{
	struct client_log_start *start = &self->server->client_log;

	if (start->period_ms == 0)
		return true;
	if (start->began_ms == 0)
		start->began_ms = self->worker.loop.now;
	return client_log_init(&self->worker, start);
}

static bool worker_rooms_init(struct server_worker *self)
{
	const struct server *server = self->server;
	struct worker *worker = &self->worker;
	uint64_t handshakes = size_max(server->limits.handshakes / server->worker_count, 1);

	return worker_client_log_init(self) && rooms_init(worker, server, handshakes) &&
	       entrance_room_init(worker);
}

bool worker_thread_init(struct server *server, unsigned index)
{
	struct server_worker *self = &server->workers[index];
	struct log_ring *ring = log_ring_new(server->log, LOG_RING);

	self->server = server;
	timer_init(&self->drain_check, check_drained);
	timer_init(&self->resume, acceptors_resume);
	if (!ring || !worker_init(&self->worker, index, &server->memory, ring))
		return false;
	self->initialised = true;
	self->acceptors = arena_zalloc(&server->arena, server->bound_count, sizeof(*self->acceptors));
	return self->acceptors && worker_rooms_init(self) && certificates_worker_init(self) &&
	       acceptors_start(self);
}

bool worker_thread_start(struct server_worker *self)
{
	atomic_fetch_add(&self->server->running, 1);
	self->started = pthread_create(&self->thread, NULL, worker_main, self) == 0;
	if (!self->started)
		atomic_fetch_sub(&self->server->running, 1);
	return self->started;
}

void worker_thread_join(struct server_worker *self)
{
	if (self->started)
		pthread_join(self->thread, NULL);
	self->started = false;
}

void worker_thread_fini(struct server_worker *self)
{
	struct worker *worker = &self->worker;

	if (!self->initialised)
		return;
	for (size_t i = 0; self->acceptors && i < self->server->bound_count; i++)
		if (self->acceptors[i].worker)
			acceptor_stop(&self->acceptors[i]);
	rooms_fini(worker);
	certificates_worker_fini(self);
	if (worker->slots[WORKER_SLOT_TLS])
		tls_room_fini(worker);
	worker_fini(worker);
}
