/*
 * A client's SOCKS connection until its request is there: greeting, login, request, whatever way their bytes are cut, each answered as soon as it is
 * whole. What becomes of the request is server_stream.c.
 *
 * A client may send ahead: what it sends before it was answered waits, one receive of it, and goes into the tunnel if it stands behind the request.
 */
#include "socks/server.h"

#include "net/listener.h"
#include "socks/socks_internal.h"

/* What may follow each state, as bits. */
static const uint8_t socks_server_moves[] = {
	[SOCKS_SERVER_GREETING] = 1 << SOCKS_SERVER_LOGIN | 1 << SOCKS_SERVER_REQUEST |
				  1 << SOCKS_SERVER_EXCHANGE | 1 << SOCKS_SERVER_CLOSED,
	[SOCKS_SERVER_LOGIN] = 1 << SOCKS_SERVER_CHECK | 1 << SOCKS_SERVER_REQUEST |
			       1 << SOCKS_SERVER_EXCHANGE | 1 << SOCKS_SERVER_CLOSED,
	[SOCKS_SERVER_CHECK] = 1 << SOCKS_SERVER_REQUEST | 1 << SOCKS_SERVER_EXCHANGE | 1 << SOCKS_SERVER_CLOSED,
	[SOCKS_SERVER_REQUEST] = 1 << SOCKS_SERVER_EXCHANGE | 1 << SOCKS_SERVER_CLOSED,
	[SOCKS_SERVER_EXCHANGE] = 1 << SOCKS_SERVER_TUNNEL | 1 << SOCKS_SERVER_CLOSED,
	[SOCKS_SERVER_TUNNEL] = 1 << SOCKS_SERVER_CLOSED,
	[SOCKS_SERVER_CLOSED] = 0,
};

void socks_server_set_state(struct socks_server *server, enum socks_server_state state)
{
	ENSURE(socks_server_moves[server->state] & 1 << state);
	server->state = (uint8_t)state;
}

/* A message of the negotiation is to come. */
static bool socks_server_reads(const struct socks_server *server)
{
	return server->state == SOCKS_SERVER_GREETING || server->state == SOCKS_SERVER_LOGIN ||
	       server->state == SOCKS_SERVER_REQUEST;
}

/* ---- ends ---- */

static void socks_server_free(struct loop_task *task)
{
	struct socks_server *server = CONTAINER_OF(task, struct socks_server, retire);

	if (server->user)
		memory_free(server->worker->memory, server->user, server->user_len);
	pool_put(&socks_room(server->worker)->servers, server);
}

/* The connection is no longer ours. */
static void socks_server_leave(struct socks_server *server)
{
	struct worker *worker = server->worker;

	server->conn = NULL;
	socks_server_set_state(server, SOCKS_SERVER_CLOSED);
	login_cancel(&server->login);
	pending_clear(&server->pending, &worker->buffers);
	loop_timer_stop(&worker->loop, &server->timer);
	list_remove(&server->link);
	loop_retire(&worker->loop, &server->retire);
}

static void socks_server_gone(struct socks_server *server)
{
	socks_server_leave(server);
	server->on_gone(server->owner, &server->client);
}

void socks_server_close(struct socks_server *server)
{
	if (server->conn)
		conn_close(server->conn);
	socks_server_gone(server);
}

void socks_server_linger(struct socks_server *server)
{
	conn_linger(server->conn);
	socks_server_gone(server);
}

void socks_server_on_raw_gone(void *owner)
{
	socks_server_gone(owner);
}

void socks_server_on_raw_claim(void *owner, struct client_claim *claim)
{
	struct socks_server *server = owner;

	*claim = (struct client_claim){
		.address = server->client.address, .on_gone = server->on_gone, .owner = server->owner};
	socks_server_leave(server);
}

/* ---- the exchange ---- */

static enum socks_asked socks_server_asked(const struct socks_server *server)
{
	switch (server->state) {
	case SOCKS_SERVER_GREETING:
		return SOCKS_ASKED_METHOD;
	case SOCKS_SERVER_LOGIN:
	case SOCKS_SERVER_CHECK:
		return SOCKS_ASKED_LOGIN;
	default:
		return SOCKS_ASKED_REQUEST;
	}
}

/* NULL: out of memory, and the connection is closed. */
static struct socks_call *socks_server_call(struct socks_server *server)
{
	struct exchange *x = exchange_new(server->worker, server->service, &server->client);
	struct socks_call *call = x ? arena_zalloc(&x->arena, 1, sizeof(*call)) : NULL;

	if (!call) {
		if (x)
			exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		socks_server_close(server);
		return NULL;
	}
	call->server = server;
	call->exchange = x;
	call->asked = (uint8_t)socks_server_asked(server);
	call->stream.ops = &socks_stream_ops;
	exchange_attach_down(x, &call->stream);
	x->request.version = server->version == SOCKS_VERSION_4 ? HTTP_VERSION_SOCKS4 : HTTP_VERSION_SOCKS5;
	x->request.target_form = HTTP_TARGET_AUTHORITY;
	server->call = call;
	socks_server_set_state(server, SOCKS_SERVER_EXCHANGE);
	loop_timer_stop(&server->worker->loop, &server->timer);
	return call;
}

