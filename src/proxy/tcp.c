/*
 * The tcp face. A connection is an exchange whose both ends are raw from the beginning; where routes go by name, the ClientHello is read before that,
 * and handed on as it came. On the worker that accepted.
 */
#include "proxy/tcp.h"

#include "exchange/raw.h"
#include "proxy/proxy_internal.h"
#include "route/split.h"
#include "tls/client_hello.h"

enum { CLIENTS_KEPT = 1024 }; /* free objects held for reuse */

struct tcp_room {
	struct pool clients;
	struct link open; /* tcp_client.link */
};

enum tcp_state {
	TCP_HELLO,    /* the ClientHello is waited for */
	TCP_EXCHANGE, /* the connection is the exchange's */
	TCP_CLOSED,
};

/* A client's connection. */
struct tcp_client {
	struct conn *conn; /* NULL once it is the exchange's, or closed */
	struct worker *worker;
	const struct proxy_listener *listener;
	struct exchange *exchange; /* TCP_EXCHANGE */
	struct block *hello;       /* what has come of it; NULL: nothing */
	uint32_t need;             /* bytes without which it is not whole */
	uint8_t state;             /* enum tcp_state */
	struct timer timer;
	struct link link;
	struct loop_task retire;
	struct client client;
	client_gone_fn *on_gone;
	void *owner;
};

static struct tcp_room *tcp_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_TCP];
}

bool tcp_room_init(struct worker *worker)
{
	struct tcp_room *room = memory_alloc(worker->memory, sizeof(*room));

	if (!room)
		return false;
	*room = (struct tcp_room){0};
	pool_init(&room->clients, worker->memory, sizeof(struct tcp_client), CLIENTS_KEPT);
	list_init(&room->open);
	worker->slots[WORKER_SLOT_TCP] = room;
	return true;
}

void tcp_room_fini(struct worker *worker)
{
	struct tcp_room *room = tcp_room(worker);

	if (!room)
		return;
	pool_fini(&room->clients);
	memory_free(worker->memory, room, sizeof(*room));
	worker->slots[WORKER_SLOT_TCP] = NULL;
}

/* What may follow each state, as bits. */
static const uint8_t tcp_moves[] = {
	[TCP_HELLO] = 1 << TCP_EXCHANGE | 1 << TCP_CLOSED,
	[TCP_EXCHANGE] = 1 << TCP_CLOSED,
	[TCP_CLOSED] = 0,
};

static void tcp_set_state(struct tcp_client *tcp, enum tcp_state state)
{
	ENSURE(tcp_moves[tcp->state] & 1 << state);
	tcp->state = (uint8_t)state;
}

/* ---- ends ---- */

static void tcp_free(struct loop_task *task)
{
	struct tcp_client *tcp = CONTAINER_OF(task, struct tcp_client, retire);

	pool_put(&tcp_room(tcp->worker)->clients, tcp);
}

static void tcp_forget_hello(struct tcp_client *tcp)
{
	block_release(&tcp->worker->buffers, tcp->hello);
	tcp->hello = NULL;
}

static void tcp_gone(struct tcp_client *tcp)
{
	struct worker *worker = tcp->worker;

	tcp_set_state(tcp, TCP_CLOSED);
	tcp->conn = NULL;
	tcp->exchange = NULL;
	tcp_forget_hello(tcp);
	loop_timer_stop(&worker->loop, &tcp->timer);
	list_remove(&tcp->link);
	tcp->on_gone(tcp->owner, &tcp->client);
	loop_retire(&worker->loop, &tcp->retire);
}

static void tcp_on_raw_gone(void *owner)
{
	tcp_gone(owner);
}

static void tcp_close(struct tcp_client *tcp)
{
	conn_close(tcp->conn);
	tcp_gone(tcp);
}

/* ---- the exchange ---- */

/*
 * The connection becomes the exchange's, with what has come of it (`early`, may be NULL; left empty). NULL: out of memory; the connection is still
 * ours.
 */
static struct exchange *tcp_exchange(struct tcp_client *tcp, struct chunk_queue *early)
{
	struct exchange *x = exchange_new(tcp->worker, &tcp->listener->service, &tcp->client);
	struct stream *down = x ? raw_stream_new(x, tcp->conn, &x->request_body, &x->response_body, early,
						 false, tcp_on_raw_gone, tcp) :
				  NULL;

	if (!down) {
		if (x)
			exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		return NULL;
	}
	exchange_attach_down(x, down);
	tcp->conn = NULL;
	tcp->exchange = x;
	tcp_set_state(tcp, TCP_EXCHANGE);
	loop_timer_stop(&tcp->worker->loop, &tcp->timer);
	return x;
}

