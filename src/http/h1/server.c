/*
 * The reading half of a client's HTTP/1 connection: heads, bodies, pipelining, time. The writing half is server_stream.c.
 */
#include "http/h1/server.h"

#include "http/h1/h1_internal.h"
#include "http/h1/watch.h"

#include <unistd.h>

/* What may follow each state, as bits. */
static const uint8_t h1_server_moves[] = {
	[H1_SERVER_IDLE] = 1 << H1_SERVER_IDLE | 1 << H1_SERVER_HEAD | 1 << H1_SERVER_EXCHANGE |
			   1 << H1_SERVER_CLOSED,
	[H1_SERVER_HEAD] = 1 << H1_SERVER_IDLE | 1 << H1_SERVER_EXCHANGE | 1 << H1_SERVER_CLOSED,
	[H1_SERVER_EXCHANGE] = 1 << H1_SERVER_IDLE | 1 << H1_SERVER_TUNNEL | 1 << H1_SERVER_CLOSED,
	[H1_SERVER_TUNNEL] = 1 << H1_SERVER_CLOSED,
	[H1_SERVER_CLOSED] = 0,
};

void h1_server_set_state(struct h1_server *server, enum h1_server_state state)
{
	ENSURE(h1_server_moves[server->state] & 1 << state);
	server->state = (uint8_t)state;
}

/* ---- ends ---- */

static void h1_server_free(struct loop_task *task)
{
	struct h1_server *server = CONTAINER_OF(task, struct h1_server, retire);
	pool_put(&h1_room(server->worker)->servers, server);
}

/* The connection is no longer ours. */
static void h1_server_leave(struct h1_server *server)
{
	struct worker *worker = server->worker;

	server->conn = NULL;
	h1_server_set_state(server, H1_SERVER_CLOSED);
	pending_clear(&server->pending, &worker->buffers);
	loop_timer_stop(&worker->loop, &server->timer);
	list_remove(&server->link);
	pins_end(&server->pins);
	loop_retire(&worker->loop, &server->retire);
}

static void h1_server_gone(struct h1_server *server)
{
	h1_server_leave(server);
	server->on_gone(server->owner, &server->client);
}

void h1_server_close(struct h1_server *server)
{
	if (server->conn)
		conn_close(server->conn);
	h1_server_gone(server);
}

void h1_server_linger(struct h1_server *server)
{
	conn_linger(server->conn);
	h1_server_gone(server);
}

void h1_server_on_raw_gone(void *owner)
{
	h1_server_gone(owner);
}

void h1_server_on_raw_claim(void *owner, struct client_claim *claim)
{
	struct h1_server *server = owner;

	*claim = (struct client_claim){
		.address = server->client.address, .on_gone = server->on_gone, .owner = server->owner};
	h1_server_leave(server);
}

/* ---- heads ---- */

/* A pair and its exchange for a request whose head is about to be read. NULL: out of memory, the connection is closed. */
static struct h1_pair *h1_server_pair(struct h1_server *server)
{
	struct exchange *x = exchange_new(server->worker, server->service, &server->client);
	struct h1_pair *pair = x ? arena_zalloc(&x->arena, 1, sizeof(*pair)) : NULL;

	if (!pair) {
		if (x)
			exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		h1_server_close(server);
		return NULL;
	}
	pair->server = server;
	pair->exchange = x;
	pair->stream.ops = &h1_server_stream_ops;
	exchange_attach_down(x, &pair->stream);
	server->pair = pair;
	h1_server_set_state(server, H1_SERVER_EXCHANGE);
	server->scanned = 0;
	server->empty_lines = 0;
	server->served++;
	server->read_deadline = 0;
	return pair;
}

/* Answers a request that could not be read to the end of its head; the connection ends with the answer. */
static void h1_server_refuse(struct h1_server *server, const struct error *error)
{
	struct h1_pair *pair = server->pair ? server->pair : h1_server_pair(server);
	if (!pair)
		return;
	pair->discard = true;
	conn_read_stop(server->conn);
	exchange_refuse(pair->exchange, error);
}

