/*
 * The server side of HTTP/2: a client's connection and its requests. Responses are server_stream.c's. On the connection's worker.
 */
#include "http/h2/server.h"

#include "http/h2/h2_sides.h"
#include "http/h2/priority.h"
#include "http/h2/server_stream.h"

enum {
	GRACE_MS = 1000, /* between the two GOAWAYs at most: requests on their way are still served */
};

static struct h2_server *h2_server_of(struct h2_conn *h2)
{
	return CONTAINER_OF(h2, struct h2_server, h2);
}

/* ms */
static uint64_t h2_server_tick(const struct timeouts_settings *timeouts)
{
	return h2_tick_of(size_min(timeouts->header, timeouts->body));
}

/* What may follow each state, as bits. */
static const uint8_t h2_server_moves[] = {
	[H2_SERVER_OPEN] = 1 << H2_SERVER_WARNED | 1 << H2_SERVER_LEAVING,
	[H2_SERVER_WARNED] = 1 << H2_SERVER_LEAVING,
	[H2_SERVER_LEAVING] = 0,
};

static void h2_server_set_state(struct h2_server *server, enum h2_server_state state)
{
	ENSURE(h2_server_moves[server->state] & 1 << state);
	server->state = (uint8_t)state;
}

/* ---- leaving in good order (RFC 9113 6.8) ---- */

static void h2_server_warn(struct h2_server *server)
{
	if (server->state != H2_SERVER_OPEN)
		return;
	h2_server_set_state(server, H2_SERVER_WARNED);
	server->warned_at = server->h2.worker->loop.now;
	h2_conn_check(&server->h2, nghttp2_submit_shutdown_notice(server->h2.session));
	/* An idle connection's clock is set for another time. */
	h2_conn_tick_in(&server->h2, h2_server_tick(server->service->timeouts));
}

/* No request after those that have come; the connection ends with the last of them. */
static void h2_server_refuse_more(struct h2_server *server)
{
	struct h2_conn *h2 = &server->h2;

	if (server->state == H2_SERVER_LEAVING)
		return;
	h2_server_set_state(server, H2_SERVER_LEAVING);
	h2_conn_check(h2, nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
						nghttp2_session_get_last_proc_stream_id(h2->session),
						NGHTTP2_NO_ERROR, NULL, 0));
}

static void h2_server_leave_step(struct h2_server *server)
{
	struct h2_conn *h2 = &server->h2;

	if (server->state == H2_SERVER_OPEN)
		h2_server_warn(server);
	else if (server->state == H2_SERVER_WARNED && h2->worker->loop.now - server->warned_at >= GRACE_MS)
		h2_server_refuse_more(server);
	else if (server->state == H2_SERVER_LEAVING && h2->count == 0)
		h2_conn_leave(h2, &h2->error);
}

/* ---- requests ---- */

static struct h2_stream *h2_server_on_request(struct h2_conn *h2, int32_t id)
{
	struct h2_server *server = h2_server_of(h2);

	/* The GOAWAY that is about to leave says that it has not been processed (RFC 9113 6.8). */
	if (server->state == H2_SERVER_LEAVING)
		return NULL;
	struct exchange *x = exchange_new(h2->worker, server->service, &server->client);
	struct h2_stream *stream = x ? arena_zalloc(&x->arena, 1, sizeof(*stream)) : NULL;

	if (!stream) {
		if (x)
			exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		return NULL;
	}
	h2_stream_init(stream, h2, x, &h2_server_stream_ops);
	stream->id = id;
	exchange_attach_down(x, &stream->stream);
	h2_message_init(&stream->message, H2_MESSAGE_REQUEST, &x->request, HTTP_METHOD_OTHER, &x->arena,
			&h2->rules);
	bool first = h2->count == 0;
	h2_stream_attach(stream);
	if (first)
		h2_conn_tick_in(h2, h2_server_tick(server->service->timeouts));
	server->head_began_at = h2->worker->loop.now;
	server->served++;
	return stream;
}

/* A request that cannot be read is a stream error (RFC 9113 8.1.1); the log says why. Who makes us reset again and again is sent away. */
static void h2_server_on_malformed(struct h2_stream *stream, const struct error *error)
{
	struct exchange *x = stream->stream.exchange;

	h2_conn_spend(stream->h2, H2_ABUSE_FAULT);
	h2_stream_release(stream, NGHTTP2_PROTOCOL_ERROR);
	exchange_abort(x, error);
}

static bool is_stream_error(const struct error *error)
{
	return error->code == ERROR_MALFORMED_REQUEST || error->code == ERROR_BAD_TARGET;
}

