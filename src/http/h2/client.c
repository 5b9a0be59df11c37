/*
 * The client side of HTTP/2: an upstream connection as a session of many exchanges. On the connection's worker.
 */
#include "http/h2/client.h"

#include "http/h2/h2_sides.h"

enum {
	INTERIM_HEADS_MOST = 32,
	STREAM_IDS_LAST = 0x7fffff00, /* RFC 9113 5.1.1: then a new connection is needed */
};

static const struct stream_ops h2_client_stream_ops;

static struct h2_client *h2_client_of(struct h2_conn *h2)
{
	return CONTAINER_OF(h2, struct h2_client, h2);
}

/* ---- the session and its owner ---- */

/* Nothing runs and nothing will. Perhaps from within a callback of nghttp2; a server that takes no GOAWAY has a moment. */
static void h2_client_end(struct h2_client *client)
{
	h2_conn_terminate(&client->h2, NGHTTP2_NO_ERROR, &client->h2.error);
	h2_conn_tick_in(&client->h2, H2_TICK_MOST);
}

/* No further exchange: the owner forgets it; those that run go on. */
static void h2_client_leave(struct h2_client *client)
{
	if (client->gone)
		return;
	client->gone = true;
	client->session.owner_ops->on_gone(&client->session);
}

static bool h2_client_takes_more(const struct h2_client *client)
{
	nghttp2_session *session = client->h2.session;

	return !client->h2.ended && nghttp2_session_check_request_allowed(session) &&
	       nghttp2_session_get_next_stream_id(session) < STREAM_IDS_LAST;
}

static uint64_t h2_client_tick(const struct h2_client *client)
{
	uint64_t timeout = client->settings.response;

	return timeout ? h2_tick_of(timeout) : H2_TICK_MOST;
}

/* A stream has ended: the session has room for another. */
static void h2_client_release(struct h2_stream *stream, uint32_t code)
{
	struct h2_client *client = stream->h2 ? h2_client_of(stream->h2) : NULL;

	if (!client)
		return;
	if (stream->raw && code == NGHTTP2_NO_ERROR)
		h2_stream_release_ending(stream);
	else
		h2_stream_release(stream, code);
}

/* The exchange has been told how it ended: now others may come. */
static void h2_client_after(struct h2_client *client)
{
	client->session.running--;
	if (client->gone || client->h2.ended)
		return;
	if (h2_client_takes_more(client))
		client->session.owner_ops->on_ready(&client->session);
	else
		h2_client_leave(client);
}

/* ---- responses ---- */

static void h2_client_fail(struct h2_stream *stream, struct error error, uint32_t code)
{
	struct h2_client *client = h2_client_of(stream->h2);
	struct exchange *x = stream->stream.exchange;

	error.unprocessed |= !stream->sent;
	error.unanswered = stream->heads == 0;
	h2_client_release(stream, code);
	exchange_on_up_error(x, &error);
	h2_client_after(client);
}

static void h2_client_on_malformed(struct h2_stream *stream, const struct error *error)
{
	h2_client_fail(stream, *error, NGHTTP2_PROTOCOL_ERROR);
}

/* A 2xx to an extended CONNECT is what HTTP/1 calls 101 (RFC 8441 5.1); any other final answer has a body as usual. */
static bool h2_client_switch(struct h2_stream *stream)
{
	struct exchange *x = stream->stream.exchange;

	if (!stream->extended || http_status_is_interim(x->response.status))
		return true;
	stream->tunnel = x->response.status >= 200 && x->response.status < 300;
	if (stream->tunnel)
		return h2_response_switch(&x->response, &x->request, &x->arena);
	h2_stream_on_readable(&stream->stream); /* the end of a request that has no body */
	return true;
}