static void h1_server_begin(struct h1_server *server, struct h1_pair *pair, const struct h1_framing *framing)
{
	struct exchange *x = pair->exchange;

	pair->client_keeps = framing->keep_alive;
	pair->request_done = !http_head_has_body(&x->request);
	if (pair->request_done) {
		flow_finish(&x->request_body, NULL);
	} else {
		h1_body_init(&pair->body, &x->request);
		h1_server_watch_body(server);
	}
	if (memory_pressure(server->worker->memory) == MEMORY_FULL)
		exchange_refuse(x, &(struct error){.code = ERROR_MEMORY});
	else
		exchange_begin(x);
}

/* A whole head is there: `bytes`, its empty line included. */
static void h1_server_on_head(struct h1_server *server, struct span bytes, const struct h1_limits *limits)
{
	struct h1_pair *pair = h1_server_pair(server);
	struct h1_framing framing = {0};
	struct error error = ERROR_OK;

	if (!pair)
		return;
	struct exchange *x = pair->exchange;
	struct span copy = arena_copy(&x->arena, bytes);
	if (!copy.at)
		h1_server_refuse(server, &(struct error){.code = ERROR_MEMORY});
	else if (!h1_request_parse(copy, &x->arena, limits, server->service->scheme, &x->request, &framing,
				   &error))
		h1_server_refuse(server, &error);
	else
		h1_server_begin(server, pair, &framing);
}

/* Keeps a partial head for later. Answers how many bytes were used up: all of them. */
static size_t h1_server_keep_head(struct h1_server *server, struct span bytes, const struct h1_limits *limits)
{
	struct error error = ERROR_OK;

	if (h1_head_is_hopeless(bytes, limits, false, &error)) {
		h1_server_refuse(server, &error);
		return bytes.len;
	}
	if (server->state == H1_SERVER_IDLE) {
		h1_server_set_state(server, H1_SERVER_HEAD);
		h1_watch(&server->worker->loop, &server->timer, &server->read_deadline,
			 server->service->timeouts->header);
	}
	return 0;
}

/* Looks for a head at the beginning of `bytes`. Answers how many bytes were used; 0: more are needed. */
static size_t h1_server_read_head(struct h1_server *server, struct span bytes)
{
	struct h1_limits limits = h1_limits_from(server->service->limits);
	size_t skipped = h1_skip_empty_lines(bytes);
	struct span rest = span_from(bytes, skipped);

	if (skipped)
		server->scanned = 0; /* a CR that came alone has been looked at */
	server->empty_lines += (uint8_t)(skipped / 2);
	if (server->empty_lines > H1_EMPTY_LINES_MOST) {
		h1_server_refuse(server, &(struct error){.code = ERROR_MALFORMED_REQUEST,
							 .text = "too many empty lines before a request"});
		return bytes.len;
	}
	if (rest.len == 0) {
		h1_server_set_state(server, H1_SERVER_IDLE);
		return skipped;
	}
	size_t end = h1_head_end(rest, &server->scanned);
	if (end == H1_INCOMPLETE) {
		size_t used = h1_server_keep_head(server, rest, &limits);
		return used ? skipped + used : skipped;
	}
	h1_server_on_head(server, span_first(rest, end), &limits);
	return skipped + end;
}

/* ---- bodies ---- */

static bool h1_server_wants_bytes(const struct h1_server *server)
{
	const struct h1_pair *pair = server->pair;

	if (!pair)
		return true;
	if (pair->exchange->head_is_bad || pair->body_is_bad)
		return false;
	if (server->pending.block)
		return false; /* the next request came early: one block of it is enough */
	if (pair->request_done)
		return true; /* to see the client go */
	return pair->discard ? pair->keep || !pair->head_sent : !pair->exchange->request_body.full;
}

static void h1_server_regulate(struct h1_server *server)
{
	if (!server->conn)
		return;
	if (h1_server_wants_bytes(server))
		conn_read_start(server->conn);
	else
		conn_read_stop(server->conn);
}

void h1_server_watch_body(struct h1_server *server)
{
	h1_watch(&server->worker->loop, &server->timer, &server->read_deadline,
		 server->service->timeouts->body);
}

