/*
 * See raw_client.h.
 */
#include "proxy/raw_client.h"

#include "exchange/raw.h"
#include "http/h1/server.h"

enum { CLIENTS_KEPT = 1024 }; /* free objects held for reuse */

struct raw_client_room {
	struct pool clients;
	struct link open; /* raw_client.link */
};

static struct raw_client_room *raw_client_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_RAW_CLIENT];
}

bool raw_client_room_init(struct worker *worker)
{
	struct raw_client_room *room = memory_alloc(worker->memory, sizeof(*room));

	if (!room)
		return false;
	*room = (struct raw_client_room){0};
	pool_init(&room->clients, worker->memory, sizeof(struct raw_client), CLIENTS_KEPT);
	list_init(&room->open);
	worker->slots[WORKER_SLOT_RAW_CLIENT] = room;
	return true;
}

void raw_client_room_fini(struct worker *worker)
{
	struct raw_client_room *room = raw_client_room(worker);

	if (!room)
		return;
	pool_fini(&room->clients);
	memory_free(worker->memory, room, sizeof(*room));
	worker->slots[WORKER_SLOT_RAW_CLIENT] = NULL;
}

/* What may follow each state, as bits. */
static const uint8_t raw_client_moves[] = {
	[RAW_CLIENT_FIRST] = 1 << RAW_CLIENT_EXCHANGE | 1 << RAW_CLIENT_CLOSED,
	[RAW_CLIENT_EXCHANGE] = 1 << RAW_CLIENT_CLOSED,
	[RAW_CLIENT_CLOSED] = 0,
};

static void raw_client_set_state(struct raw_client *raw, enum raw_client_state state)
{
	ENSURE(raw_client_moves[raw->state] & 1 << state);
	raw->state = (uint8_t)state;
}

/* ---- ends ---- */

static void raw_client_free(struct loop_task *task)
{
	struct raw_client *raw = CONTAINER_OF(task, struct raw_client, retire);

	pool_put(&raw_client_room(raw->worker)->clients, raw);
}

static void raw_client_leave(struct raw_client *raw)
{
	struct worker *worker = raw->worker;

	raw_client_set_state(raw, RAW_CLIENT_CLOSED);
	raw->conn = NULL;
	raw->exchange = NULL;
	pending_clear(&raw->pending, &worker->buffers);
	loop_timer_stop(&worker->loop, &raw->timer);
	list_remove(&raw->link);
	loop_retire(&worker->loop, &raw->retire);
}

static void raw_client_gone(struct raw_client *raw)
{
	raw_client_leave(raw);
	raw->on_gone(raw->owner, &raw->client);
}

static void raw_client_on_raw_gone(void *owner)
{
	raw_client_gone(owner);
}

static void raw_client_on_raw_claim(void *owner, struct client_claim *claim)
{
	struct raw_client *raw = owner;

	*claim = (struct client_claim){
		.address = raw->client.address, .on_gone = raw->on_gone, .owner = raw->owner};
	raw_client_leave(raw);
}

static void raw_client_close(struct raw_client *raw)
{
	conn_close(raw->conn);
	raw_client_gone(raw);
}

/* ---- the exchange ---- */

/*
 * The connection becomes the exchange's, with what has come of it (`early`, may be NULL; left empty). NULL: out of memory; the connection is still
 * ours.
 */
static struct exchange *raw_client_exchange(struct raw_client *raw, struct chunk_queue *early)
{
	struct exchange *x = exchange_new(raw->worker, &raw->listener->service, &raw->client);
	struct stream *down = x ? raw_stream_new(x, raw->conn, &x->request_body, &x->response_body, early,
						 false, raw_client_on_raw_gone, raw) :
				  NULL;

	if (!down) {
		if (x)
			exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		return NULL;
	}
	raw_set_claim(down, raw_client_on_raw_claim);
	exchange_attach_down(x, down);
	raw->conn = NULL;
	raw->exchange = x;
	raw_client_set_state(raw, RAW_CLIENT_EXCHANGE);
	loop_timer_stop(&raw->worker->loop, &raw->timer);
	return x;
}

static void raw_client_begin(struct raw_client *raw, struct exchange *x, const struct tls_client_hello *hello)
{
	struct error error = raw->ops->describe(raw, x, hello);

	if (error_is(&error))
		exchange_refuse(x, &error);
	else
		exchange_begin(x);
}

/* Ends a connection that goes nowhere, with a line in the log. */
static void raw_client_refuse(struct raw_client *raw, const struct error *error)
{
	static const struct tls_client_hello nothing = {0};
	struct exchange *x = raw_client_exchange(raw, NULL);

	if (!x) {
		raw_client_close(raw);
		return;
	}
	struct error other = raw->ops->describe(raw, x, &nothing);
	exchange_abort(x, error_is(&other) ? &other : error);
}

/* It is known where to: `bytes`, which lie in `block`, go there first. */
static void raw_client_go(struct raw_client *raw, struct block *block, struct span bytes,
			  const struct tls_client_hello *hello)
{
	struct buffers *buffers = &raw->worker->buffers;
	struct chunk_queue early = {0};
	bool good = bytes.len == 0 || chunk_queue_add(buffers, &early, block, bytes);
	struct exchange *x = good ? raw_client_exchange(raw, &early) : NULL;

	pending_clear(&raw->pending, buffers);
	if (x) {
		raw_client_begin(raw, x, hello);
		return;
	}
	chunk_queue_clear(buffers, &early);
	raw_client_close(raw);
}

