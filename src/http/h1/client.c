/*
 * The reading half of an upstream HTTP/1 connection: one call at a time, made by a pool, ended by its exchange. The writing half is
 * client_stream.c. All on one worker.
 */
#include "http/h1/client.h"

#include "http/h1/h1_internal.h"
#include "http/h1/watch.h"
#include "http/websocket.h"

static struct h1_client *client_of(struct session *session)
{
	return CONTAINER_OF(session, struct h1_client, session);
}

/* ---- ends ---- */

static void h1_client_free(struct loop_task *task)
{
	struct h1_client *client = CONTAINER_OF(task, struct h1_client, retire);
	pool_put(&h1_room(client->worker)->clients, client);
}

/* No further call on this connection: its owner must know before anything else happens. */
void h1_client_leave(struct h1_client *client)
{
	if (client->ended)
		return;
	client->ended = true;
	client->session.owner_ops->on_gone(&client->session);
}

static void h1_client_gone(struct h1_client *client)
{
	struct worker *worker = client->worker;

	client->session.conn = NULL;
	client->call = NULL;
	pending_clear(&client->pending, &worker->buffers);
	loop_timer_stop(&worker->loop, &client->timer);
	h1_client_leave(client);
	loop_retire(&worker->loop, &client->retire);
}

void h1_client_close(struct h1_client *client)
{
	conn_close(client->session.conn);
	h1_client_gone(client);
}

void h1_client_on_raw_gone(void *owner)
{
	h1_client_gone(owner);
}

/* The call cannot go on: the connection ends, and the exchange is told. A response that is whole stays so. */
void h1_client_fail(struct h1_client *client, struct error error)
{
	struct h1_call *call = client->call;
	struct exchange *x = call->exchange;

	error.unprocessed |= !call->sent;
	error.unanswered = !call->answered;
	h1_client_close(client);
	if (call->response_done)
		exchange_on_up_done(x);
	else
		exchange_on_up_error(x, &error);
}

/* The response is complete. With the request complete as well the connection is free for another call. */
void h1_client_finish_if_done(struct h1_client *client)
{
	struct h1_call *call = client->call;

	if (!call->response_done || !call->request_done || conn_unsent(client->session.conn))
		return;
	bool reusable = call->reusable && call->framing.keep_alive;
	client->call = NULL;
	client->session.running = 0;
	pending_clear(&client->pending, &client->worker->buffers); /* used up, or of no use */
	exchange_on_up_done(call->exchange);
	if (!reusable) {
		h1_client_close(client);
		return;
	}
	client->scanned = 0;
	conn_read_start(client->session.conn); /* to see it go, and what nobody asked for */
	h1_watch(&client->worker->loop, &client->timer, &client->deadline, client->settings.idle);
	client->session.owner_ops->on_ready(&client->session);
}

/* ---- reading ---- */

/* Something the server did is worth waiting for: the clock starts anew. */
void h1_client_watch(struct h1_client *client)
{
	h1_watch(&client->worker->loop, &client->timer, &client->deadline, client->settings.response);
}

static void h1_client_end_response(struct h1_client *client)
{
	struct h1_call *call = client->call;

	call->response_done = true;
	exchange_on_trailers(call->exchange, call->body.trailers, true);
	flow_finish(call->stream.in, call->body.trailers);
	h1_client_finish_if_done(client);
}

/* Has the server read the key that was made here (RFC 6455 4.1)? Its answer goes no further than the key came from. */
static bool h1_call_key_is_read(const struct h1_call *call, struct http_head *head)
{
	const struct span name = SPAN("sec-websocket-accept");
	const struct http_field *accept = http_fields_find_name(&head->fields, name);

	if (call->websocket_key.len == 0)
		return true;
	if (!accept || !websocket_accept_is(accept->value, call->websocket_key))
		return false;
	http_fields_drop_name(&head->fields, name);
	return true;
}

/* A head that this call can have? (RFC 9110 15.2.2: only what was offered may be switched to) */
static bool h1_call_accepts(const struct h1_call *call, struct http_head *head, struct error *error)
{
	if (head->status != 101)
		return true;
	if (head->protocol.len == 0 || !http_list_has(call->exchange->request.protocol, head->protocol))
		*error = error_make(ERROR_UPSTREAM_UPGRADE, NULL);
	else if (!call->request_done)
		*error = error_make(ERROR_UPSTREAM_UPGRADE, "the server switched before it had the request");
	else if (!h1_call_key_is_read(call, head))
		*error = error_make(ERROR_UPSTREAM_UPGRADE,
				    "Sec-WebSocket-Accept is not the answer to the key");
	else
		return true;
	return false;
}