/* More of a body that nobody wants: bounded, then the connection ends instead. */
enum { DISCARD_MOST = 64 * 1024 };

static void h1_server_discard(struct h1_server *server, struct h1_pair *pair, size_t bytes)
{
	pair->dropped += bytes;
	if (pair->dropped <= DISCARD_MOST || !pair->keep)
		return;
	pair->keep = false;
	conn_read_stop(server->conn);
	h1_pair_finish_if_done(pair);
}

/* No more of this body: the client is told, unless its response has been written already, and the connection ends. */
static void h1_server_refuse_body(struct h1_server *server, struct h1_pair *pair, const struct error *error)
{
	pair->body_is_bad = true;
	pair->discard = true;
	pair->exchange->close_after = true;
	conn_read_stop(server->conn);
	if (!pair->response_done) {
		exchange_fail(pair->exchange, error);
		return;
	}
	pair->keep = false;
	h1_pair_finish_if_done(pair);
}

static void h1_server_on_data(struct h1_server *server, struct h1_pair *pair, struct block *block,
			      struct span data)
{
	struct exchange *x = pair->exchange;

	if (pair->discard) {
		h1_server_discard(server, pair, data.len);
		return;
	}
	if (pair->body.total > x->body_limit) {
		h1_server_refuse_body(server, pair, &(struct error){.code = ERROR_BODY_TOO_LARGE});
		return;
	}
	switch (flow_push(&x->request_body, block, data)) {
	case FLOW_ROOM:
		conn_read_room(server->conn, flow_room(&x->request_body));
		break;
	case FLOW_FULL:
		/* Waiting for the server now, not for the client. */
		conn_read_stop(server->conn);
		server->read_deadline = 0;
		break;
	case FLOW_NO_MEMORY:
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		break;
	}
}

static void h1_server_on_body_end(struct h1_server *server, struct h1_pair *pair)
{
	pair->request_done = true;
	server->read_deadline = 0;
	if (!pair->discard) {
		exchange_on_trailers(pair->exchange, pair->body.trailers, false);
		flow_finish(&pair->exchange->request_body, pair->body.trailers);
	}
	h1_pair_finish_if_done(pair);
	h1_server_regulate(server);
}

/* Reads the body as far as `bytes` go. Answers how many of them were used: all, unless the body ends in between. */
static size_t h1_server_read_body(struct h1_server *server, struct block *block, struct span bytes)
{
	struct h1_pair *pair = server->pair;
	struct exchange *x = pair->exchange;
	struct h1_limits limits = h1_limits_from(server->service->limits);
	struct span in = bytes, data = {0};
	struct error error = ERROR_OK;

	while (server->pair == pair && !pair->body_is_bad) {
		switch (h1_body_read(&pair->body, &in, &data, &x->arena, &limits, false, &error)) {
		case H1_BODY_DATA:
			h1_server_on_data(server, pair, block, data);
			break;
		case H1_BODY_MORE:
			return bytes.len;
		case H1_BODY_END:
			h1_server_on_body_end(server, pair);
			return bytes.len - in.len;
		case H1_BODY_BAD:
			h1_server_refuse_body(server, pair, &error);
			return bytes.len;
		}
	}
	return bytes.len;
}

/* ---- bytes ---- */

static bool h1_server_reads_body(const struct h1_server *server)
{
	const struct h1_pair *pair = server->pair;
	return pair && !pair->request_done && !pair->body_is_bad && !pair->exchange->head_is_bad;
}

/*
 * Uses what it can of `bytes`, which lie in `block`. What stays unused is a partial head, or belongs to the next request
 * while this one is running. Answers how many bytes were used; the connection may be closed afterwards.
 */
static size_t h1_server_use(struct h1_server *server, struct block *block, struct span bytes)
{
	size_t used = 0;

	while (used < bytes.len && server->conn) {
		struct span rest = span_from(bytes, used);
		size_t step = 0;
		if (server->state == H1_SERVER_IDLE || server->state == H1_SERVER_HEAD)
			step = h1_server_read_head(server, rest);
		else if (h1_server_reads_body(server))
			step = h1_server_read_body(server, block, rest);
		if (step == 0)
			break;
		used += step;
	}
	return used;
}