static void raw_client_give_to_http(struct raw_client *raw, struct block *block, struct span bytes)
{
	struct conn *conn = raw->conn;

	if (!h1_server_open(conn, &raw->client, &raw->listener->service, raw->on_gone, raw->owner)) {
		raw_client_close(raw);
		return;
	}
	block->references++; /* it may be the pending one */
	raw_client_leave(raw);
	conn->ops->on_read(conn, block, bytes);
	block_release(&raw->worker->buffers, block);
}

/* ---- first bytes ---- */

static void raw_client_watch(struct raw_client *raw, bool begun)
{
	uint64_t ms = raw->ops->patience(raw, begun);

	if (ms)
		loop_timer_start(&raw->worker->loop, &raw->timer, ms);
}

static void raw_client_on_read(struct conn *conn, struct block *lent, struct span bytes)
{
	struct raw_client *raw = conn->owner;
	struct buffers *buffers = &raw->worker->buffers;
	struct tls_client_hello hello = {0};
	enum raw_client_look look = RAW_CLIENT_MORE;
	bool begun = raw->pending.block != NULL;
	struct span all = bytes;

	if (begun) {
		if (!pending_append(&raw->pending, buffers, bytes)) {
			raw_client_close(raw);
			return;
		}
		lent = raw->pending.block;
		all = pending_bytes(&raw->pending);
	}
	if (all.len >= raw->need) {
		look = raw->ops->look(raw, all, &hello);
		raw->need = hello.need;
	}
	if (look == RAW_CLIENT_HTTP)
		raw_client_give_to_http(raw, lent, all);
	else if (look == RAW_CLIENT_GO)
		raw_client_go(raw, lent, all, &hello);
	else if (!begun && !pending_append(&raw->pending, buffers, bytes))
		raw_client_close(raw);
	else if (!begun)
		raw_client_watch(raw, true);
}

static void raw_client_on_end(struct conn *conn)
{
	struct raw_client *raw = conn->owner;
	struct error error = error_make(ERROR_CLIENT_GONE, raw->ops->cut_short);

	if (raw->pending.block)
		raw_client_refuse(raw, &error);
	else
		raw_client_close(raw);
}

static void raw_client_on_fail(struct conn *conn, const struct error *error)
{
	raw_client_close(conn->owner);
}

static void raw_client_on_timeout(struct timer *timer)
{
	static const struct tls_client_hello nothing = {0};
	struct raw_client *raw = CONTAINER_OF(timer, struct raw_client, timer);
	bool begun = raw->pending.block != NULL;
	struct error error = raw->ops->on_late(raw, begun);

	if (!error_is(&error))
		raw_client_go(raw, raw->pending.block, pending_bytes(&raw->pending), &nothing);
	else if (begun || raw->ops->silence_is_told)
		raw_client_refuse(raw, &error);
	else
		raw_client_close(raw);
}

static const struct conn_ops raw_client_conn_ops = {
	.on_read = raw_client_on_read,
	.on_end = raw_client_on_end,
	.on_fail = raw_client_on_fail,
};

/* ---- for the entrance ---- */

/* False: out of memory, the connection is the caller's. */
static bool raw_client_start(struct raw_client *raw)
{
	static const struct tls_client_hello nothing = {0};

	if (raw->ops->patience(raw, false) == 0) {
		struct exchange *x = raw_client_exchange(raw, NULL);
		if (x)
			raw_client_begin(raw, x, &nothing);
		return x != NULL;
	}
	conn_adopt(raw->conn, &raw_client_conn_ops, raw);
	raw_client_watch(raw, false);
	conn_read_start(raw->conn);
	return true;
}

bool raw_client_open(const struct raw_client_ops *ops, const struct proxy_listener *listener,
		     struct conn *conn, const struct client *client, client_gone_fn *on_gone, void *owner)
{
	struct worker *worker = conn->worker;
	struct raw_client *raw = pool_get(&raw_client_room(worker)->clients);

	if (!raw)
		return false;
	*raw = (struct raw_client){
		.conn = conn,
		.worker = worker,
		.ops = ops,
		.listener = listener,
		.state = RAW_CLIENT_FIRST,
		.client = *client,
		.on_gone = on_gone,
		.owner = owner,
	};
	timer_init(&raw->timer, raw_client_on_timeout);
	loop_task_init(&raw->retire, raw_client_free);
	list_push(&raw_client_room(worker)->open, &raw->link);
	if (raw_client_start(raw))
		return true;
	list_remove(&raw->link);
	loop_retire(&worker->loop,
		    &raw->retire); /* an exchange that failed may still name its client in this turn */
	return false;
}

void raw_client_drain(struct worker *worker)
{
	struct link *head = &raw_client_room(worker)->open, *next;

	for (struct link *link = head->next; link != head; link = next) {
		struct raw_client *raw = CONTAINER_OF(link, struct raw_client, link);
		next = link->next;
		if (raw->state == RAW_CLIENT_FIRST && !raw->pending.block)
			raw_client_close(raw);
	}
}

void raw_client_cut(struct worker *worker)
{
	struct link *head = &raw_client_room(worker)->open, *next;

	for (struct link *link = head->next; link != head; link = next) {
		struct raw_client *raw = CONTAINER_OF(link, struct raw_client, link);
		next = link->next;
		if (raw->exchange)
			exchange_abort(raw->exchange, &(struct error){.code = ERROR_DRAINING});
		else
			raw_client_close(raw);
	}
}