static void h2_client_on_head(struct h2_stream *stream, bool ended)
{
	struct exchange *x = stream->stream.exchange;
	struct error error = ERROR_OK;

	stream->heads++; /* whatever it says, it is an answer: nobody asks again */
	if (!h2_message_end(&stream->message, ended, &error)) {
		h2_client_on_malformed(stream, &error);
		return;
	}
	if (stream->heads > INTERIM_HEADS_MOST) {
		h2_client_on_malformed(stream, &(struct error){.code = ERROR_UPSTREAM_MALFORMED,
							       .text = "too many interim responses"});
		return;
	}
	stream->head_done = !http_status_is_interim(x->response.status);
	if (ended && !stream->head_done) {
		h2_client_on_malformed(stream, &(struct error){.code = ERROR_UPSTREAM_MALFORMED,
							       .text = "an interim response ended the stream"});
		return;
	}
	if (!h2_client_switch(stream)) {
		h2_client_fail(stream, error_make(ERROR_MEMORY, NULL), NGHTTP2_CANCEL);
		return;
	}
	exchange_on_response(x);
}

/* ---- streams ---- */

static bool h2_client_submit(struct h2_client *client, struct h2_stream *stream, const struct http_head *head)
{
	struct exchange *x = stream->stream.exchange;
	nghttp2_data_provider provider = {.read_callback = h2_stream_read};
	struct h2_fields fields;

	if (!h2_request_list(head, stream->extended, &x->arena, &fields))
		return false;
	nghttp2_nv *list = h2_stream_list(&fields, &x->arena);
	if (!list)
		return false;
	bool has_source = stream->extended || http_head_has_body(head);
	stream->id = nghttp2_submit_request(client->h2.session, NULL, list, fields.count,
					    has_source ? &provider : NULL, stream);
	return stream->id > 0;
}

static void h2_client_on_head_up(struct stream *base, const struct http_head *head)
{
	struct h2_stream *stream = h2_stream_of(base);
	struct h2_client *client = h2_client_of(stream->h2);

	stream->extended = h2_request_is_websocket(head);
	if (stream->extended &&
	    !nghttp2_session_get_remote_settings(client->h2.session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL)) {
		h2_client_fail(stream,
			       error_make(ERROR_UPSTREAM_UPGRADE,
					  "the server's HTTP/2 takes no WebSocket (RFC 8441 3)"),
			       NGHTTP2_NO_ERROR);
		return;
	}
	stream->tunnel = stream->extended;
	if (!h2_client_submit(client, stream, head)) {
		stream->id = 0;
		h2_client_fail(stream, error_make(ERROR_MEMORY, NULL), NGHTTP2_NO_ERROR);
		return;
	}
	stream->head_sent = true;
	h2_stream_moved(stream);
	h2_conn_wake(&client->h2);
}

static void h2_client_abort(struct stream *base, const struct error *error)
{
	struct h2_stream *stream = h2_stream_of(base);
	struct h2_conn *h2 = stream->h2;

	if (!h2)
		return;
	h2_client_release(stream, stream->tunnel ? NGHTTP2_CONNECT_ERROR : NGHTTP2_CANCEL);
	h2_client_after(h2_client_of(h2));
}

