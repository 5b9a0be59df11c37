/*
 * The server side of HTTP/2: one stream for each exchange, as its down stream. Requests are server.c's, bodies stream.c's.
 */
#include "http/h2/server_stream.h"

#include "http/h2/h2_sides.h"

/* An answer that opens a tunnel (RFC 9113 8.5, RFC 8441 5). */
static bool opens_tunnel(const struct h2_stream *stream, const struct http_head *head)
{
	return stream->tunnel && (head->status == 101 || (head->status >= 200 && head->status < 300));
}

static bool h2_server_submit(struct h2_stream *stream, const struct http_head *head)
{
	struct exchange *x = stream->stream.exchange;
	struct h2_conn *h2 = stream->h2;
	struct h2_fields fields;
	nghttp2_data_provider provider = {.read_callback = h2_stream_read};
	bool interim = http_status_is_interim(head->status);

	struct span date = http_date_now(&h2_room(h2->worker)->date, h2->worker->loop.wall_ms);

	if (!h2_response_list(head, date, &x->arena, &fields))
		return false;
	nghttp2_nv *list = h2_stream_list(&fields, &x->arena);
	if (!list)
		return false;
	if (interim)
		return nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, stream->id, NULL, list,
					      fields.count, NULL) == 0;
	stream->discard |= stream->tunnel &&
			   !opens_tunnel(stream, head); /* what was sent for it has nowhere to go */
	stream->tunnel = opens_tunnel(stream, head);
	stream->head_sent = true;
	bool has_source = stream->tunnel || http_head_has_body(head);
	return nghttp2_submit_response(h2->session, stream->id, list, fields.count,
				       has_source ? &provider : NULL) == 0;
}

static void h2_server_on_head_down(struct stream *base, const struct http_head *head)
{
	struct h2_stream *stream = h2_stream_of(base);

	if (!stream->h2)
		return;
	h2_stream_moved(stream);
	if (stream->message.extended && head->status >= 200 && head->status < 300) {
		/* Here that would say yes (RFC 8441 5), and a server that only did not know Upgrade has not. */
		exchange_abort(base->exchange,
			       &(struct error){.code = ERROR_UPSTREAM_UPGRADE,
					       .text = "the server answered as if there were no Upgrade"});
		return;
	}
	if (!h2_server_submit(stream, head)) {
		exchange_abort(base->exchange, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	h2_conn_wake(stream->h2);
}

/* RFC 9113 7: why the stream ends. */
static uint32_t reset_code(const struct h2_stream *stream, const struct error *error)
{
	switch (error->code) {
	case ERROR_MALFORMED_REQUEST:
	case ERROR_BAD_TARGET:
		return NGHTTP2_PROTOCOL_ERROR;
	case ERROR_CLIENT_GONE:
	case ERROR_CLIENT_STALLED:
	case ERROR_TUNNEL_IDLE:
		return NGHTTP2_CANCEL;
	case ERROR_ABUSE:
		return NGHTTP2_ENHANCE_YOUR_CALM;
	default:
		return stream->tunnel ? NGHTTP2_CONNECT_ERROR : NGHTTP2_INTERNAL_ERROR;
	}
}

static void h2_server_abort(struct stream *base, const struct error *error)
{
	struct h2_stream *stream = h2_stream_of(base);

	h2_stream_release(stream, reset_code(stream, error));
}

static void h2_server_detach(struct stream *base)
{
	struct h2_stream *stream = h2_stream_of(base);

	/* What is no tunnel was closed before the exchange was over. */
	if (stream->raw)
		h2_stream_release_ending(stream);
	else
		h2_stream_release(stream, NGHTTP2_CANCEL);
}

const struct stream_ops h2_server_stream_ops = {
	.name = "HTTP/2",
	.on_head = h2_server_on_head_down,
	.on_readable = h2_stream_on_readable,
	.on_credit = h2_stream_on_credit,
	.stop = h2_stream_stop,
	.abort = h2_server_abort,
	.detach = h2_server_detach,
	.become_raw = h2_stream_become_raw,
	.plain_conn = h2_stream_plain_conn,
};
