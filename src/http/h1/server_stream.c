/*
 * The writing half of a client's HTTP/1 connection: one stream for each exchange. Reading is in server.c.
 */
#include "exchange/raw.h"
#include "http/h1/h1_internal.h"
#include "http/h1/watch.h"
#include "http/h1/write.h"

static struct h1_pair *pair_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct h1_pair, stream);
}

static void h1_server_send(struct h1_server *server, struct chunk_queue *bytes)
{
	h1_watch(&server->worker->loop, &server->timer, &server->write_deadline,
		 server->service->timeouts->body);
	conn_write(server->conn, bytes);
}

/* ---- heads ---- */

/* RFC 9110 10.1.1: the client waits to be told that it may send the body, which then may come, or may not. */
static bool h1_pair_body_is_uncertain(const struct h1_pair *pair)
{
	return pair->exchange->request.expect_continue && !pair->continued && !pair->request_done &&
	       pair->body.total == 0;
}

/* The rest of the request's body can be read and dropped, so that the connection can go on. */
static bool h1_pair_can_drain(const struct h1_pair *pair)
{
	const struct http_head *request = &pair->exchange->request;

	if (pair->body_is_bad)
		return false;
	if (pair->request_done || !pair->discard)
		return true;
	if (h1_pair_body_is_uncertain(pair))
		return false;
	return request->body != HTTP_BODY_LENGTH || request->length <= 64 * 1024;
}

/* Whether the connection outlives this response (RFC 9112 9.3). */
static bool h1_pair_may_keep(const struct h1_pair *pair)
{
	const struct h1_server *server = pair->server;
	const struct exchange *x = pair->exchange;

	return pair->client_keeps && !x->close_after && !server->pin_lost && !pair->until_close &&
	       !server->worker->draining && server->served < server->service->limits->requests_per_connection &&
	       !(server->input_ended && !server->pending.block) && !h1_pair_body_is_uncertain(pair) &&
	       h1_pair_can_drain(pair);
}

/* How the body will be framed (RFC 9112 6.3). False: there is none, or its length is in the head. */
static void h1_pair_frame(struct h1_pair *pair, const struct http_head *head)
{
	if (head->body == HTTP_BODY_NONE || head->body == HTTP_BODY_LENGTH)
		return;
	/* A chunked message must not be sent to HTTP/1.0 (RFC 9112 6.1): there the end is the connection's. */
	pair->chunked = pair->exchange->request.version >= HTTP_VERSION_11;
	pair->until_close = !pair->chunked;
}

static bool is_tunnel_head(const struct exchange *x, const struct http_head *head)
{
	return head->status == 101 ||
	       (x->request.method == HTTP_METHOD_CONNECT && head->status >= 200 && head->status < 300);
}