static void h2_client_detach(struct stream *base)
{
	struct h2_stream *stream = h2_stream_of(base);
	struct h2_conn *h2 = stream->h2;

	if (!h2)
		return;
	h2_client_release(stream, stream->raw ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
	h2_client_after(h2_client_of(h2));
}

static const struct stream_ops h2_client_stream_ops = {
	.name = "HTTP/2",
	.on_head = h2_client_on_head_up,
	.on_readable = h2_stream_on_readable,
	.on_credit = h2_stream_on_credit,
	.stop = h2_stream_stop,
	.abort = h2_client_abort,
	.detach = h2_client_detach,
	.become_raw = h2_stream_become_raw,
	.plain_conn = h2_stream_plain_conn,
};

static struct stream *h2_client_call(struct session *session, struct exchange *x)
{
	struct h2_client *client = CONTAINER_OF(session, struct h2_client, session);
	struct h2_stream *stream = arena_zalloc(&x->arena, 1, sizeof(*stream));

	ENSURE(session->running < session->most);
	if (!stream)
		return NULL;
	h2_stream_init(stream, &client->h2, x, &h2_client_stream_ops);
	bool first = client->h2.count == 0;
	h2_stream_attach(stream);
	stream->message.response = true;
	session->running++;
	session->served++;
	if (first)
		h2_conn_tick_in(&client->h2, h2_client_tick(client));
	return &stream->stream;
}

/* ---- ends ---- */

static struct error closed_error(const struct h2_stream *stream, uint32_t code)
{
	if (code == NGHTTP2_REFUSED_STREAM) /* RFC 9113 8.7: it has not been processed */
		return (struct error){.code = ERROR_UPSTREAM_REFUSED, .unprocessed = true};
	if (stream->head_done)
		return error_make(ERROR_UPSTREAM_TRUNCATED, "the server reset the stream inside the response");
	if (code == NGHTTP2_NO_ERROR)
		return error_make(ERROR_UPSTREAM_CLOSED, NULL);
	return error_make(ERROR_UPSTREAM_RESET, "the server reset the stream");
}

static void h2_client_on_closed(struct h2_conn *h2, struct h2_stream *stream, uint32_t code)
{
	struct exchange *x = stream->stream.exchange;
	struct error error = closed_error(stream, code);

	error.unprocessed |= !stream->sent;
	/* The connection ends, as an idle one may when it is taken (RFC 9113 6.8). */
	error.unanswered = code == NGHTTP2_REFUSED_STREAM && h2_client_of(h2)->gone;
	if (!stream->input_done || (stream->raw && (code != NGHTTP2_NO_ERROR || !stream->output_done)))
		exchange_on_up_error(x, &error);
	else if (stream->raw)
		exchange_finish_tunnel(x);
	else
		exchange_on_up_done(x);
	h2_client_after(h2_client_of(h2));
}

static void h2_client_on_lost(struct h2_conn *h2, struct h2_stream *stream, const struct error *error)
{
	struct exchange *x = stream->stream.exchange;
	struct error mine = *error;

	h2_client_leave(h2_client_of(h2)); /* or who tries again would be given this one */
	h2_client_of(h2)->session.running--;
	mine.unprocessed |= !stream->sent;
	mine.unanswered = stream->heads == 0;
	if (stream->head_done && error_status(&mine) != 0)
		mine.code = ERROR_UPSTREAM_TRUNCATED;
	if (stream->input_done && !stream->raw)
		exchange_on_up_done(x);
	else
		exchange_on_up_error(x, &mine);
}

static void h2_client_on_gone(struct h2_conn *h2)
{
	struct h2_client *client = h2_client_of(h2);

	client->session.conn = NULL;
	h2_client_leave(client);
}

/* The owner ends it while nothing runs; perhaps from within a callback of nghttp2. */
static void h2_client_close(struct session *session)
{
	struct h2_client *client = CONTAINER_OF(session, struct h2_client, session);

	client->gone = true;
	h2_client_end(client);
}

static void h2_client_free(struct loop_task *task)
{
	struct h2_conn *h2 = CONTAINER_OF(task, struct h2_conn, retire);

	nghttp2_session_del(h2->session);
	pool_put(&h2_room(h2->worker)->clients, h2_client_of(h2));
}

/* ---- frames, time ---- */

static void h2_client_on_settings(struct h2_client *client)
{
	uint32_t allowed = nghttp2_session_get_remote_settings(client->h2.session,
							       NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	uint32_t before = client->session.most;
	bool first = !client->settled;

	client->settled = true;
	client->session.most = (uint32_t)size_min(client->settings.streams, allowed);
	if (client->gone)
		return;
	if (first || (client->session.most > before && client->session.running == before))
		client->session.owner_ops->on_ready(&client->session);
}

static void h2_client_on_frame(struct h2_conn *h2, const nghttp2_frame *frame)
{
	struct h2_client *client = h2_client_of(h2);

	if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
		h2_client_on_settings(client);
	else if (frame->hd.type == NGHTTP2_GOAWAY)
		h2_client_leave(client);
}

static void h2_client_on_quiet(struct h2_conn *h2)
{
	struct h2_client *client = h2_client_of(h2);

	if (client->gone)
		h2_client_end(client);
	else if (client->settings.idle)
		h2_conn_tick_in(h2, client->settings.idle);
	else
		loop_timer_stop(&h2->worker->loop, &h2->timer);
}

/* Is it the server that the stream waits for, and not the client? */
static bool h2_client_waits(const struct h2_stream *stream, uint64_t timeout)
{
	uint64_t now = stream->h2->worker->loop.now;

	if (stream->raw || !stream->head_sent || stream->input_done)
		return false;
	if (stream->tunnel)
		return !stream->head_done;
	if (h2_stream_waits_to_send(stream))
		return now - h2_stream_stuck_since(stream) >= timeout;
	return stream->output_done && h2_stream_waits_to_receive(stream);
}

static void h2_client_look_at(struct h2_client *client, struct h2_stream *stream)
{
	uint64_t timeout = client->settings.response;

	if (!timeout || client->h2.worker->loop.now - stream->active_at < timeout ||
	    !h2_client_waits(stream, timeout))
		return;
	if (stream->head_done)
		h2_client_fail(stream,
			       error_make(ERROR_UPSTREAM_TRUNCATED, "the server stalled inside the response"),
			       NGHTTP2_CANCEL);
	else
		h2_client_fail(stream, error_make(ERROR_UPSTREAM_TIMEOUT, NULL), NGHTTP2_CANCEL);
}

static void h2_client_on_tick(struct h2_conn *h2)
{
	struct h2_client *client = h2_client_of(h2);
	struct link *next;

	if (h2->count == 0) {
		/* With a GOAWAY, if that has not been submitted before; a server that takes nothing does not keep the connection. */
		h2_client_leave(client);
		h2_conn_terminate(h2, NGHTTP2_NO_ERROR, &h2->error);
		h2_conn_leave(h2, &h2->error);
		return;
	}
	for (struct link *link = h2->streams.next; link != &h2->streams; link = next) {
		next = link->next;
		h2_client_look_at(client, CONTAINER_OF(link, struct h2_stream, link));
	}
	if (h2->count > 0)
		h2_conn_tick_in(h2, h2_client_tick(client));
}

/* ---- opening ---- */

static const struct h2_role h2_client_role = {
	.on_head = h2_client_on_head,
	.on_malformed = h2_client_on_malformed,
	.on_closed = h2_client_on_closed,
	.on_lost = h2_client_on_lost,
	.on_frame = h2_client_on_frame,
	.on_tick = h2_client_on_tick,
	.on_quiet = h2_client_on_quiet,
	.on_gone = h2_client_on_gone,
};

static const struct session_ops h2_session_ops = {
	.open = h2_client_call,
	.close = h2_client_close,
};

static bool h2_client_greet(struct h2_client *client)
{
	nghttp2_settings_entry entries[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)client->settings.window},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)client->settings.head},
	};
	nghttp2_session *session = client->h2.session;

	return nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, entries, ARRAY_LENGTH(entries)) == 0 &&
	       nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, H2_CONNECTION_WINDOW) == 0;
}