/* `last`: nothing has come behind it. */
static void h1_client_take_head(struct h1_client *client, struct span bytes, const struct h1_limits *limits,
				bool last)
{
	struct h1_call *call = client->call;
	struct exchange *x = call->exchange;
	struct error error = ERROR_OK;

	struct span copy = arena_copy(&x->arena, bytes);
	if (!copy.at)
		error = error_make(ERROR_MEMORY, NULL);
	if (error_is(&error) ||
	    !h1_response_parse(copy, &x->arena, limits, x->request.method, &x->response, &call->framing,
			       &error) ||
	    !h1_call_accepts(call, &x->response, &error)) {
		h1_client_fail(client, error);
		return;
	}
	call->continued |= x->response.status == 100;
	if (!http_status_is_interim(x->response.status)) {
		call->head_done = true;
		/* Asked whether it wants the content, it answered: it may, or may not, read on (RFC 9110 10.1.1). */
		call->reusable &= call->continued || !x->request.expect_continue;
		call->switching = x->response.status == 101;
		h1_body_init(&call->body, &x->response);
	}
	if (call->switching)
		return;
	bool bodiless = call->head_done && !http_head_has_body(&x->response);
	exchange_on_response(x);
	if (client->call != call || !bodiless)
		return;
	call->reusable &= last;
	h1_client_end_response(client);
}

/* What followed a 101 is kept by now: the tunnel can take it over. */
static void h1_client_switch(struct h1_client *client)
{
	if (client->call && client->call->switching)
		exchange_on_response(client->call->exchange);
}

/* Interim heads without end would keep an exchange busy for ever. */
enum { INTERIM_HEADS_MOST = 32 };

static size_t h1_client_read_head(struct h1_client *client, struct span bytes)
{
	struct h1_call *call = client->call;
	struct h1_limits limits = h1_limits_from(call->exchange->service->limits);
	struct error error = ERROR_OK;

	size_t end = h1_head_end(bytes, &client->scanned);
	if (end == H1_INCOMPLETE) {
		if (h1_head_is_hopeless(bytes, &limits, true, &error))
			h1_client_fail(client, error);
		return 0;
	}
	client->scanned = 0;
	if (++call->heads > INTERIM_HEADS_MOST) {
		h1_client_fail(client, error_make(ERROR_UPSTREAM_MALFORMED, "too many interim responses"));
		return 0;
	}
	h1_client_take_head(client, span_first(bytes, end), &limits, end == bytes.len);
	return end;
}

static void h1_client_on_data(struct h1_client *client, struct h1_call *call, struct block *block,
			      struct span data)
{
	switch (flow_push(call->stream.in, block, data)) {
	case FLOW_ROOM:
		conn_read_room(client->session.conn, flow_room(call->stream.in));
		break;
	case FLOW_FULL:
		conn_read_stop(client->session.conn);
		break;
	case FLOW_NO_MEMORY:
		h1_client_fail(client, error_make(ERROR_MEMORY, NULL));
		break;
	}
}

/* Reads the body as far as `bytes` go. Answers how many of them were used: all, unless the body ends in between. */
static size_t h1_client_read_body(struct h1_client *client, struct block *block, struct span bytes)
{
	struct h1_call *call = client->call;
	struct exchange *x = call->exchange;
	struct h1_limits limits = h1_limits_from(x->service->limits);
	struct span in = bytes, data = {0};
	struct error error = ERROR_OK;

	while (client->call == call) {
		switch (h1_body_read(&call->body, &in, &data, &x->arena, &limits, true, &error)) {
		case H1_BODY_DATA:
			h1_client_on_data(client, call, block, data);
			break;
		case H1_BODY_MORE:
			return bytes.len;
		case H1_BODY_END:
			/* Bytes after the end belong to no request: whatever they are, this connection is not used again. */
			call->reusable &= in.len == 0;
			h1_client_end_response(client);
			return bytes.len - in.len;
		case H1_BODY_BAD:
			h1_client_fail(client, error);
			return bytes.len;
		}
	}
	return bytes.len;
}

/* Uses what it can of `bytes`. The connection may be closed afterwards. */
static size_t h1_client_use(struct h1_client *client, struct block *block, struct span bytes)
{
	size_t used = 0;

	while (used < bytes.len && client->call && !client->call->response_done && !client->call->switching) {
		struct span rest = span_from(bytes, used);
		struct h1_call *call = client->call;
		call->answered = true;
		size_t step = call->head_done ? h1_client_read_body(client, block, rest) :
						h1_client_read_head(client, rest);
		if (step == 0)
			break;
		used += step;
	}
	return used;
}

static void h1_client_use_pending(struct h1_client *client)
{
	struct block *block = client->pending.block;
	struct buffers *buffers = &client->worker->buffers;

	block->references++;
	size_t used = h1_client_use(client, block, pending_bytes(&client->pending));
	if (client->pending.block)
		pending_consume(&client->pending, buffers, used);
	block_release(buffers, block);
	h1_client_switch(client);
}