/* Ends a connection that goes nowhere, with a line in the log. */
static void tcp_refuse(struct tcp_client *tcp, enum error_code code, const char *text)
{
	struct error error = error_make(code, text);
	struct exchange *x = tcp_exchange(tcp, NULL);

	if (x)
		exchange_abort(x, &error);
	else
		tcp_close(tcp);
}

/* ---- the ClientHello ---- */

/* It is known where to: `bytes`, which lie in `block`, go there first. */
static void tcp_go_on(struct tcp_client *tcp, struct block *block, struct span bytes, struct span name)
{
	struct buffers *buffers = &tcp->worker->buffers;
	struct chunk_queue early = {0};
	struct exchange *x = chunk_queue_add(buffers, &early, block, bytes) ? tcp_exchange(tcp, &early) : NULL;

	tcp_forget_hello(tcp);
	if (!x) {
		chunk_queue_clear(buffers, &early);
		tcp_close(tcp);
		return;
	}
	x->request.authority = arena_copy(&x->arena, name);
	if (x->request.authority.at)
		exchange_begin(x);
	else
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
}

/* Room for `bytes` more behind what has come. False: out of memory. */
static bool tcp_hello_grow(struct tcp_client *tcp, size_t bytes)
{
	struct buffers *buffers = &tcp->worker->buffers;
	struct block *old = tcp->hello;
	size_t used = old ? old->used : 0;

	if (old && old->capacity - used >= bytes)
		return true;
	struct block *block = block_new(buffers, 2 * used + bytes);
	if (!block)
		return false;
	if (used)
		memcpy(block->bytes, old->bytes, used);
	block->used = (uint32_t)used;
	block_release(buffers, old);
	tcp->hello = block;
	return true;
}

static void tcp_on_read(struct conn *conn, struct block *lent, struct span bytes)
{
	struct tcp_client *tcp = conn->owner;
	struct tls_client_hello hello = {0};
	enum tls_peek result = TLS_PEEK_MORE;
	bool held = tcp->hello != NULL;

	if (held) {
		if (!tcp_hello_grow(tcp, bytes.len)) {
			tcp_close(tcp);
			return;
		}
		lent = tcp->hello;
		memcpy(lent->bytes + lent->used, bytes.at, bytes.len);
		lent->used += (uint32_t)bytes.len;
		bytes = span_make(lent->bytes, lent->used);
	}
	if (bytes.len >= tcp->need) {
		result = tls_client_hello_peek(bytes, &hello);
		tcp->need = hello.need;
	}
	if (result != TLS_PEEK_MORE) {
		/* What is no ClientHello has no name either. */
		tcp_go_on(tcp, lent, bytes, span_make(hello.name, hello.name_len));
		return;
	}
	if (held)
		return;
	if (!tcp_hello_grow(tcp, bytes.len)) {
		tcp_close(tcp);
		return;
	}
	memcpy(tcp->hello->bytes, bytes.at, bytes.len);
	tcp->hello->used = (uint32_t)bytes.len;
}

static void tcp_on_end(struct conn *conn)
{
	struct tcp_client *tcp = conn->owner;

	if (tcp->hello)
		tcp_refuse(tcp, ERROR_CLIENT_GONE, "the connection ended inside a ClientHello");
	else
		tcp_close(tcp);
}

static void tcp_on_fail(struct conn *conn, const struct error *error)
{
	tcp_close(conn->owner);
}

static void tcp_on_timeout(struct timer *timer)
{
	struct tcp_client *tcp = CONTAINER_OF(timer, struct tcp_client, timer);

	tcp_refuse(tcp, ERROR_HANDSHAKE, "no ClientHello came in time");
}

static const struct conn_ops tcp_hello_ops = {
	.on_read = tcp_on_read,
	.on_end = tcp_on_end,
	.on_fail = tcp_on_fail,
};

/* ---- for the entrance ---- */

/* False: out of memory, the connection is the caller's. */
static bool tcp_begin(struct tcp_client *tcp)
{
	if (!tcp_router_by_name(tcp->listener->tcp)) {
		struct exchange *x = tcp_exchange(tcp, NULL);
		if (x)
			exchange_begin(x);
		return x != NULL;
	}
	conn_adopt(tcp->conn, &tcp_hello_ops, tcp);
	loop_timer_start(&tcp->worker->loop, &tcp->timer, tcp->listener->service.timeouts->handshake);
	conn_read_start(tcp->conn);
	return true;
}

