/*
 * The writing half of a client's SOCKS connection: a response head becomes a reply, and the connection a tunnel, or lingers.
 */
#include "exchange/raw.h"
#include "socks/socks_internal.h"

static struct socks_call *call_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct socks_call, stream);
}

/* ---- replies ---- */

static enum socks_code socks_call_code(const struct socks_call *call, const struct http_head *head)
{
	if (call->code)
		return (enum socks_code)call->code;
	return socks_code_of(&call->exchange->error, head->status);
}

/* What a client that asked for this is told. */
static size_t socks_call_write(const struct socks_call *call, enum socks_code code, uint8_t *out)
{
	const struct socks_server *server = call->server;

	switch (call->asked) {
	case SOCKS_ASKED_METHOD:
		return socks_method_write(SOCKS_METHOD_REFUSED, out);
	case SOCKS_ASKED_LOGIN:
		return socks_login_reply_write(false, out);
	default:
		return socks_reply_write((enum socks_version)server->version, code, &call->exchange->bound,
					 out);
	}
}

/* A client has as long for its reply as for a body. */
static void socks_call_watch(const struct socks_call *call)
{
	struct socks_server *server = call->server;

	if (server->service->timeouts->body)
		loop_timer_start(&server->worker->loop, &server->timer, server->service->timeouts->body);
}

static void socks_call_on_head(struct stream *stream, const struct http_head *head)
{
	struct socks_call *call = call_of(stream);
	enum socks_code code = SOCKS_SUCCEEDED;
	uint8_t message[SOCKS_MESSAGE_MOST];

	if (http_status_is_interim(head->status)) {
		if (call->command != SOCKS_BIND)
			return;
	} else {
		call->replied = true;
		call->granted = head->status >= 200 && head->status < 300;
		if (!call->granted)
			code = socks_call_code(call, head);
	}
	socks_call_watch(call);
	socks_server_send(call->server, span_make(message, socks_call_write(call, code, message)));
}

/* ---- content, of which SOCKS has none ---- */

static void socks_call_finish_if_done(struct socks_call *call)
{
	if (call->done && conn_unsent(call->server->conn) == 0)
		exchange_finish(call->exchange);
}

static void socks_call_on_readable(struct stream *stream)
{
	struct socks_call *call = call_of(stream);
	struct chunk_queue bytes = {0};

	if (!call->replied)
		return;
	flow_take(stream->out, &bytes);
	chunk_queue_clear(&call->server->worker->buffers, &bytes);
	call->done = stream->out->fin;
	flow_settle(stream->out, 0);
	socks_call_finish_if_done(call);
}

static void socks_call_on_credit(struct stream *stream)
{
	/* Nothing of what the client sends goes through the flow before there is a tunnel. */
}

static void socks_call_stop(struct stream *stream)
{
	/* There is nothing to be stopped. */
}

/* ---- from the connection ---- */

void socks_call_on_sent(struct socks_call *call)
{
	struct socks_server *server = call->server;

	if (conn_unsent(server->conn) > 0)
		return;
	loop_timer_stop(&server->worker->loop, &server->timer);
	socks_call_finish_if_done(call);
}

/*
 * A client may have said all that it wants to say through its tunnel before there is one. Who waits for a connection of somebody else, or
 * has an association (RFC 1928 7), must stay.
 */
void socks_call_on_input_end(struct socks_call *call)
{
	struct exchange *x = call->exchange;

	if (call->command == SOCKS_UDP && call->granted)
		flow_finish(&x->request_body, NULL);
	else if (!call->replied && (call->command == SOCKS_UDP || call->command == SOCKS_BIND))
		exchange_abort(x, &(struct error){.code = ERROR_CLIENT_GONE});
}

/* ---- ends ---- */

static void socks_call_abort(struct stream *stream, const struct error *error)
{
	struct socks_call *call = call_of(stream);
	struct socks_server *server = call->server;

	server->call = NULL;
	/* Who was promised a tunnel must not take this for its end. */
	if (call->granted) {
		conn_reset(server->conn);
		server->conn = NULL;
	}
	socks_server_close(server);
}

static void socks_call_detach(struct stream *stream)
{
	struct socks_server *server = call_of(stream)->server;

	server->call = NULL;
	socks_server_linger(server);
}

static struct stream *socks_call_become_raw(struct stream *stream)
{
	struct socks_call *call = call_of(stream);
	struct socks_server *server = call->server;
	struct buffers *buffers = &server->worker->buffers;
	struct span held = pending_bytes(&server->pending);
	struct chunk_queue early = {0};

	if (held.len && !chunk_queue_copy(buffers, &early, held))
		return NULL;
	struct stream *raw = raw_stream_new(call->exchange, server->conn, stream->in, stream->out, &early,
					    server->input_ended, socks_server_on_raw_gone, server);
	if (!raw) {
		chunk_queue_clear(buffers, &early);
		return NULL;
	}
	raw_set_claim(raw, socks_server_on_raw_claim);
	pending_clear(&server->pending, buffers);
	server->conn = NULL;
	socks_server_set_state(server, SOCKS_SERVER_TUNNEL);
	loop_timer_stop(&server->worker->loop, &server->timer);
	return raw;
}

static struct conn *socks_call_plain_conn(struct stream *stream)
{
	return NULL;
}

const struct stream_ops socks_stream_ops = {
	.name = "SOCKS",
	.on_head = socks_call_on_head,
	.on_readable = socks_call_on_readable,
	.on_credit = socks_call_on_credit,
	.stop = socks_call_stop,
	.abort = socks_call_abort,
	.detach = socks_call_detach,
	.become_raw = socks_call_become_raw,
	.plain_conn = socks_call_plain_conn,
};
