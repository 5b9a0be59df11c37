/*
 * The writing half of an upstream HTTP/1 connection: one stream for each call. Reading is in client.c.
 */
#include "exchange/raw.h"
#include "http/h1/h1_internal.h"
#include "http/h1/watch.h"
#include "http/h1/write.h"
#include "http/websocket.h"

static struct h1_call *call_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct h1_call, stream);
}

/* WebSocket for a client of HTTP/2 or later, which sends no key (RFC 8441 5.1); a server of HTTP/1 wants one. */
static bool h1_call_lacks_key(const struct http_head *head)
{
	return head->version >= HTTP_VERSION_2 && http_list_has(head->protocol, SPAN("websocket"));
}

/* `keyed` becomes the head with a key, and shares its fields: it is for writing only. False: out of memory. */
static bool h1_call_add_key(struct h1_call *call, const struct http_head *head, struct http_head *keyed)
{
	char key[WEBSOCKET_KEY_LENGTH];

	*keyed = *head;
	websocket_key_make(&call->client->worker->random, key);
	call->websocket_key = arena_copy(&call->exchange->arena, span_make(key, sizeof(key)));
	return call->websocket_key.at && http_fields_add(&keyed->fields, HTTP_FIELD_OTHER,
							 SPAN("Sec-WebSocket-Key"), call->websocket_key);
}

static void h1_call_on_head(struct stream *stream, const struct http_head *head)
{
	struct h1_call *call = call_of(stream);
	struct h1_client *client = call->client;
	struct chunk_queue bytes = {0};
	struct http_head keyed;
	struct h1_write how = {
		.chunked = head->body == HTTP_BODY_STREAMED,
		.upgrade = head->protocol.len > 0,
		.te_trailers = head->te_trailers,
		.absolute_form = client->settings.absolute,
		.authorization = client->settings.authorization,
	};

	call->request_chunked = how.chunked;
	if (http_content_is_unexpected(head)) {
		how.connection = H1_CONNECTION_CLOSE;
		call->reusable = false;
	}
	if (h1_call_lacks_key(head)) {
		if (!h1_call_add_key(call, head, &keyed)) {
			h1_client_fail(client, error_make(ERROR_MEMORY, NULL));
			return;
		}
		head = &keyed;
	}
	if (!h1_request_write(&client->worker->buffers, &bytes, head, &how)) {
		h1_client_fail(client, error_make(ERROR_MEMORY, NULL));
		return;
	}
	conn_write(client->session.conn, &bytes);
	conn_read_start(client->session.conn);
	h1_client_watch(client);
}

static void h1_call_on_readable(struct stream *stream)
{
	struct h1_call *call = call_of(stream);
	struct h1_client *client = call->client;
	struct chunk_queue bytes = {0};

	if (call->request_done)
		return;
	if (!h1_body_write(&client->worker->buffers, stream->out, call->request_chunked, &call->request_done,
			   &bytes)) {
		h1_client_fail(client, error_make(ERROR_MEMORY, NULL));
		return;
	}
	if (call->request_done)
		h1_client_watch(client);
	if (bytes.bytes)
		conn_write(client->session.conn, &bytes);
	h1_client_finish_if_done(client);
}

static void h1_call_on_credit(struct stream *stream)
{
	struct h1_call *call = call_of(stream);

	if (call->response_done)
		return;
	h1_client_watch(call->client);
	conn_read_room(call->client->session.conn, flow_room(stream->in));
	conn_read_start(call->client->session.conn);
}

static void h1_call_stop(struct stream *stream)
{
	/* The response is not wanted: HTTP/1 knows no other way to say so. */
	call_of(stream)->reusable = false;
	conn_read_stop(call_of(stream)->client->session.conn);
}

static void h1_call_abort(struct stream *stream, const struct error *error)
{
	h1_client_close(call_of(stream)->client);
}

static void h1_call_detach(struct stream *stream)
{
	/* A call that was complete has let go by itself (h1_client_finish_if_done). */
	h1_client_close(call_of(stream)->client);
}

static struct stream *h1_call_become_raw(struct stream *stream)
{
	struct h1_call *call = call_of(stream);
	struct h1_client *client = call->client;
	struct buffers *buffers = &client->worker->buffers;
	struct chunk_queue early = {0};
	struct span held = pending_bytes(&client->pending);

	if (held.len && !chunk_queue_copy(buffers, &early, held))
		return NULL;
	struct stream *raw = raw_stream_new(call->exchange, client->session.conn, stream->in, stream->out,
					    &early, false, h1_client_on_raw_gone, client);
	if (!raw) {
		chunk_queue_clear(buffers, &early);
		return NULL;
	}
	pending_clear(&client->pending, buffers);
	client->session.conn = NULL;
	client->call = NULL;
	loop_timer_stop(&client->worker->loop, &client->timer);
	h1_client_leave(client);
	return raw;
}

static struct conn *h1_call_plain_conn(struct stream *stream)
{
	return NULL;
}

const struct stream_ops h1_client_stream_ops = {
	.name = "HTTP/1.1",
	.on_head = h1_call_on_head,
	.on_readable = h1_call_on_readable,
	.on_credit = h1_call_on_credit,
	.stop = h1_call_stop,
	.abort = h1_call_abort,
	.detach = h1_call_detach,
	.become_raw = h1_call_become_raw,
	.plain_conn = h1_call_plain_conn,
};