bool tcp_open(const struct proxy_listener *listener, struct conn *conn, const struct client *client,
	      client_gone_fn *on_gone, void *owner)
{
	struct worker *worker = conn->worker;
	struct tcp_client *tcp = pool_get(&tcp_room(worker)->clients);

	if (!tcp)
		return false;
	*tcp = (struct tcp_client){
		.conn = conn,
		.worker = worker,
		.listener = listener,
		.state = TCP_HELLO,
		.client = *client,
		.on_gone = on_gone,
		.owner = owner,
	};
	timer_init(&tcp->timer, tcp_on_timeout);
	loop_task_init(&tcp->retire, tcp_free);
	list_push(&tcp_room(worker)->open, &tcp->link);
	if (tcp_begin(tcp))
		return true;
	list_remove(&tcp->link);
	loop_retire(&worker->loop,
		    &tcp->retire); /* an exchange that failed may still name its client in this turn */
	return false;
}

void tcp_drain(struct worker *worker)
{
	struct link *head = &tcp_room(worker)->open, *next;

	for (struct link *link = head->next; link != head; link = next) {
		struct tcp_client *tcp = CONTAINER_OF(link, struct tcp_client, link);
		next = link->next;
		if (tcp->state == TCP_HELLO && !tcp->hello)
			tcp_close(tcp);
	}
}

void tcp_cut(struct worker *worker)
{
	struct link *head = &tcp_room(worker)->open, *next;

	for (struct link *link = head->next; link != head; link = next) {
		struct tcp_client *tcp = CONTAINER_OF(link, struct tcp_client, link);
		next = link->next;
		if (tcp->exchange)
			exchange_abort(tcp->exchange, &(struct error){.code = ERROR_DRAINING});
		else
			tcp_close(tcp);
	}
}

/* ---- phases ---- */

static enum phase_result tcp_route(struct exchange *x, struct proxy_exchange *p)
{
	p->tcp_route = tcp_router_match(p->listener->tcp, p->authority);
	if (p->tcp_route)
		return PHASE_NEXT;
	return phase_fail(x, ERROR_NO_ROUTE,
			  p->authority.len ? "no route takes this name" :
					     "no route takes a connection without a name");
}

static struct proxy_exchange *tcp_owner(struct acquire *acquire)
{
	return CONTAINER_OF(acquire, struct proxy_exchange, hand_over.acquire);
}

static void tcp_on_conn(struct acquire *acquire, struct conn *conn)
{
	struct proxy_exchange *p = tcp_owner(acquire);
	struct exchange *x = p->exchange;
	struct stream *up =
		raw_stream_new(x, conn, &x->response_body, &x->request_body, NULL, false, NULL, NULL);
	if (!up) {
		conn_close(conn);
		exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	hand_over_on_connected(p);
	exchange_set_up(x, up);
	exchange_open_tunnel(x);
	tunnel_start(x, p);
}

static void tcp_on_no_conn(struct acquire *acquire, const struct error *error)
{
	struct proxy_exchange *p = tcp_owner(acquire);

	hand_over_on_failed(p->exchange, p, error);
}

static const struct acquire_ops tcp_acquire_ops = {
	.on_conn = tcp_on_conn,
	.on_failed = tcp_on_no_conn,
};

/* Nothing has left for a server before one is connected: another one is always a good try. */
void tcp_try(struct exchange *x, struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;
	struct acquire_wish wish = {
		.kind = ACQUIRE_CONN,
		.source = &x->client->address,
		.destination = &x->client->local,
		.began_us = &hand->ticket.began_us,
	};

	if (!acquire_start(&hand->acquire, &tcp_acquire_ops, hand->group, hand->ticket.server, &wish))
		exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
}

static enum phase_result tcp_choose(struct exchange *x, struct proxy_exchange *p)
{
	const struct tcp_route *route = p->tcp_route;

	p->group = route->split ? split_choose(route->split, NULL, &p->origin.client, &x->worker->random) :
				  route->group;
	if (!hand_over_choose(x, p, upstream_group(x->worker, p->group)))
		return phase_fail(x, ERROR_MEMORY, NULL);
	return PHASE_NEXT;
}

static enum phase_result tcp_hand_over(struct exchange *x, struct proxy_exchange *p)
{
	hand_over_begin(x, p, upstream_group(x->worker, p->group));
	return PHASE_DONE;
}

const struct phase tcp_phases[] = {
	{"route", tcp_route},
	{"choose", tcp_choose},
	{"hand over", tcp_hand_over},
	{0},
};