static void h1_server_use_pending(struct h1_server *server)
{
	struct block *block = server->pending.block;
	struct buffers *buffers = &server->worker->buffers;

	block->references++; /* a close in between lets go of the pending block */
	size_t used = h1_server_use(server, block, pending_bytes(&server->pending));
	if (server->conn && server->pending.block)
		pending_consume(&server->pending, buffers, used);
	block_release(buffers, block);
	h1_server_regulate(server);
}

static void h1_server_on_no_memory(struct h1_server *server)
{
	if (server->pair)
		exchange_abort(server->pair->exchange, &(struct error){.code = ERROR_MEMORY});
	else
		h1_server_close(server);
}

/* Whether the first byte of the connection says that it speaks something else. */
static bool h1_server_is_foreign(const struct h1_server *server, struct span bytes)
{
	const struct codec_beside *beside = server->service->beside;

	return beside && bytes.at[0] < 32 && beside->first_bytes >> bytes.at[0] & 1 && server->served == 0 &&
	       server->state == H1_SERVER_IDLE && server->empty_lines == 0 && !server->pending.block;
}

/* To the codec that speaks it. */
static void h1_server_give_away(struct h1_server *server, struct block *lent, struct span bytes)
{
	struct conn *conn = server->conn;

	if (!server->service->beside->open(conn, &server->client, server->service, server->on_gone,
					   server->owner)) {
		h1_server_close(server);
		return;
	}
	h1_server_leave(server);
	conn->ops->on_read(conn, lent, bytes);
}

static void h1_server_on_read(struct conn *conn, struct block *lent, struct span bytes)
{
	struct h1_server *server = conn->owner;
	struct buffers *buffers = &server->worker->buffers;

	if (h1_server_is_foreign(server, bytes)) {
		h1_server_give_away(server, lent, bytes);
		return;
	}
	if (server->read_deadline && server->state == H1_SERVER_EXCHANGE)
		h1_server_watch_body(server);
	if (server->pending.block) {
		if (!pending_append(&server->pending, buffers, bytes))
			h1_server_on_no_memory(server);
		else
			h1_server_use_pending(server);
		return;
	}
	size_t used = h1_server_use(server, lent, bytes);
	if (!server->conn || used == bytes.len)
		return;
	if (server->pair && (server->pair->exchange->head_is_bad || server->pair->body_is_bad))
		return; /* it will not be read any more */
	if (!pending_append(&server->pending, buffers, span_from(bytes, used)))
		h1_server_on_no_memory(server);
	h1_server_regulate(server);
}

static void h1_server_resume(struct loop_task *task)
{
	struct h1_server *server = CONTAINER_OF(task, struct h1_server, resume);

	if (!server->conn)
		return;
	if (server->pin_lost && (server->state == H1_SERVER_IDLE || server->state == H1_SERVER_HEAD))
		h1_server_linger(server);
	else if (server->pending.block && server->state == H1_SERVER_IDLE)
		h1_server_use_pending(server);
	else
		h1_server_regulate(server);
}

void h1_server_next(struct h1_server *server)
{
	struct worker *worker = server->worker;

	server->pair = NULL;
	h1_server_set_state(server, H1_SERVER_IDLE);
	server->write_deadline = 0;
	if (server->input_ended && !server->pending.block) {
		h1_server_close(server);
		return;
	}
	h1_watch(&worker->loop, &server->timer, &server->read_deadline, server->service->timeouts->idle);
	if (server->pending.block)
		loop_soon(&worker->loop, &server->resume);
	else
		conn_read_start(server->conn);
}