static void h1_pair_on_head(struct stream *stream, const struct http_head *head)
{
	struct h1_pair *pair = pair_of(stream);
	struct h1_server *server = pair->server;
	struct exchange *x = pair->exchange;
	struct h1_room *room = h1_room(server->worker);
	struct chunk_queue bytes = {0};
	struct h1_write how = {0};

	if (http_status_is_interim(head->status)) {
		if (x->request.version < HTTP_VERSION_11)
			return; /* RFC 9110 15.2: not to an HTTP/1.0 client */
		pair->continued |= head->status == 100;
	} else if (is_tunnel_head(x, head)) {
		pair->head_sent = true;
		how.upgrade = head->status == 101;
	} else {
		pair->head_sent = true;
		h1_pair_frame(pair, head);
		pair->keep = h1_pair_may_keep(pair);
		how.chunked = pair->chunked;
		how.upgrade = head->status == 426; /* RFC 9110 15.5.22: it says what would do */
		if (!pair->keep)
			how.connection = H1_CONNECTION_CLOSE;
		else if (x->request.version < HTTP_VERSION_11)
			how.connection = H1_CONNECTION_KEEP_ALIVE;
	}
	struct span date = http_date_now(&room->date, server->worker->loop.wall_ms);
	if (!h1_response_write(&server->worker->buffers, &bytes, head, &how, date)) {
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	h1_server_send(server, &bytes);
}

/* ---- body ---- */

static void h1_pair_on_readable(struct stream *stream)
{
	struct h1_pair *pair = pair_of(stream);
	struct buffers *buffers = &pair->server->worker->buffers;
	struct chunk_queue bytes = {0};

	if (!pair->head_sent)
		return;
	if (!h1_body_write(buffers, stream->out, pair->chunked, &pair->response_done, &bytes)) {
		exchange_abort(pair->exchange, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	if (bytes.bytes)
		h1_server_send(pair->server, &bytes);
	h1_pair_finish_if_done(pair);
}

/* The response is out before the request is in: the rest of it is read and dropped if that is little, else the connection ends. */
static bool h1_pair_must_drain(struct h1_pair *pair)
{
	if (pair->request_done || !pair->keep)
		return false;
	if (!pair->discard) {
		pair->discard = true;
		h1_server_watch_body(pair->server);
		conn_read_start(pair->server->conn);
	}
	pair->keep = h1_pair_can_drain(pair);
	return pair->keep;
}

void h1_pair_finish_if_done(struct h1_pair *pair)
{
	if (pair->response_done && conn_unsent(pair->server->conn) == 0 && !h1_pair_must_drain(pair))
		exchange_finish(pair->exchange);
}

void h1_pair_on_sent(struct h1_pair *pair)
{
	struct h1_server *server = pair->server;
	size_t unsent = conn_unsent(server->conn);

	if (unsent)
		h1_watch(&server->worker->loop, &server->timer, &server->write_deadline,
			 server->service->timeouts->body);
	else
		server->write_deadline = 0;
	flow_settle(pair->stream.out, unsent);
	if (server->pair == pair)
		h1_pair_finish_if_done(pair);
}

static void h1_pair_on_credit(struct stream *stream)
{
	struct h1_pair *pair = pair_of(stream);

	if (pair->request_done || pair->discard)
		return;
	h1_server_watch_body(pair->server);
	conn_read_room(pair->server->conn, flow_room(stream->in));
	conn_read_start(pair->server->conn);
}

static void h1_pair_stop(struct stream *stream)
{
	struct h1_pair *pair = pair_of(stream);

	pair->discard = true;
	if (pair->request_done)
		return;
	/* Reading goes on and drops, as far as that is worth it: see h1_pair_can_drain. */
	if (!h1_pair_can_drain(pair)) {
		conn_read_stop(pair->server->conn);
		return;
	}
	h1_server_watch_body(pair->server);
	conn_read_start(pair->server->conn);
}

/* ---- ends ---- */

static void h1_pair_abort(struct stream *stream, const struct error *error)
{
	struct h1_pair *pair = pair_of(stream);
	struct h1_server *server = pair->server;

	server->pair = NULL;
	/* What ends with the connection must not look complete (RFC 9112 8). */
	if (pair->head_sent && pair->until_close) {
		conn_reset(server->conn);
		server->conn = NULL;
	}
	h1_server_close(server);
}

static void h1_pair_detach(struct stream *stream)
{
	struct h1_pair *pair = pair_of(stream);
	struct h1_server *server = pair->server;

	server->pair = NULL;
	if (pair->keep && pair->request_done && !server->pin_lost)
		h1_server_next(server);
	else if (pair->request_done && !server->pending.block)
		h1_server_close(server);
	else
		h1_server_linger(server);
}

static struct stream *h1_pair_become_raw(struct stream *stream)
{
	struct h1_pair *pair = pair_of(stream);
	struct h1_server *server = pair->server;
	struct buffers *buffers = &server->worker->buffers;
	struct chunk_queue early = {0};
	struct span held = pending_bytes(&server->pending);

	if (held.len && !chunk_queue_copy(buffers, &early, held))
		return NULL;
	struct stream *raw = raw_stream_new(pair->exchange, server->conn, stream->in, stream->out, &early,
					    server->input_ended, h1_server_on_raw_gone, server);
	if (!raw) {
		chunk_queue_clear(buffers, &early);
		return NULL;
	}
	pending_clear(&server->pending, buffers);
	raw_set_claim(raw, h1_server_on_raw_claim);
	server->conn = NULL;
	h1_server_set_state(server, H1_SERVER_TUNNEL);
	loop_timer_stop(&server->worker->loop, &server->timer);
	return raw;
}

static struct conn *h1_pair_plain_conn(struct stream *stream)
{
	return NULL;
}

const struct stream_ops h1_server_stream_ops = {
	.name = "HTTP/1.1",
	.on_head = h1_pair_on_head,
	.on_readable = h1_pair_on_readable,
	.on_credit = h1_pair_on_credit,
	.stop = h1_pair_stop,
	.abort = h1_pair_abort,
	.detach = h1_pair_detach,
	.become_raw = h1_pair_become_raw,
	.plain_conn = h1_pair_plain_conn,
	.pin_lost = h1_server_on_pin_lost,
};