static void h1_client_on_read(struct conn *conn, struct block *lent, struct span bytes)
{
	struct h1_client *client = conn->owner;
	struct buffers *buffers = &client->worker->buffers;

	if (!client->call || client->call->response_done) {
		/* Nobody asked (RFC 9112 9.2): the next exchange must not take this for its response. */
		if (client->call) {
			client->call->reusable = false;
			conn_read_stop(conn);
		} else {
			h1_client_close(client);
		}
		return;
	}
	if (!client->call->sent) {
		/* It came before the request left: an answer to something else. */
		h1_client_fail(client,
			       error_make(ERROR_UPSTREAM_MALFORMED, "the server spoke before it was asked"));
		return;
	}
	h1_client_watch(client);
	if (client->pending.block) {
		if (!pending_append(&client->pending, buffers, bytes))
			h1_client_fail(client, error_make(ERROR_MEMORY, NULL));
		else
			h1_client_use_pending(client);
		return;
	}
	size_t used = h1_client_use(client, lent, bytes);
	if (!client->call)
		return;
	if (used < bytes.len) {
		if (client->call->response_done)
			client->call->reusable = false;
		else if (!pending_append(&client->pending, buffers, span_from(bytes, used)))
			h1_client_fail(client, error_make(ERROR_MEMORY, NULL));
	}
	h1_client_switch(client);
}

static void h1_client_on_end(struct conn *conn)
{
	struct h1_client *client = conn->owner;
	struct h1_call *call = client->call;

	if (!call) {
		h1_client_close(client);
	} else if (call->response_done) {
		call->reusable = false;
	} else if (call->head_done && h1_body_ends_at_close(&call->body)) {
		call->reusable = false;
		h1_client_end_response(client);
	} else if (call->head_done) {
		h1_client_fail(client, error_make(ERROR_UPSTREAM_TRUNCATED, NULL));
	} else {
		h1_client_fail(client,
			       error_make(ERROR_UPSTREAM_CLOSED,
					  call->answered ? "the server closed inside the response head" : NULL));
	}
}

static void h1_client_on_fail(struct conn *conn, const struct error *error)
{
	struct h1_client *client = conn->owner;
	struct h1_call *call = client->call;

	if (!call)
		h1_client_close(client);
	else if (call->head_done && !call->response_done)
		h1_client_fail(client,
			       (struct error){.code = ERROR_UPSTREAM_TRUNCATED, .system = error->system});
	else
		h1_client_fail(client, *error);
}

static void h1_client_on_sent(struct conn *conn, size_t bytes)
{
	struct h1_client *client = conn->owner;

	if (!client->call)
		return;
	client->call->sent = true;
	h1_client_watch(client);
	flow_settle(client->call->stream.out, conn_unsent(conn));
	if (client->call)
		h1_client_finish_if_done(client);
}

/* ---- time ---- */

/* Is it the server that we are waiting for, and not the client? */
static bool h1_client_waits(const struct h1_client *client)
{
	const struct h1_call *call = client->call;
	return conn_unsent(client->session.conn) > 0 ||
	       (call->request_done && !call->response_done && !call->stream.in->full);
}

static void h1_client_on_timer(struct timer *timer)
{
	struct h1_client *client = CONTAINER_OF(timer, struct h1_client, timer);
	struct loop *loop = &client->worker->loop;

	if (!h1_watch_passed(loop, client->deadline)) {
		h1_watch_again(loop, timer, client->deadline);
		return;
	}
	if (!client->call)
		h1_client_close(client);
	else if (h1_client_waits(client))
		h1_client_fail(
			client,
			error_make(client->call->head_done ? ERROR_UPSTREAM_TRUNCATED : ERROR_UPSTREAM_TIMEOUT,
				   client->call->head_done ? "the server stalled inside the response" : NULL));
	else
		h1_client_watch(client);
}

/* ---- the session ---- */

static struct stream *h1_client_call(struct session *session, struct exchange *x)
{
	struct h1_client *client = client_of(session);
	struct h1_call *call = arena_zalloc(&x->arena, 1, sizeof(*call));

	ENSURE(!client->call);
	if (!call)
		return NULL;
	call->stream.ops = &h1_client_stream_ops;
	call->client = client;
	call->exchange = x;
	call->reusable = true;
	client->call = call;
	session->served++;
	session->running = 1;
	return &call->stream;
}

static void h1_client_end(struct session *session)
{
	struct h1_client *client = client_of(session);

	client->ended = true; /* the owner knows */
	h1_client_close(client);
}

static const struct session_ops h1_session_ops = {
	.open = h1_client_call,
	.close = h1_client_end,
};

static const struct conn_ops h1_client_conn_ops = {
	.on_read = h1_client_on_read,
	.on_end = h1_client_on_end,
	.on_sent = h1_client_on_sent,
	.on_fail = h1_client_on_fail,
};

struct session *h1_client_open(struct conn *conn, const struct h1_client_settings *settings,
			       const struct session_owner_ops *owner_ops, void *owner)
{
	struct worker *worker = conn->worker;
	struct h1_client *client = pool_get(&h1_room(worker)->clients);

	if (!client)
		return NULL;
	memset(client, 0, sizeof(*client));
	client->session = (struct session){
		.ops = &h1_session_ops, .owner_ops = owner_ops, .owner = owner, .conn = conn, .most = 1};
	list_init(&client->session.link);
	client->worker = worker;
	client->settings = *settings;
	timer_init(&client->timer, h1_client_on_timer);
	loop_task_init(&client->retire, h1_client_free);
	conn_adopt(conn, &h1_client_conn_ops, client);
	return &client->session;
}