struct session *h2_client_open(struct conn *conn, const struct h2_client_settings *settings,
			       const struct session_owner_ops *owner_ops, void *owner)
{
	struct h2_room *room = h2_room(conn->worker);
	struct h2_client *client = pool_get(&room->clients);

	if (!client)
		return NULL;
	memset(client, 0, sizeof(*client));
	client->settings = *settings;
	client->h2.rules = (struct h2_message_rules){
		.field_line = UINT32_MAX,
		.fields = settings->fields,
		.head = (uint32_t)settings->head,
	};
	if (!h2_conn_init(&client->h2, conn, &h2_client_role, false, h2_client_free)) {
		pool_put(&room->clients, client);
		return NULL;
	}
	if (!h2_client_greet(client)) {
		nghttp2_session_del(client->h2.session);
		conn_adopt(conn, NULL, NULL);
		pool_put(&room->clients, client);
		return NULL;
	}
	client->session = (struct session){.ops = &h2_session_ops,
					   .owner_ops = owner_ops,
					   .owner = owner,
					   .conn = conn,
					   .most = settings->streams};
	list_init(&client->session.link);
	if (settings->idle)
		h2_conn_tick_in(&client->h2, settings->idle);
	h2_conn_wake(&client->h2);
	conn_read_start(conn);
	return &client->session;
}
