/*
 * An HTTP/2 connection of either side: bytes to frames and back by nghttp2, the list of streams, the clock, and the end. What heads mean is
 * the role's (server.c, client.c), bodies are stream.c's. All on the connection's worker.
 *
 * Frames that are submitted in a turn are written at its end, highest priority first, and only as many as the socket is likely to take: what waits
 * stays in its flow, where it can still be overtaken or dropped.
 */
#include "http/h2/h2_internal.h"

enum {
	OUTPUT_MOST = 64 * 1024, /* bytes written ahead of the socket */
	HEAD_TIMES = 4,          /* a head of so many times limits.head is an attack */
};

/* ---- ends ---- */

static void h2_conn_release_streams(struct h2_conn *h2, const struct error *error)
{
	struct link *link;

	while ((link = list_pop(&h2->streams))) {
		struct h2_stream *stream = CONTAINER_OF(link, struct h2_stream, link);
		nghttp2_session_set_stream_user_data(h2->session, stream->id, NULL);
		h2_stream_release(stream, NGHTTP2_NO_ERROR);
		h2->role->on_lost(h2, stream, error);
	}
}

/* From here on nothing is read, written or told. The session is freed with the rest: a callback of it may be running. */
static void h2_conn_gone(struct h2_conn *h2, const struct error *error)
{
	struct worker *worker = h2->worker;

	h2->conn = NULL;
	h2_conn_release_streams(h2, error);
	loop_timer_stop(&worker->loop, &h2->timer);
	list_remove(&h2->link);
	h2->role->on_gone(h2);
	loop_retire(&worker->loop, &h2->retire);
}

void h2_conn_cut(struct h2_conn *h2, const struct error *error)
{
	if (h2->ended)
		return;
	h2->ended = true;
	conn_close(h2->conn);
	h2_conn_gone(h2, error);
}

/* Writes what has been submitted, `most` bytes ahead of the socket. False: out of memory. */
static bool h2_conn_write(struct h2_conn *h2, size_t most)
{
	struct buffers *buffers = &h2->worker->buffers;
	const uint8_t *bytes;
	bool good = true;

	while (good && conn_unsent(h2->conn) + h2->out.bytes < most) {
		ssize_t len = nghttp2_session_mem_send(h2->session, &bytes);
		if (len == 0)
			break;
		good = len > 0 && chunk_queue_copy(buffers, &h2->out, span_make(bytes, (size_t)len));
	}
	conn_write(h2->conn, &h2->out);
	return good;
}

/* Not from within nghttp2. */
void h2_conn_leave(struct h2_conn *h2, const struct error *error)
{
	if (h2->ended)
		return;
	h2->ended = true;
	(void)h2_conn_write(h2, SIZE_MAX); /* there is no one to tell if it fails */
	conn_linger(h2->conn);
	h2_conn_gone(h2, error);
}

/* What comes from now on is ignored; when GOAWAY has been written, h2_conn_pump sees the end. */
void h2_conn_terminate(struct h2_conn *h2, uint32_t code, const struct error *error)
{
	if (h2->ended)
		return;
	h2->error = *error;
	h2_conn_check(h2, nghttp2_session_terminate_session(h2->session, code));
}

/* ---- writing ---- */

void h2_conn_wake(struct h2_conn *h2)
{
	if (!h2->ended)
		loop_last(&h2->worker->loop, &h2->pump);
}

void h2_conn_check(struct h2_conn *h2, int result)
{
	h2->starved |= result < NGHTTP2_ERR_FATAL;
	h2_conn_wake(h2);
}

static void h2_conn_pump(struct loop_task *task)
{
	struct h2_conn *h2 = CONTAINER_OF(task, struct h2_conn, pump);

	if (h2->ended)
		return;
	if (h2->starved || !h2_conn_write(h2, OUTPUT_MOST)) {
		h2_conn_cut(h2, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	/* Nothing more to say or to hear: after GOAWAY, when the last stream has ended, or a fatal error. */
	if (!h2->ended && !nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session))
		h2_conn_leave(h2, &h2->error);
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t bytes,
			nghttp2_data_source *source, void *user)
{
	struct h2_conn *h2 = user;
	struct h2_stream *stream = h2_stream_find(session, frame->hd.stream_id);

	/* nghttp2 has counted the bytes: without them the connection cannot go on. */
	if (!stream || !h2_stream_write(stream, span_make(head, H2_FRAME_HEAD), bytes, &h2->out))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2_conn *h2 = user;
	struct h2_stream *stream;

	h2_guard_on_sent(h2, frame);
	/* Behind the first of two GOAWAYs: its answer says that the peer has seen that. Submitted with it, it would leave before. */
	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.last_stream_id == INT32_MAX)
		h2_conn_check(h2, nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, NULL));
	if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	stream = h2_stream_find(session, frame->hd.stream_id);
	if (!stream)
		return 0;
	stream->sent = true;
	h2_stream_moved(stream);
	if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	stream->output_done = true;
	if (stream->raw)
		exchange_finish_tunnel(stream->stream.exchange);
	/* The answer is complete, the request need not be (RFC 9113 8.1). */
	else if (&stream->stream == stream->stream.exchange->down && !stream->input_done && !stream->tunnel)
		h2_conn_check(h2, nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
							    NGHTTP2_NO_ERROR));
	return 0;
}

