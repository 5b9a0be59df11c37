/*
 * One stream of an HTTP/2 connection, either side: its body in both directions, its window, and its life as the raw end of a tunnel. Heads are
 * the sides' (server.c, client.c). In the exchange's arena; on the connection's worker.
 *
 * A peer may send as many bytes as its window says, and the window is given back when the flow behind it is empty: so a stream never holds more
 * than one window (RFC 9113 5.2.2).
 */
#include "http/h2/h2_internal.h"

void h2_stream_init(struct h2_stream *stream, struct h2_conn *h2, struct exchange *x,
		    const struct stream_ops *ops)
{
	stream->stream = (struct stream){.ops = ops, .exchange = x};
	stream->h2 = h2;
	stream->window = x->service->limits->flow;
	list_init(&stream->link);
}

void h2_stream_attach(struct h2_stream *stream)
{
	struct h2_conn *h2 = stream->h2;

	list_push(&h2->streams, &stream->link);
	h2->count++;
	h2->quiet_since = 0;
	h2_stream_moved(stream);
}

void h2_stream_moved(struct h2_stream *stream)
{
	if (stream->h2)
		stream->active_at = stream->h2->worker->loop.now;
}

void h2_stream_release(struct h2_stream *stream, uint32_t code)
{
	struct h2_conn *h2 = stream->h2;

	if (!h2)
		return;
	stream->h2 = NULL;
	chunk_queue_clear(&h2->worker->buffers, &stream->early);
	list_remove(&stream->link);
	if (code != NGHTTP2_NO_ERROR && stream->id > 0 && !h2->ended) {
		(void)nghttp2_session_set_stream_user_data(h2->session, stream->id, NULL);
		h2_conn_check(h2, nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream->id, code));
	}
	if (--h2->count > 0)
		return;
	h2->quiet_since = h2->worker->loop.now;
	if (!h2->ended)
		h2->role->on_quiet(h2);
}

/* What nghttp2 knows of a stream that only has to send its end. */
static const struct h2_stream over;

struct h2_stream *h2_stream_find(nghttp2_session *session, int32_t id)
{
	struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);

	return stream == &over ? NULL : stream;
}

void h2_stream_release_ending(struct h2_stream *stream)
{
	struct h2_conn *h2 = stream->h2;

	if (!h2)
		return;
	if (!h2->ended && stream->id > 0 && !stream->output_done) {
		(void)nghttp2_session_set_stream_user_data(h2->session, stream->id, (void *)&over);
		if (stream->deferred)
			h2_conn_check(h2, nghttp2_session_resume_data(h2->session, stream->id));
	} else if (!h2->ended && stream->id > 0) {
		(void)nghttp2_session_set_stream_user_data(h2->session, stream->id, NULL);
	}
	h2_stream_release(stream, NGHTTP2_NO_ERROR);
}

nghttp2_nv *h2_stream_list(const struct h2_fields *fields, struct arena *arena)
{
	nghttp2_nv *list = arena_alloc(arena, fields->count * sizeof(*list));

	for (uint32_t i = 0; list && i < fields->count; i++) {
		const struct h2_field *field = &fields->items[i];
		list[i] = (nghttp2_nv){
			.name = (uint8_t *)field->name.at,
			.namelen = field->name.len,
			.value = (uint8_t *)field->value.at,
			.valuelen = field->value.len,
			.flags = field->sensitive ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
		};
	}
	return list;
}

/* ---- what comes ---- */

/* The block that holds the bytes, when it is the one that was lent: nghttp2 hands on some bytes from buffers of its own. */
static struct block *block_of(const struct h2_conn *h2, struct span bytes)
{
	struct block *lent = h2->lent;

	if (!lent || bytes.at < lent->bytes || bytes.at + bytes.len > lent->bytes + lent->capacity)
		return NULL;
	return lent;
}

static void h2_stream_push(struct h2_stream *stream, struct span bytes)
{
	struct exchange *x = stream->stream.exchange;

	stream->owed += bytes.len;
	if (flow_push(stream->stream.in, block_of(stream->h2, bytes), bytes) == FLOW_NO_MEMORY)
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
	else
		flow_want_credit(stream->stream.in);
}

static void h2_stream_refuse(struct h2_stream *stream, const char *text)
{
	struct error error =
		error_make(stream->message.response ? ERROR_UPSTREAM_MALFORMED : ERROR_MALFORMED_REQUEST, text);

	stream->h2->role->on_malformed(stream, &error);
}

/* What follows an interim response can only be another head (RFC 9113 8.1). */
static bool h2_stream_is_premature(const struct h2_stream *stream)
{
	return stream->message.response && !stream->head_done;
}