void socks_server_refuse(struct socks_server *server, const struct error *error, enum socks_code code)
{
	struct socks_call *call = server->call ? server->call : socks_server_call(server);

	if (!call)
		return;
	call->refusal = *error;
	call->code = (uint8_t)code;
}

void socks_server_refuse_bytes(struct socks_server *server, const char *why, enum socks_code code)
{
	struct error error = error_make(ERROR_MALFORMED_REQUEST, why);

	socks_server_refuse(server, &error, code);
}

static void socks_server_on_request(struct socks_server *server, const struct socks_request *request)
{
	struct socks_call *call = socks_server_call(server);
	struct error error = ERROR_OK;

	if (!call)
		return;
	struct exchange *x = call->exchange;
	call->command = request->command;
	/* Who is told where to send datagrams, or where a peer may come to, needs more than "any address". */
	if (request->command != SOCKS_CONNECT)
		server->client.local = listener_local(server->conn->source.fd, &server->client.local);
	if (!socks_head_fill(&x->request, (enum socks_version)server->version, request,
			     server->service->scheme, &x->arena, &error))
		socks_server_refuse(server, &error, SOCKS_SUCCEEDED);
	else if (memory_pressure(server->worker->memory) == MEMORY_FULL)
		socks_server_refuse(server, &(struct error){.code = ERROR_MEMORY}, SOCKS_SUCCEEDED);
}

/* Nothing of the negotiation is in the way any more. */
static void socks_call_begin(struct socks_call *call)
{
	struct exchange *x = call->exchange;

	call->begun = true;
	if (call->command == SOCKS_UDP)
		pending_clear(&call->server->pending, &x->worker->buffers);
	else
		flow_finish(&x->request_body, NULL);
	if (error_is(&call->refusal))
		exchange_refuse(x, &call->refusal);
	else
		exchange_begin(x);
}

/* ---- messages ---- */

void socks_server_send(struct socks_server *server, struct span message)
{
	struct chunk_queue bytes = {0};

	if (!chunk_queue_copy(&server->worker->buffers, &bytes, message)) {
		if (server->call)
			exchange_abort(server->call->exchange, &(struct error){.code = ERROR_MEMORY});
		else
			socks_server_close(server);
		return;
	}
	conn_write(server->conn, &bytes);
}

static size_t socks_server_read_request(struct socks_server *server, struct span bytes)
{
	struct socks_request request;
	const char *why = NULL;
	size_t used = 0;

	switch (socks_request_read((enum socks_version)server->version, bytes, &request, &used, &why)) {
	case SOCKS_MORE:
		return 0;
	case SOCKS_BAD:
		socks_server_refuse_bytes(server, why, request.code);
		return bytes.len;
	case SOCKS_DONE:
		break;
	}
	socks_server_on_request(server, &request);
	return used;
}

static size_t socks_server_read_message(struct socks_server *server, struct span bytes)
{
	switch (server->state) {
	case SOCKS_SERVER_GREETING:
		return socks_server_read_greeting(server, bytes);
	case SOCKS_SERVER_LOGIN:
		return socks_server_read_login(server, bytes);
	default:
		return socks_server_read_request(server, bytes);
	}
}

/* ---- bytes ---- */

static void socks_server_regulate(struct socks_server *server)
{
	const struct socks_call *call = server->call;

	if (!server->conn)
		return;
	/* What comes while it cannot be read waits: one receive of it is enough. */
	if ((!socks_server_reads(server) && server->pending.block) || (call && error_is(&call->refusal)))
		conn_read_stop(server->conn);
	else
		conn_read_start(server->conn);
}

/* The client sends no more, and what it has sent is no request. */
static void socks_server_end_early(struct socks_server *server)
{
	if (server->pending.block)
		socks_server_refuse_bytes(server, "the connection ended inside the negotiation", SOCKS_FAILED);
	else
		socks_server_close(server);
}

/* After everything that may have moved the negotiation. */
static void socks_server_settle(struct socks_server *server)
{
	if (socks_server_reads(server) && server->input_ended)
		socks_server_end_early(server);
	if (server->call && !server->call->begun)
		socks_call_begin(server->call);
	socks_server_regulate(server);
}

/* Reads what messages there are in `bytes`. Answers how many bytes of them were used. */
static size_t socks_server_use(struct socks_server *server, struct span bytes)
{
	size_t used = 0;

	if (!server->version) {
		server->version = bytes.at[0];
		if (server->version == SOCKS_VERSION_4)
			socks_server_set_state(server, SOCKS_SERVER_REQUEST);
	}
	while (used < bytes.len && socks_server_reads(server)) {
		size_t step = socks_server_read_message(server, span_from(bytes, used));
		if (step == 0)
			break;
		used += step;
	}
	return used;
}