/*
 * A request that could not be sent, since the server is leaving or has no identifier left; or a head or trailers that are too large, or for
 * a stream that is being reset.
 */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int why, void *user)
{
	struct h2_conn *h2 = user;
	struct h2_stream *stream = h2_stream_find(session, frame->hd.stream_id);

	if (frame->hd.type != NGHTTP2_HEADERS || !stream)
		return 0;
	bool refused = why == NGHTTP2_ERR_START_STREAM_NOT_ALLOWED;
	bool known = h2->role->on_request || stream->sent; /* or there is nothing to be reset */
	nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, NULL);
	h2_stream_release(stream, known ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_NO_ERROR);
	h2->role->on_closed(h2, stream, refused ? NGHTTP2_REFUSED_STREAM : NGHTTP2_INTERNAL_ERROR);
	return 0;
}

/* ---- reading ---- */

static int stop_if_ended(const struct h2_conn *h2)
{
	return h2->ended ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int why, void *user)
{
	struct h2_conn *h2 = user;

	h2_guard_on_invalid(h2, why);
	return stop_if_ended(h2);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2_conn *h2 = user;
	int32_t id = frame->hd.stream_id;
	struct h2_stream *stream = h2_stream_find(session, id);

	if (h2->ended)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (stream) {
		h2_stream_moved(stream);
		stream->in_trailers = stream->head_done;
		if (stream->in_trailers)
			h2_message_begin_trailers(&stream->message, &stream->trailers);
		else
			h2_message_init(&stream->message, H2_MESSAGE_RESPONSE,
					&stream->stream.exchange->response,
					stream->extended ? HTTP_METHOD_CONNECT :
							   stream->stream.exchange->request.method,
					&stream->stream.exchange->arena, &h2->rules);
		return 0;
	}
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0; /* of a stream that we have let go */
	stream = h2->role->on_request(h2, id);
	if (stream)
		nghttp2_session_set_stream_user_data(session, id, stream);
	else /* RFC 9113 8.7: it can be tried again */
		h2_conn_check(h2, nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id,
							    NGHTTP2_REFUSED_STREAM));
	return stop_if_ended(h2);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
	struct h2_conn *h2 = user;
	struct h2_stream *stream = h2_stream_find(session, frame->hd.stream_id);

	if (h2->ended)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (!stream)
		return 0;
	h2_message_field(&stream->message, span_make(name, name_len), span_make(value, value_len));
	if (stream->message.size > (size_t)h2->rules.head * HEAD_TIMES)
		h2_conn_spend(h2, H2_ABUSE_HEAD);
	return stop_if_ended(h2);
}

static void h2_conn_on_block(struct h2_conn *h2, struct h2_stream *stream, bool ended)
{
	struct error error = ERROR_OK;

	if (!stream->in_trailers) {
		h2->role->on_head(stream, ended);
		return;
	}
	if (h2_message_end(&stream->message, ended, &error))
		return;
	h2->role->on_malformed(stream, &error);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2_conn *h2 = user;
	bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	struct h2_stream *stream;

	if (h2->ended)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	h2_guard_on_received(h2, frame);
	if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) {
		h2->role->on_frame(h2, frame);
		return stop_if_ended(h2);
	}
	stream = h2_stream_find(session, frame->hd.stream_id);
	if (stream && frame->hd.type == NGHTTP2_HEADERS)
		h2_conn_on_block(h2, stream, ended);
	if (stream && ended && stream->h2)
		h2_stream_on_end(stream);
	return stop_if_ended(h2);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len,
		   void *user)
{
	struct h2_conn *h2 = user;
	struct h2_stream *stream = h2_stream_find(session, id);

	if (h2->ended)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	/* The connection's window never closes: each stream has its own bound, so that no stream waits for another. */
	h2_conn_check(h2, nghttp2_session_consume_connection(session, len));
	if (stream)
		h2_stream_on_data(stream, span_make(bytes, len));
	return stop_if_ended(h2);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
	struct h2_conn *h2 = user;
	struct h2_stream *stream = h2_stream_find(session, id);

	if (!stream)
		return 0;
	nghttp2_session_set_stream_user_data(session, id, NULL);
	h2_stream_release(stream, NGHTTP2_NO_ERROR);
	h2->role->on_closed(h2, stream, code);
	return 0;
}

