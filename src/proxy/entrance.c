/*
 * The first moments of a client's connection, until a codec has it. See entrance.h. A listener in clear without PROXY protocol has none: its
 * connections go to the codec at once.
 */
#include "proxy/entrance.h"

#include "http/h1/server.h"
#include "http/h2/server.h"
#include "net/listener.h"
#include "net/proxy_protocol.h"
#include "proxy/detached.h"
#include "proxy/entrance_internal.h"
#include "proxy/intercept.h"
#include "proxy/raw_client.h"
#include "proxy/tcp.h"
#include "socks/server.h"
#include "tls/server.h"

#include <unistd.h>

enum { KEEP_ENTRANCES = 256 };

/* What may follow each state, as bits. */
static const uint8_t entrance_moves[] = {
	[ENTRANCE_HEADER] = 1 << ENTRANCE_HELLO | 1 << ENTRANCE_PREFACE | 1 << ENTRANCE_LEFT,
	[ENTRANCE_HELLO] = 1 << ENTRANCE_HANDSHAKE | 1 << ENTRANCE_LEFT,
	[ENTRANCE_HANDSHAKE] = 1 << ENTRANCE_LEFT,
	[ENTRANCE_PREFACE] = 1 << ENTRANCE_LEFT,
	[ENTRANCE_LEFT] = 0,
};

static void entrance_set_state(struct entrance *entrance, enum entrance_state state)
{
	ENSURE(entrance_moves[entrance->state] & 1 << state);
	entrance->state = (uint8_t)state;
}

/* ---- leaving ---- */

static void entrance_free(struct loop_task *task)
{
	struct entrance *entrance = CONTAINER_OF(task, struct entrance, retire);
	pool_put(&entrance_room(entrance->worker)->entrances, entrance);
}

static void entrance_leave(struct entrance *entrance)
{
	struct loop *loop = &entrance->worker->loop;

	entrance_set_state(entrance, ENTRANCE_LEFT);
	entrance->conn = NULL;
	pending_clear(&entrance->pending, &entrance->worker->buffers);
	loop_timer_stop(loop, &entrance->timer);
	list_remove(&entrance->link);
	loop_retire(loop, &entrance->retire);
}

static void entrance_close(struct entrance *entrance)
{
	conn_close(entrance->conn);
	entrance_leave(entrance);
	entrance->ops->on_gone(entrance->owner, &entrance->client);
}

/* Ends a connection that will have no request: quietly for the peer, counted for us. */
static void entrance_give_up(struct entrance *entrance, enum entrance_end end, const char *text)
{
	entrance_count(entrance, end, text);
	entrance_close(entrance);
}

/* The codec takes over; `rest`, which lies in `block`, has been received for it. */
static void entrance_hand_over(struct entrance *entrance, codec_open_fn *open, const struct service *service,
			       struct block *block, struct span rest)
{
	struct conn *conn = entrance->conn;
	struct buffers *buffers = &entrance->worker->buffers;

	if (!open(conn, &entrance->client, service, entrance->ops->on_gone, entrance->owner)) {
		entrance_close(entrance);
		return;
	}
	if (rest.len)
		block->references++; /* it may be the pending one */
	entrance_leave(entrance);
	if (rest.len) {
		conn->ops->on_read(conn, block, rest);
		block_release(buffers, block);
	}
}

/* ---- TLS ---- */

static uint64_t entrance_time_left(const struct entrance *entrance)
{
	uint64_t now = entrance->worker->loop.now;

	return entrance->deadline > now ? entrance->deadline - now : 1;
}

static void entrance_on_connect(struct conn *conn)
{
	struct entrance *entrance = conn->owner;

	bool h2;

	entrance->client.tls = tls_conn_info(conn);
	h2 = span_equal(entrance->client.tls->alpn, SPAN("h2"));
	entrance_hand_over(entrance, h2 ? h2_server_open : h1_server_open, &entrance->listener->service, NULL,
			   (struct span){0});
}