/* The client sends no more (RFC 9112 9.6). It may still wait for what it asked. */
static void h1_server_on_end(struct conn *conn)
{
	struct h1_server *server = conn->owner;
	struct h1_pair *pair = server->pair;

	server->input_ended = true;
	switch (server->state) {
	case H1_SERVER_IDLE:
		h1_server_close(server);
		break;
	case H1_SERVER_HEAD:
		h1_server_refuse(server, &(struct error){.code = ERROR_MALFORMED_REQUEST,
							 .text = "the connection ended inside a request head"});
		break;
	default:
		if (!pair || pair->request_done)
			break;
		if (pair->discard || pair->response_done) {
			pair->discard = true;
			pair->keep = false;
			h1_pair_finish_if_done(pair);
		} else {
			exchange_abort(pair->exchange,
				       &(struct error){.code = ERROR_CLIENT_GONE,
						       .text = "the request body ended too early"});
		}
	}
}

static void h1_server_on_sent(struct conn *conn, size_t bytes)
{
	struct h1_server *server = conn->owner;
	if (server->pair)
		h1_pair_on_sent(server->pair);
}

static void h1_server_on_fail(struct conn *conn, const struct error *error)
{
	struct h1_server *server = conn->owner;
	if (server->pair)
		exchange_abort(server->pair->exchange,
			       &(struct error){.code = ERROR_CLIENT_GONE, .system = error->system});
	else
		h1_server_close(server);
}

/* ---- time ---- */

static void h1_server_on_read_timeout(struct h1_server *server)
{
	struct h1_pair *pair = server->pair;
	struct error error = {.code = ERROR_REQUEST_TIMEOUT};

	server->read_deadline = 0;
	if (server->state == H1_SERVER_IDLE) {
		h1_server_close(server);
	} else if (server->state == H1_SERVER_HEAD) {
		error.text = "the request head did not arrive in time";
		h1_server_refuse(server, &error);
	} else if (pair && !pair->request_done) {
		error.text = "the request body did not arrive in time";
		pair->exchange->close_after = true;
		if (pair->head_sent && pair->response_done) {
			pair->keep = false;
			h1_pair_finish_if_done(pair);
		} else {
			exchange_fail(pair->exchange, &error);
		}
	}
}

static void h1_server_on_timer(struct timer *timer)
{
	struct h1_server *server = CONTAINER_OF(timer, struct h1_server, timer);
	struct loop *loop = &server->worker->loop;

	if (server->pair && h1_watch_passed(loop, server->write_deadline))
		exchange_abort(server->pair->exchange, &(struct error){.code = ERROR_CLIENT_STALLED});
	else if (h1_watch_passed(loop, server->read_deadline))
		h1_server_on_read_timeout(server);
	if (!server->conn)
		return;
	h1_watch_again(loop, timer, server->read_deadline);
	h1_watch_again(loop, timer, server->write_deadline);
}

/* ---- opening ---- */

/*
 * A connection that the client has authenticated with a server ends when the server ends it (not with the answer that is on its way): the client then begins anew, as
 * it would without us, and never goes on with half a login on another connection.
 */
void h1_server_on_pin_lost(struct pins *pins)
{
	struct h1_server *server = CONTAINER_OF(pins, struct h1_server, pins);

	server->pin_lost = true;
	loop_soon(&server->worker->loop, &server->resume);
}

static const struct conn_ops h1_server_conn_ops = {
	.on_read = h1_server_on_read,
	.on_end = h1_server_on_end,
	.on_sent = h1_server_on_sent,
	.on_fail = h1_server_on_fail,
};

bool h1_server_open(struct conn *conn, const struct client *client, const struct service *service,
		    client_gone_fn *on_gone, void *owner)
{
	struct worker *worker = conn->worker;
	struct h1_room *room = h1_room(worker);
	struct h1_server *server = pool_get(&room->servers);
	if (!server)
		return false;
	memset(server, 0, sizeof(*server));
	server->worker = worker;
	server->service = service;
	server->client = *client;
	server->client.pins = &server->pins;
	server->on_gone = on_gone;
	server->owner = owner;
	timer_init(&server->timer, h1_server_on_timer);
	loop_task_init(&server->resume, h1_server_resume);
	loop_task_init(&server->retire, h1_server_free);
	server->conn = conn;
	conn_adopt(conn, &h1_server_conn_ops, server);
	list_push(&room->open, &server->link);
	h1_watch(&worker->loop, &server->timer, &server->read_deadline, service->timeouts->idle);
	conn_read_start(conn);
	return true;
}