void h2_stream_on_data(struct h2_stream *stream, struct span bytes)
{
	struct h2_conn *h2 = stream->h2;
	struct exchange *x = stream->stream.exchange;

	h2_stream_moved(stream);
	if (bytes.len)
		h2_budget_earn_frame(&h2->guard.budget);
	h2_budget_earn(&h2->guard.budget, bytes.len);
	stream->received += bytes.len;
	if (h2_stream_is_premature(stream)) {
		h2_stream_refuse(stream, "data before the final head");
		return;
	}
	if (stream->tunnel && !stream->raw) {
		stream->owed += bytes.len;
		if (!chunk_queue_copy(&h2->worker->buffers, &stream->early, bytes))
			exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	if (!stream->tunnel && !h2_message_data(&stream->message, bytes.len)) {
		h2_stream_refuse(stream, "the body is longer than Content-Length says");
		return;
	}
	if (stream->discard)
		return;
	if (!stream->message.response && !stream->tunnel && stream->received > x->body_limit)
		exchange_fail(x, &(struct error){.code = ERROR_BODY_TOO_LARGE});
	else
		h2_stream_push(stream, bytes);
}

void h2_stream_on_end(struct h2_stream *stream)
{
	struct exchange *x = stream->stream.exchange;
	bool response = stream->message.response;

	if (stream->input_done)
		return;
	h2_stream_moved(stream);
	if (h2_stream_is_premature(stream)) {
		h2_stream_refuse(stream, "the stream ended before the final head");
		return;
	}
	stream->input_done = true;
	if (stream->tunnel) {
		if (stream->raw)
			flow_finish(stream->stream.in, NULL);
		return;
	}
	if (!h2_message_body_end(&stream->message)) {
		h2_stream_refuse(stream, "the body is shorter than Content-Length says");
		return;
	}
	if (stream->discard)
		return;
	struct http_fields *trailers = stream->in_trailers ? &stream->trailers : NULL;
	exchange_on_trailers(x, trailers, response);
	flow_finish(stream->stream.in, trailers);
}

void h2_stream_on_credit(struct stream *base)
{
	struct h2_stream *stream = h2_stream_of(base);
	struct h2_conn *h2 = stream->h2;

	if (!h2 || h2->ended || stream->input_done || stream->discard)
		return;
	h2_stream_moved(stream);
	if (base->in->high > stream->window) {
		/* The flow has grown, since its sink keeps up. */
		stream->window = base->in->high;
		h2_conn_check(h2, nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE,
									stream->id, (int32_t)stream->window));
	}
	h2_conn_check(h2, nghttp2_session_consume_stream(h2->session, stream->id, stream->owed));
	stream->owed = 0;
}

/* What still comes is dropped, and no window is given back for it. */
void h2_stream_stop(struct stream *base)
{
	h2_stream_of(base)->discard = true;
}

/* ---- what leaves ---- */

void h2_stream_on_readable(struct stream *base)
{
	struct h2_stream *stream = h2_stream_of(base);

	if (!stream->h2 || !stream->head_sent || !stream->deferred)
		return;
	stream->deferred = false;
	h2_stream_moved(stream); /* from now on it is the peer that we wait for */
	h2_conn_check(stream->h2, nghttp2_session_resume_data(stream->h2->session, stream->id));
}

/* END_STREAM comes with the trailers. False: out of memory. */
static bool h2_stream_send_trailers(struct h2_stream *stream, const struct http_fields *trailers,
				    uint32_t *flags)
{
	struct arena *arena = &stream->stream.exchange->arena;
	struct h2_fields fields;

	if (!h2_trailers_list(trailers, arena, &fields))
		return false;
	if (fields.count == 0)
		return true;
	nghttp2_nv *list = h2_stream_list(&fields, arena);
	if (!list || nghttp2_submit_trailer(stream->h2->session, stream->id, list, fields.count) != 0)
		return false;
	*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	return true;
}

ssize_t h2_stream_read(nghttp2_session *session, int32_t id, uint8_t *into, size_t most, uint32_t *flags,
		       nghttp2_data_source *source, void *user)
{
	struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);

	if (!stream)
		return NGHTTP2_ERR_DEFERRED; /* a reset is on its way */
	if (stream == &over) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		return 0;
	}
	struct flow *flow = stream->stream.out;
	/* A tunnel that is none yet: what is in the flow is not for it. */
	if (stream->tunnel && !stream->raw) {
		stream->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	size_t bytes = size_min(flow->queue.bytes, most);
	if (bytes == 0 && !flow->fin) {
		stream->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (!flow->fin || bytes < flow->queue.bytes)
		return (ssize_t)bytes;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (flow->trailers && !h2_stream_send_trailers(stream, flow->trailers, flags))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return (ssize_t)bytes;
}

bool h2_stream_write(struct h2_stream *stream, struct span head, size_t bytes, struct chunk_queue *out)
{
	struct buffers *buffers = &stream->h2->worker->buffers;

	if (!chunk_queue_copy(buffers, out, head))
		return false;
	h2_budget_earn(&stream->h2->guard.budget, bytes);
	if (bytes && bytes == stream->stream.out->queue.bytes)
		h2_budget_earn_frame(&stream->h2->guard.budget);
	return bytes == 0 || flow_take_part(stream->stream.out, out, bytes);
}

/* ---- tunnels ---- */

struct stream *h2_stream_become_raw(struct stream *base)
{
	struct h2_stream *stream = h2_stream_of(base);

	if (!stream->h2 || !stream->tunnel)
		return NULL;
	stream->raw = true;
	if (stream->early.bytes) {
		if (flow_push_queue(base->in, &stream->early) == FLOW_NO_MEMORY)
			return NULL;
		flow_want_credit(base->in);
	}
	if (stream->input_done)
		flow_finish(base->in, NULL);
	h2_stream_on_readable(base);
	return base;
}

struct conn *h2_stream_plain_conn(struct stream *stream)
{
	return NULL;
}

/* ---- time ---- */

uint64_t h2_stream_stuck_since(const struct h2_stream *stream)
{
	const struct h2_conn *h2 = stream->h2;

	if (nghttp2_session_get_stream_remote_window_size(h2->session, stream->id) <= 0 ||
	    nghttp2_session_get_remote_window_size(h2->session) <= 0)
		return stream->active_at;
	return stream->active_at > h2->sent_at ? stream->active_at : h2->sent_at;
}

bool h2_stream_waits_to_send(const struct h2_stream *stream)
{
	return stream->head_sent && !stream->output_done && !stream->raw && !stream->deferred;
}

bool h2_stream_waits_to_receive(const struct h2_stream *stream)
{
	return !stream->input_done && !stream->tunnel && !stream->discard && flow_idle(stream->stream.in);
}