static void entrance_shake_hands(struct entrance *entrance, struct span bytes)
{
	struct tls_server *server = entrance->listener->tls[entrance->worker->index];

	entrance_set_state(entrance, ENTRANCE_HANDSHAKE);
	loop_timer_stop(&entrance->worker->loop, &entrance->timer);
	if (!tls_accept(entrance->conn, server, bytes, entrance_time_left(entrance))) {
		entrance_close(entrance);
		return;
	}
	pending_clear(&entrance->pending, &entrance->worker->buffers);
}

static void entrance_read_hello(struct entrance *entrance, struct block *block, struct span bytes)
{
	switch (entrance_guess(bytes)) {
	case ENTRANCE_IS_TLS:
		entrance_shake_hands(entrance, bytes);
		break;
	case ENTRANCE_IS_HTTP:
		entrance_hand_over(entrance, h1_server_open, &entrance->listener->plain, block, bytes);
		break;
	case ENTRANCE_IS_OTHER:
		entrance_give_up(entrance, ENTRANCE_NO_TLS, "they began with neither TLS nor HTTP");
		break;
	case ENTRANCE_IS_UNCLEAR:
		break;
	}
}

/* ---- HTTP/2 in clear ---- */

/* RFC 9113 3.3: a client that knows beforehand begins with the preface, which no HTTP/1 request does. */
static void entrance_read_preface(struct entrance *entrance, struct block *block, struct span bytes)
{
	size_t len = size_min(bytes.len, H2_PREFACE_LENGTH);
	bool h2 = span_equal(span_first(bytes, len), span_make(h2_preface, len));

	if (!h2 || len == H2_PREFACE_LENGTH)
		entrance_hand_over(entrance, h2 ? h2_server_open : h1_server_open,
				   &entrance->listener->service, block, bytes);
}

/* ---- PROXY protocol ---- */

/* Takes the header off `bytes`. False: there is more to come, or the connection has ended. */
static bool entrance_read_header(struct entrance *entrance, struct span *bytes)
{
	struct proxy_protocol_header header;
	const char *why = NULL;

	switch (proxy_protocol_read(*bytes, &header, &why)) {
	case PROXY_PROTOCOL_MORE:
		return false;
	case PROXY_PROTOCOL_BAD:
		entrance_give_up(entrance, ENTRANCE_NO_HEADER, why);
		return false;
	case PROXY_PROTOCOL_DONE:
		break;
	}
	struct address client = header.source.family == ADDRESS_NONE ? entrance->conn->peer :
								       address_unmap(&header.source);
	if (!entrance->ops->on_named(entrance->owner, &client)) {
		entrance_close(entrance);
		return false;
	}
	entrance->client.address = client;
	if (header.destination.family != ADDRESS_NONE)
		entrance->client.local = address_unmap(&header.destination);
	*bytes = span_from(*bytes, header.length);
	return true;
}

/* The codec of a listener on which nothing has to be looked at before it; NULL: the first bytes decide. */
static codec_open_fn *entrance_codec(const struct proxy_listener *listener)
{
	if (listener->tls || listener->http2 == HTTP2_CLEAR)
		return NULL;
	if (listener->intercept != INTERCEPT_OFF)
		return intercept_open;
	return listener->face == PROXY_TCP ? tcp_open : h1_server_open;
}

/* What comes first on this listener, behind the header if there is one. */
static enum entrance_state entrance_first_state(const struct proxy_listener *listener)
{
	return listener->tls ? ENTRANCE_HELLO : ENTRANCE_PREFACE;
}

/* Connections in clear wait for their first request as the codec would let them wait. */
static void entrance_watch(struct entrance *entrance)
{
	const struct timeouts_settings *timeouts = entrance->listener->service.timeouts;
	bool begun = entrance->pending.block != NULL;

	if (entrance->state == ENTRANCE_PREFACE)
		loop_timer_start(&entrance->worker->loop, &entrance->timer,
				 begun ? timeouts->header : timeouts->idle);
	else
		loop_timer_start(&entrance->worker->loop, &entrance->timer, entrance_time_left(entrance));
}