/* nghttp2 has given up, and can say nothing any more. */
static void h2_conn_on_fatal(struct h2_conn *h2, int why)
{
	enum error_code code = ERROR_UPSTREAM_MALFORMED;

	if (why == NGHTTP2_ERR_NOMEM)
		code = ERROR_MEMORY;
	else if (h2->guard.server)
		code = why == NGHTTP2_ERR_FLOODED ? ERROR_ABUSE : ERROR_MALFORMED_REQUEST;
	h2_conn_cut(h2, &(struct error){.code = (uint8_t)code});
}

static void h2_conn_on_read(struct conn *conn, struct block *lent, struct span bytes)
{
	struct h2_conn *h2 = conn->owner;

	h2->lent = lent;
	ssize_t used = 0;
	for (size_t at = 0; at < bytes.len && used >= 0 && !h2->ended;) {
		size_t next = h2_guard_next(h2, span_make(bytes.at + at, bytes.len - at));
		used = nghttp2_session_mem_recv(h2->session, bytes.at + at, next);
		at += next;
	}
	h2->lent = NULL;
	if (h2->ended)
		return;
	if (used < 0)
		h2_conn_on_fatal(h2, (int)used);
	else if (nghttp2_session_want_write(h2->session) || !nghttp2_session_want_read(h2->session))
		h2_conn_wake(h2);
}

/* Half a connection is of no use to HTTP/2. */
static void h2_conn_on_end(struct conn *conn)
{
	struct h2_conn *h2 = conn->owner;

	h2_conn_cut(h2,
		    &(struct error){.code = h2->role->on_request ? ERROR_CLIENT_GONE : ERROR_UPSTREAM_CLOSED});
}

static void h2_conn_on_sent(struct conn *conn, size_t bytes)
{
	struct h2_conn *h2 = conn->owner;

	h2->sent_at = h2->worker->loop.now;
	if (nghttp2_session_want_write(h2->session))
		h2_conn_wake(h2);
}

static void h2_conn_on_fail(struct conn *conn, const struct error *error)
{
	struct h2_conn *h2 = conn->owner;
	struct error mine = *error;

	if (h2->role->on_request)
		mine.code = ERROR_CLIENT_GONE;
	h2_conn_cut(h2, &mine);
}

static const struct conn_ops h2_conn_ops = {
	.on_read = h2_conn_on_read,
	.on_end = h2_conn_on_end,
	.on_sent = h2_conn_on_sent,
	.on_fail = h2_conn_on_fail,
};

/* ---- time ---- */

void h2_conn_tick_in(struct h2_conn *h2, uint64_t delay_ms)
{
	if (!h2->ended)
		loop_timer_start(&h2->worker->loop, &h2->timer, delay_ms);
}

static void h2_conn_on_timer(struct timer *timer)
{
	struct h2_conn *h2 = CONTAINER_OF(timer, struct h2_conn, timer);

	h2->role->on_tick(h2);
}

/* ---- opening ---- */

bool h2_callbacks_init(struct h2_room *room)
{
	nghttp2_session_callbacks *callbacks;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return false;
	room->callbacks = callbacks;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
	return true;
}

bool h2_conn_init(struct h2_conn *h2, struct conn *conn, const struct h2_role *role, bool server,
		  loop_task_fn *free)
{
	struct h2_room *room = h2_room(conn->worker);
	int failed = server ? nghttp2_session_server_new3(&h2->session, room->callbacks, h2,
							  room->server_option, &room->allocator.table) :
			      nghttp2_session_client_new3(&h2->session, room->callbacks, h2,
							  room->client_option, &room->allocator.table);
	if (failed)
		return false;
	h2->error = error_make(server ? ERROR_CLIENT_GONE : ERROR_UPSTREAM_CLOSED,
			       "the HTTP/2 connection ended with an error");
	h2->conn = conn;
	h2->worker = conn->worker;
	h2->role = role;
	list_init(&h2->link);
	list_init(&h2->streams);
	h2_guard_init(&h2->guard, server, conn->worker->loop.now);
	timer_init(&h2->timer, h2_conn_on_timer);
	loop_task_init(&h2->pump, h2_conn_pump);
	loop_task_init(&h2->retire, free);
	h2->quiet_since = conn->worker->loop.now;
	conn_adopt(conn, &h2_conn_ops, h2);
	return true;
}