/* RFC 9218 5: how urgent the response is. */
static void h2_server_prioritise(struct h2_conn *h2, struct h2_stream *stream)
{
	const struct http_field *field =
		http_fields_find_name(&stream->stream.exchange->request.fields, SPAN("priority"));
	nghttp2_extpri priority = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY};

	if (field && h2_priority_parse(field->value, &priority))
		(void)nghttp2_session_change_extpri_stream_priority(h2->session, stream->id, &priority, 0);
}

static void h2_server_on_head(struct h2_stream *stream, bool ended)
{
	struct h2_conn *h2 = stream->h2;
	struct h2_server *server = h2_server_of(h2);
	struct exchange *x = stream->stream.exchange;
	struct error error = ERROR_OK;

	server->head_began_at = 0;
	stream->head_done = true;
	if (server->served >= server->service->limits->requests_per_connection)
		h2_server_warn(server);
	if (!h2_message_end(&stream->message, ended, &error)) {
		stream->discard = true;
		if (is_stream_error(&error))
			h2_server_on_malformed(stream, &error);
		else
			exchange_refuse(x, &error);
		return;
	}
	stream->tunnel = h2_message_is_tunnel(&stream->message);
	h2_server_prioritise(h2, stream);
	if (stream->tunnel)
		flow_finish(&x->request_body, NULL); /* as HTTP/1: there is no body, what comes is the tunnel's */
	if (memory_pressure(h2->worker->memory) == MEMORY_FULL)
		exchange_refuse(x, &(struct error){.code = ERROR_MEMORY});
	else
		exchange_begin(x);
}

/* ---- ends ---- */

/* The exchange goes on without the connection, which may end before it: it gets a client of its own. False: out of memory. */
static bool h2_server_outlive(struct exchange *x)
{
	struct client *client = arena_zalloc(&x->arena, 1, sizeof(*client));
	struct tls_info *tls = arena_zalloc(&x->arena, 1, sizeof(*tls));

	if (!client || !tls)
		return false;
	*client = *x->client;
	client->pins = NULL;
	if (client->tls) {
		tls->version = client->tls->version;
		tls->cipher = client->tls->cipher;
		tls->resumed = client->tls->resumed;
		client->tls = tls;
	}
	x->client = client;
	return true;
}

static void h2_server_on_closed(struct h2_conn *h2, struct h2_stream *stream, uint32_t code)
{
	struct exchange *x = stream->stream.exchange;

	if (stream->output_done && !stream->raw) {
		exchange_finish(x);
	} else if (stream->raw && code == NGHTTP2_NO_ERROR && stream->input_done && stream->output_done &&
		   h2_server_outlive(x)) {
		exchange_finish_tunnel(x); /* or what came for the server is still on its way */
	} else {
		exchange_abort(x, &(struct error){.code = ERROR_CLIENT_GONE,
						  .text = code == NGHTTP2_NO_ERROR ? NULL :
										     "the stream was reset"});
	}
}

static void h2_server_on_lost(struct h2_conn *h2, struct h2_stream *stream, const struct error *error)
{
	exchange_abort(stream->stream.exchange, error);
}

static void h2_server_on_frame(struct h2_conn *h2, const nghttp2_frame *frame)
{
	struct h2_server *server = h2_server_of(h2);

	/* The client has seen the first GOAWAY: what it sent before has come. */
	if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK &&
	    server->state == H2_SERVER_WARNED)
		h2_server_refuse_more(server);
}

static void h2_server_on_quiet(struct h2_conn *h2)
{
	struct h2_server *server = h2_server_of(h2);

	if (h2->worker->draining)
		h2_server_warn(server);
	h2_conn_tick_in(h2, server->state == H2_SERVER_OPEN ? server->service->timeouts->idle :
							      h2_server_tick(server->service->timeouts));
}

static void h2_server_on_gone(struct h2_conn *h2)
{
	struct h2_server *server = h2_server_of(h2);

	pins_end(&server->pins);
	server->on_gone(server->owner, &server->client);
}

static void h2_server_free(struct loop_task *task)
{
	struct h2_conn *h2 = CONTAINER_OF(task, struct h2_conn, retire);

	nghttp2_session_del(h2->session);
	pool_put(&h2_room(h2->worker)->servers, h2_server_of(h2));
}

/* ---- time ---- */

/* A stream whose client has done nothing for too long ends. */
static void h2_server_look_at(struct h2_server *server, struct h2_stream *stream, uint64_t now)
{
	struct exchange *x = stream->stream.exchange;
	uint64_t timeout = server->service->timeouts->body;

	if (now - stream->active_at < timeout || !stream->head_done)
		return;
	if (h2_stream_waits_to_send(stream) && now - h2_stream_stuck_since(stream) >= timeout)
		exchange_abort(x, &(struct error){.code = ERROR_CLIENT_STALLED});
	else if (h2_stream_waits_to_receive(stream) && !stream->head_sent)
		exchange_fail(x, &(struct error){.code = ERROR_REQUEST_TIMEOUT,
						 .text = "the request body did not arrive in time"});
}