/* ---- bytes ---- */

/* Reads as far as `bytes`, which lie in `block`, go. What is left of them then is in *bytes. */
static void entrance_read(struct entrance *entrance, struct block *block, struct span *bytes)
{
	if (entrance->state == ENTRANCE_HEADER) {
		if (!entrance_read_header(entrance, bytes))
			return;
		entrance_set_state(entrance, entrance_first_state(entrance->listener));
		codec_open_fn *open = entrance_codec(entrance->listener);
		if (open) {
			entrance_hand_over(entrance, open, &entrance->listener->service, block, *bytes);
			return;
		}
	}
	if (bytes->len == 0)
		return;
	if (entrance->state == ENTRANCE_HELLO)
		entrance_read_hello(entrance, block, *bytes);
	else if (entrance->state == ENTRANCE_PREFACE)
		entrance_read_preface(entrance, block, *bytes);
}

/* Whatever is not understood yet waits in the pending block. False: out of memory. */
static bool entrance_keep(struct entrance *entrance, struct span bytes)
{
	struct buffers *buffers = &entrance->worker->buffers;
	struct pending *pending = &entrance->pending;

	if (!pending->block)
		return bytes.len == 0 || pending_append(pending, buffers, bytes);
	size_t used = pending_bytes(pending).len - bytes.len;
	if (used)
		pending_consume(pending, buffers, used);
	return true;
}

static void entrance_on_read(struct conn *conn, struct block *lent, struct span bytes)
{
	struct entrance *entrance = conn->owner;
	enum entrance_state before = (enum entrance_state)entrance->state;
	bool begun = entrance->pending.block != NULL;

	if (begun) {
		if (!pending_append(&entrance->pending, &entrance->worker->buffers, bytes)) {
			entrance_close(entrance);
			return;
		}
		ENSURE(entrance->pending.block); /* the bytes have been added to it */
		lent = entrance->pending.block;
		bytes = pending_bytes(&entrance->pending);
	}
	entrance_read(entrance, lent, &bytes);
	if (entrance->state == ENTRANCE_LEFT || entrance->state == ENTRANCE_HANDSHAKE)
		return;
	if (!entrance_keep(entrance, bytes))
		entrance_close(entrance);
	else if (!begun || entrance->state != before)
		entrance_watch(entrance);
}

static void entrance_on_end(struct conn *conn)
{
	struct entrance *entrance = conn->owner;

	if (entrance->state == ENTRANCE_HEADER && entrance->pending.block)
		entrance_give_up(entrance, ENTRANCE_NO_HEADER, "a PROXY protocol header that ends too early");
	else
		entrance_close(entrance);
}

static void entrance_on_fail(struct conn *conn, const struct error *error)
{
	struct entrance *entrance = conn->owner;

	if (error->code == ERROR_HANDSHAKE)
		entrance_give_up(entrance, ENTRANCE_HANDSHAKE_FAILED, error_text(error));
	else
		entrance_close(entrance);
}

static void entrance_on_timer(struct timer *timer)
{
	struct entrance *entrance = CONTAINER_OF(timer, struct entrance, timer);

	if (entrance->state == ENTRANCE_HEADER)
		entrance_give_up(entrance, ENTRANCE_LATE, "no PROXY protocol header came in time");
	else if (entrance->pending.block)
		entrance_give_up(entrance, ENTRANCE_LATE, "what they began did not become a request in time");
	else
		entrance_close(entrance);
}

static const struct conn_ops entrance_conn_ops = {
	.on_read = entrance_on_read,
	.on_end = entrance_on_end,
	.on_fail = entrance_on_fail,
	.on_connect = entrance_on_connect,
};

/* ---- opening ---- */

bool entrance_awaits_header(const struct proxy_listener *listener, const struct address *peer)
{
	return listener->proxy_protocol && peers_have(listener->proxy_protocol, peer);
}