static void socks_server_use_pending(struct socks_server *server)
{
	struct block *block = server->pending.block;
	struct buffers *buffers = &server->worker->buffers;

	block->references++; /* a close in between lets go of the pending block */
	size_t used = socks_server_use(server, pending_bytes(&server->pending));
	if (server->pending.block && used)
		pending_consume(&server->pending, buffers, used);
	block_release(buffers, block);
}

void socks_server_go_on(struct socks_server *server)
{
	if (server->pending.block && socks_server_reads(server))
		socks_server_use_pending(server);
	socks_server_settle(server);
}

/* False: out of memory; the connection is closed. */
static bool socks_server_keep(struct socks_server *server, struct span bytes)
{
	if (bytes.len == 0 || pending_append(&server->pending, &server->worker->buffers, bytes))
		return true;
	if (server->call)
		exchange_abort(server->call->exchange, &(struct error){.code = ERROR_MEMORY});
	else
		socks_server_close(server);
	return false;
}

static void socks_server_on_read(struct conn *conn, struct block *lent, struct span bytes)
{
	struct socks_server *server = conn->owner;
	const struct socks_call *call = server->call;
	size_t used = 0;

	/* What stands behind the request for an association, or behind a refusal, means nothing. */
	if (call && (call->replied || call->command == SOCKS_UDP))
		return;
	if (!server->pending.block && socks_server_reads(server)) {
		used = socks_server_use(server, bytes);
		if (!server->conn)
			return;
	}
	if (server->call && error_is(&server->call->refusal))
		used = bytes.len;
	if (socks_server_keep(server, span_from(bytes, used)))
		socks_server_go_on(server);
}

static void socks_server_on_end(struct conn *conn)
{
	struct socks_server *server = conn->owner;

	server->input_ended = true;
	if (server->call)
		socks_call_on_input_end(server->call);
	else if (server->state == SOCKS_SERVER_CHECK && !server->pending.block)
		socks_server_close(server);
	else
		socks_server_settle(server);
}

static void socks_server_on_sent(struct conn *conn, size_t bytes)
{
	struct socks_server *server = conn->owner;

	if (server->call)
		socks_call_on_sent(server->call);
}

static void socks_server_on_fail(struct conn *conn, const struct error *error)
{
	struct socks_server *server = conn->owner;

	if (server->call)
		exchange_abort(server->call->exchange,
			       &(struct error){.code = ERROR_CLIENT_GONE, .system = error->system});
	else
		socks_server_close(server);
}

static void socks_server_on_timer(struct timer *timer)
{
	struct socks_server *server = CONTAINER_OF(timer, struct socks_server, timer);
	struct error error = error_make(ERROR_REQUEST_TIMEOUT, "the negotiation took too long");

	if (server->call) {
		exchange_abort(server->call->exchange, &(struct error){.code = ERROR_CLIENT_STALLED});
		return;
	}
	login_cancel(&server->login);
	socks_server_refuse(server, &error, SOCKS_FAILED);
	socks_server_settle(server);
}

/* ---- opening, ending ---- */

static const struct conn_ops socks_server_conn_ops = {
	.on_read = socks_server_on_read,
	.on_end = socks_server_on_end,
	.on_sent = socks_server_on_sent,
	.on_fail = socks_server_on_fail,
};

bool socks_server_open(struct conn *conn, const struct client *client, const struct service *service,
		       client_gone_fn *on_gone, void *owner)
{
	struct worker *worker = conn->worker;
	struct socks_room *room = socks_room(worker);
	struct socks_server *server = pool_get(&room->servers);

	if (!server)
		return false;
	*server = (struct socks_server){
		.conn = conn,
		.worker = worker,
		.service = service,
		.client = *client,
		.on_gone = on_gone,
		.owner = owner,
		.state = SOCKS_SERVER_GREETING,
	};
	server->client.user = (struct span){0};
	server->client.pins = NULL; /* those of the codec that has given it away; all that comes is one tunnel */
	timer_init(&server->timer, socks_server_on_timer);
	loop_task_init(&server->retire, socks_server_free);
	list_push(&room->open, &server->link);
	conn_adopt(conn, &socks_server_conn_ops, server);
	if (service->timeouts->handshake)
		loop_timer_start(&worker->loop, &server->timer, service->timeouts->handshake);
	conn_read_start(conn);
	return true;
}

const struct codec_beside socks_beside = {
	.first_bytes = 1U << SOCKS_VERSION_4 | 1U << SOCKS_VERSION_5,
	.open = socks_server_open,
};

void socks_server_cut(struct worker *worker)
{
	struct link *head = &socks_room(worker)->open, *next;

	for (struct link *link = head->next; link != head; link = next) {
		struct socks_server *server = CONTAINER_OF(link, struct socks_server, link);
		next = link->next;
		if (server->call)
			exchange_abort(server->call->exchange, &(struct error){.code = ERROR_DRAINING});
		else
			socks_server_close(server);
	}
}