static void h2_server_on_tick(struct h2_conn *h2)
{
	struct h2_server *server = h2_server_of(h2);
	const struct timeouts_settings *timeouts = server->service->timeouts;
	uint64_t now = h2->worker->loop.now;
	struct link *next;

	if (server->head_began_at && now - server->head_began_at >= timeouts->header) {
		h2_conn_leave(h2, &(struct error){.code = ERROR_REQUEST_TIMEOUT,
						  .text = "the request head did not arrive in time"});
		return;
	}
	if (h2->count == 0 && server->state == H2_SERVER_OPEN) {
		if (now - h2->quiet_since >= timeouts->idle)
			h2_server_refuse_more(server);
		h2_conn_tick_in(h2, server->state == H2_SERVER_OPEN ? h2->quiet_since + timeouts->idle - now :
								      h2_server_tick(timeouts));
		return;
	}
	for (struct link *link = h2->streams.next; link != &h2->streams; link = next) {
		next = link->next;
		h2_server_look_at(server, CONTAINER_OF(link, struct h2_stream, link), now);
	}
	if (server->state != H2_SERVER_OPEN)
		h2_server_leave_step(server);
	h2_conn_tick_in(h2, h2_server_tick(timeouts));
}

/* ---- opening, draining ---- */

static const struct h2_role h2_server_role = {
	.on_request = h2_server_on_request,
	.on_head = h2_server_on_head,
	.on_malformed = h2_server_on_malformed,
	.on_closed = h2_server_on_closed,
	.on_lost = h2_server_on_lost,
	.on_frame = h2_server_on_frame,
	.on_tick = h2_server_on_tick,
	.on_quiet = h2_server_on_quiet,
	.on_gone = h2_server_on_gone,
};

static bool h2_server_greet(struct h2_server *server)
{
	const struct limits_settings *limits = server->service->limits;
	nghttp2_settings_entry entries[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)limits->streams},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)limits->flow},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->head},
		{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}, /* RFC 8441 3 */
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},   /* RFC 9218 2.1 */
	};
	nghttp2_session *session = server->h2.session;

	return nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, entries, ARRAY_LENGTH(entries)) == 0 &&
	       nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, H2_CONNECTION_WINDOW) == 0;
}

bool h2_server_open(struct conn *conn, const struct client *client, const struct service *service,
		    client_gone_fn *on_gone, void *owner)
{
	struct h2_room *room = h2_room(conn->worker);
	const struct limits_settings *limits = service->limits;
	struct h2_server *server = pool_get(&room->servers);

	if (!server)
		return false;
	memset(server, 0, sizeof(*server));
	server->service = service;
	server->client = *client;
	server->client.pins = &server->pins;
	server->on_gone = on_gone;
	server->owner = owner;
	server->h2.rules = (struct h2_message_rules){
		.request_line = (uint32_t)limits->request_line,
		.field_line = (uint32_t)limits->field_line,
		.fields = (uint32_t)limits->fields,
		.head = (uint32_t)limits->head,
		.extended_connect = true,
		.scheme = service->scheme,
	};
	if (!h2_conn_init(&server->h2, conn, &h2_server_role, true, h2_server_free)) {
		pool_put(&room->servers, server);
		return false;
	}
	if (!h2_server_greet(server)) {
		nghttp2_session_del(server->h2.session);
		conn_adopt(conn, NULL, NULL);
		pool_put(&room->servers, server);
		return false;
	}
	list_push(&room->open, &server->h2.link);
	h2_conn_tick_in(&server->h2, service->timeouts->idle);
	h2_conn_wake(&server->h2);
	conn_read_start(conn);
	return true;
}

void h2_server_drain(struct worker *worker)
{
	struct link *head = &h2_room(worker)->open, *next;

	for (struct link *link = head->next; link != head; link = next) {
		next = link->next;
		h2_server_leave_step(h2_server_of(CONTAINER_OF(link, struct h2_conn, link)));
	}
}

void h2_server_cut(struct worker *worker)
{
	struct link *head = &h2_room(worker)->open, *next;

	for (struct link *link = head->next; link != head; link = next) {
		next = link->next;
		h2_conn_cut(CONTAINER_OF(link, struct h2_conn, link), &(struct error){.code = ERROR_DRAINING});
	}
}