static bool entrance_start(struct conn *conn, const struct proxy_listener *listener,
			   const struct client *client, bool header, const struct entrance_owner_ops *ops,
			   void *owner)
{
	struct worker *worker = conn->worker;
	struct entrance_room *room = entrance_room(worker);
	struct entrance *entrance = pool_get(&room->entrances);

	if (!entrance)
		return false;
	*entrance = (struct entrance){
		.conn = conn,
		.worker = worker,
		.listener = listener,
		.client = {.local = client->local},
		.ops = ops,
		.owner = owner,
		.deadline = worker->loop.now + listener->service.timeouts->handshake,
		.state = (uint8_t)(header ? ENTRANCE_HEADER : entrance_first_state(listener)),
	};
	if (!header)
		entrance->client.address = client->address;
	timer_init(&entrance->timer, entrance_on_timer);
	loop_task_init(&entrance->retire, entrance_free);
	list_push(&room->open, &entrance->link);
	conn_adopt(conn, &entrance_conn_ops, entrance);
	entrance_watch(entrance);
	conn_read_start(conn);
	return true;
}

bool entrance_open(const struct proxy_listener *listener, struct worker *worker, int fd,
		   const struct address *peer, const struct entrance_owner_ops *ops, void *owner)
{
	bool header = entrance_awaits_header(listener, peer), good;
	struct conn *conn = conn_open(worker, fd, peer, NULL, NULL);
	struct client client = {.address = *peer, .local = listener->service.local};
	codec_open_fn *open = entrance_codec(listener);

	if (!conn) {
		close(fd);
		return false;
	}
	if (listener->intercept != INTERCEPT_OFF)
		client.local = intercept_original(listener, fd, peer);
	else if (listener->servers_ask)
		client.local = listener_local(fd, &client.local);
	if (header || !open)
		good = entrance_start(conn, listener, &client, header, ops, owner);
	else
		good = open(conn, &client, &listener->service, ops->on_gone, owner);
	if (!good)
		conn_close(conn);
	return good;
}

/* ---- the worker's ---- */

bool entrance_room_init(struct worker *worker)
{
	struct entrance_room *room = memory_alloc(worker->memory, sizeof(*room));

	if (!room || !raw_client_room_init(worker) || !detached_room_init(worker))
		goto fail;
	*room = (struct entrance_room){.worker = worker};
	pool_init(&room->entrances, worker->memory, sizeof(struct entrance), KEEP_ENTRANCES);
	list_init(&room->open);
	entrance_log_init(room);
	worker->slots[WORKER_SLOT_ENTRANCE] = room;
	return true;
fail:
	if (room)
		memory_free(worker->memory, room, sizeof(*room));
	return false;
}

void entrance_room_fini(struct worker *worker)
{
	struct entrance_room *room = entrance_room(worker);

	raw_client_room_fini(worker);
	detached_room_fini(worker);
	if (!room)
		return;
	entrance_log_fini(room);
	pool_fini(&room->entrances);
	memory_free(worker->memory, room, sizeof(*room));
	worker->slots[WORKER_SLOT_ENTRANCE] = NULL;
}

static void entrance_close_all(struct entrance_room *room, bool begun_too)
{
	struct link *head = &room->open, *next;

	for (struct link *link = head->next; link != head; link = next) {
		struct entrance *entrance = CONTAINER_OF(link, struct entrance, link);
		next = link->next;
		if (begun_too || (entrance->state != ENTRANCE_HANDSHAKE && !entrance->pending.block))
			entrance_close(entrance);
	}
}

void entrance_drain(struct worker *worker)
{
	entrance_close_all(entrance_room(worker), false);
	h1_server_drain(worker);
	h2_server_drain(worker);
	raw_client_drain(worker);
}

void entrance_cut(struct worker *worker)
{
	entrance_close_all(entrance_room(worker), true);
	h1_server_cut(worker);
	h2_server_cut(worker);
	socks_server_cut(worker);
	raw_client_cut(worker);
	detached_cut(worker);
}
