/*
 * TLS with origins. See origin_tls.h.
 */
#include "upstream/origin_tls.h"

#include "upstream/room_internal.h"

struct origin_trust {
	struct link link;
	struct tls_trust *trust; /* held */
	struct tls_client *client;
};

/* What the handshake of one connection compares with; it lives as long as the connection. */
struct origin_peer {
	struct conn_watch watch;
	struct tls_peer peer;
	struct memory *memory;
	struct loop_task retire;
	size_t size;
	uint8_t name[];
};

struct origin_wait {
	struct tls_trust_wait wait;
	struct worker *worker;
	const struct tls_trust *trust;
	origin_ready_fn *on_ready;
	void *owner; /* NULL: cancelled */
	struct origin_wait **place;
};

static void on_trust_read(struct letter *letter, void *owner)
{
	struct origin_wait *wait = CONTAINER_OF(letter, struct origin_wait, wait.letter);
	struct origin_wait told = *wait;

	memory_free(wait->worker->memory, wait, sizeof(*wait));
	if (!told.owner)
		return;
	*told.place = NULL;
	if (!told.worker->loop.stopping)
		told.on_ready(told.owner, tls_trust_is_ready(told.trust));
}

bool origin_trust_is_ready(struct worker *worker, struct tls_trust *trust, origin_ready_fn *on_ready,
			   void *owner, struct origin_wait **wait)
{
	*wait = NULL;
	if (tls_trust_is_ready(trust))
		return true;
	struct origin_wait *made = memory_alloc(worker->memory, sizeof(*made));
	if (!made)
		return false;
	*made = (struct origin_wait){
		.wait = {.letter = {.open = on_trust_read}, .mailbox = &worker->mailbox},
		.worker = worker,
		.trust = trust,
		.on_ready = on_ready,
		.owner = owner,
		.place = wait,
	};
	bool ready = tls_trust_want(trust, &made->wait);
	if (ready)
		memory_free(worker->memory, made, sizeof(*made));
	else
		*wait = made;
	return ready;
}

void origin_wait_cancel(struct origin_wait **wait)
{
	if (*wait)
		(*wait)->owner = NULL;
	*wait = NULL;
}

static struct origin_trust *trust_find(struct upstream_room *room, const struct tls_trust *trust)
{
	for (struct link *link = room->origin_trusts.next; link != &room->origin_trusts; link = link->next) {
		struct origin_trust *known = CONTAINER_OF(link, struct origin_trust, link);
		if (known->trust == trust)
			return known;
	}
	return NULL;
}

/* NULL: out of memory. */
static struct tls_client *trust_client(struct worker *worker, const struct tls_trust *trust)
{
	struct upstream_room *room = upstream_room(worker);
	struct origin_trust *known = trust_find(room, trust);
	struct tls_client_options options = {
		.trust = (struct tls_trust *)(uintptr_t)trust,
		.minimum = TLS_VERSION_12,
		.alpn = TLS_ALPN_HTTP1,
		.sni = true,
	};
	const char *why;

	if (known)
		return known->client;
	known = memory_alloc(worker->memory, sizeof(*known));
	if (!known)
		return NULL;
	*known = (struct origin_trust){.client = tls_client_new(worker, &options, &why)};
	if (!known->client) {
		memory_free(worker->memory, known, sizeof(*known));
		return NULL;
	}
	known->trust = tls_trust_retain(options.trust);
	list_push(&room->origin_trusts, &known->link);
	return known->client;
}

static void peer_free(struct loop_task *task)
{
	struct origin_peer *peer = CONTAINER_OF(task, struct origin_peer, retire);

	memory_free(peer->memory, peer, peer->size);
}

static void peer_on_closed(struct conn_watch *watch, struct conn *conn)
{
	struct origin_peer *peer = CONTAINER_OF(watch, struct origin_peer, watch);

	tls_peer_fini(&peer->peer);
	loop_retire(&conn->worker->loop, &peer->retire);
}

bool origin_secure(struct conn *conn, const struct tls_trust *trust, struct span name, uint64_t timeout_ms)
{
	struct memory *memory = conn->worker->memory;
	struct tls_client *client = trust_client(conn->worker, trust);
	size_t size = sizeof(struct origin_peer) + name.len;
	struct origin_peer *peer = client ? memory_alloc(memory, size) : NULL;

	if (!peer)
		return false;
	*peer = (struct origin_peer){.watch = {peer_on_closed}, .memory = memory, .size = size};
	loop_task_init(&peer->retire, peer_free);
	if (name.len)
		memcpy(peer->name, name.at, name.len);
	tls_peer_init(&peer->peer, span_make(peer->name, name.len));
	conn_watch(conn, &peer->watch);
	return tls_connect(conn, client, &peer->peer, timeout_ms);
}

void origin_trusts_fini(struct worker *worker, struct link *trusts)
{
	while (!list_empty(trusts)) {
		struct origin_trust *known = CONTAINER_OF(list_pop(trusts), struct origin_trust, link);
		tls_client_free(known->client);
		tls_trust_release(known->trust);
		memory_free(worker->memory, known, sizeof(*known));
	}
}
