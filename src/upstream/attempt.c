/*
 * The steps of a new connection to a server. See attempt_internal.h; on one worker.
 */
#include "upstream/attempt_internal.h"

#include "exchange/pin.h"
#include "http/h1/client.h"
#include "http/h2/client.h"
#include "net/proxy_protocol.h"
#include "tls/server.h"
#include "upstream/connections_internal.h"
#include "upstream/secure_internal.h"

/* What may follow each state, as bits. */
static const uint8_t attempt_moves[] = {
	[ATTEMPT_NEW] = 1 << ATTEMPT_WAITING | 1 << ATTEMPT_CONNECTING | 1 << ATTEMPT_OVER,
	[ATTEMPT_WAITING] = 1 << ATTEMPT_CONNECTING | 1 << ATTEMPT_OVER,
	[ATTEMPT_CONNECTING] = 1 << ATTEMPT_GREETING | 1 << ATTEMPT_SECURING | 1 << ATTEMPT_OPENING |
			       1 << ATTEMPT_OVER,
	[ATTEMPT_GREETING] = 1 << ATTEMPT_SECURING | 1 << ATTEMPT_OVER,
	[ATTEMPT_SECURING] = 1 << ATTEMPT_OPENING | 1 << ATTEMPT_OVER,
	[ATTEMPT_OPENING] = 1 << ATTEMPT_OVER,
	[ATTEMPT_OVER] = 0,
};

static void attempt_set_state(struct attempt *attempt, enum attempt_state state)
{
	ENSURE(attempt_moves[attempt->state] & 1 << state);
	attempt->state = (uint8_t)state;
}

/* ---- ends ---- */

static void attempt_free(struct loop_task *task)
{
	struct attempt *attempt = CONTAINER_OF(task, struct attempt, retire);

	upstream_server_unuse(attempt->server);
	memory_free(attempt->worker->memory, attempt, sizeof(*attempt));
}

/* Nobody joins it any more; its memory is gone with the turn. */
static void attempt_end(struct attempt *attempt)
{
	if (attempt->state == ATTEMPT_WAITING)
		connections_leave(attempt);
	if (attempt->counted)
		fleet_connection_leave(attempt->group->fleet, attempt->worker);
	attempt->counted = false;
	attempt_set_state(attempt, ATTEMPT_OVER);
	attempt->conn = NULL;
	attempt->session = NULL;
	loop_timer_stop(&attempt->worker->loop, &attempt->timer);
	list_remove(&attempt->link);
	loop_retire(&attempt->worker->loop, &attempt->retire);
}

static void attempt_done(struct attempt *attempt, const struct attempt_result *result)
{
	attempt_end(attempt);
	acquire_on_attempt(attempt, result);
}

static void attempt_fail(struct attempt *attempt, struct error error)
{
	error.unprocessed = true;
	if (attempt->conn)
		conn_close(attempt->conn);
	attempt_done(attempt, &(struct attempt_result){.error = error});
}

/* ---- codecs ---- */

static void attempt_open_http1(struct attempt *attempt)
{
	const struct upstream_plan *plan = attempt->group->plan;
	struct h1_client_settings settings = {
		.response = plan->timeouts.response,
		.idle = plan->timeouts.pool,
	};
	/* A PROXY header names one client: nobody keeps such a connection. */
	bool pooled = plan->settings->proxy_protocol == PROXY_PROTOCOL_OFF;
	struct session *session = h1_client_open(attempt->conn, &settings,
						 pooled ? &session_pool_owner_ops : &session_alone_ops,
						 &attempt->server->pool);

	if (session)
		attempt_done(attempt, &(struct attempt_result){.session = session, .pooled = pooled});
	else
		attempt_fail(attempt, error_make(ERROR_MEMORY, NULL));
}

/* The first SETTINGS are here: how many streams there may be, and of which kind, is known before the first is opened. */
static void opening_on_ready(struct session *session)
{
	struct attempt *attempt = session->owner;
	struct upstream_server *server = attempt->server;

	server->most = session->most;
	session->owner_ops = &session_pool_owner_ops;
	session->owner = &server->pool;
	attempt_done(attempt, &(struct attempt_result){.session = session, .pooled = true});
}

static void opening_on_gone(struct session *session)
{
	attempt_fail(session->owner,
		     error_make(ERROR_UPSTREAM_CLOSED, "the server ended before its HTTP/2 settings"));
}

static void attempt_on_timeout(struct timer *timer)
{
	struct attempt *attempt = CONTAINER_OF(timer, struct attempt, timer);

	if (attempt->state == ATTEMPT_WAITING) {
		attempt_fail(attempt,
			     error_make(ERROR_OVERLOADED, "no connection to a server became free in time"));
		return;
	}
	attempt->session->ops->close(attempt->session);
	attempt_fail(attempt, error_make(ERROR_CONNECT_TIMEOUT, "the server sent no HTTP/2 settings in time"));
}

static void attempt_open_http2(struct attempt *attempt)
{
	static const struct session_owner_ops ops = {.on_ready = opening_on_ready, .on_gone = opening_on_gone};
	const struct upstream_plan *plan = attempt->group->plan;
	struct h2_client_settings settings = {
		.response = plan->timeouts.response,
		.idle = plan->timeouts.pool,
		.streams = (uint32_t)plan->settings->streams,
		.window = plan->limits->flow,
		.fields = (uint32_t)plan->limits->fields,
		.head = plan->limits->head,
	};

	attempt->session = h2_client_open(attempt->conn, &settings, &ops, attempt);
	if (!attempt->session) {
		attempt_fail(attempt, error_make(ERROR_MEMORY, NULL));
		return;
	}
	attempt->conn = NULL;
	attempt_set_state(attempt, ATTEMPT_OPENING);
	loop_timer_start(&attempt->worker->loop, &attempt->timer, plan->timeouts.handshake);
}

/* What is to be spoken, as the group says and the server agreed; an exchange that needs HTTP/1 asked for nothing else. */
static bool attempt_speaks_http2(struct attempt *attempt, const struct tls_info *info)
{
	struct upstream_server *server = attempt->server;

	if (attempt->kind == ACQUIRE_HTTP1)
		return false;
	if (attempt->group->settings->http == UPSTREAM_HTTP_AUTO && info)
		server->speaks = span_equal(info->alpn, SPAN("h2")) ? UPSTREAM_SPEAKS_HTTP2 :
								      UPSTREAM_SPEAKS_HTTP1;
	return server->speaks == UPSTREAM_SPEAKS_HTTP2;
}

/* The connection is there, and secured if it is to be. */
static void attempt_open(struct attempt *attempt)
{
	const struct tls_info *info = tls_conn_info(attempt->conn);

	conn_adopt(attempt->conn, NULL, NULL);
	if (attempt->kind >= ACQUIRE_CONN) {
		attempt_done(attempt, &(struct attempt_result){.conn = attempt->conn});
	} else if (!attempt_speaks_http2(attempt, info)) {
		if (attempt->waiting > 0)
			attempt_open_http1(attempt);
		else
			attempt_stop(attempt); /* it went on for many, and is for one */
	} else if (info && !span_equal(info->alpn, SPAN("h2"))) {
		/* RFC 9113 3.2: over TLS it is HTTP/2 only if ALPN said so. */
		attempt_fail(attempt, error_make(ERROR_TLS_PROTOCOL, "the server did not agree to HTTP/2"));
	} else {
		attempt_open_http2(attempt);
	}
}

/* ---- TLS ---- */

static void attempt_on_secured(struct conn *conn)
{
	attempt_open(conn->owner);
}

static void attempt_on_fail(struct conn *conn, const struct error *error)
{
	attempt_fail(conn->owner, *error);
}

static void attempt_secure(struct attempt *attempt)
{
	static const struct conn_ops ops = {.on_connect = attempt_on_secured, .on_fail = attempt_on_fail};

	attempt_set_state(attempt, ATTEMPT_SECURING);
	conn_adopt(attempt->conn, &ops, attempt);
	if (!upstream_secure(attempt->group, attempt->server, attempt->conn, attempt->kind))
		attempt_fail(attempt, error_make(ERROR_MEMORY, NULL));
}

/* ---- PROXY protocol ---- */

static void attempt_on_sent(struct conn *conn, size_t bytes)
{
	if (conn_unsent(conn) == 0)
		attempt_secure(conn->owner);
}

/* TLS would take what is still queued for its own: the header must have left. An empty send buffer takes it at once. */
static void attempt_greet(struct attempt *attempt)
{
	static const struct conn_ops ops = {.on_sent = attempt_on_sent, .on_fail = attempt_on_fail};

	attempt_set_state(attempt, ATTEMPT_GREETING);
	conn_adopt(attempt->conn, &ops, attempt);
}

/* False: out of memory. */
static bool attempt_write_header(struct attempt *attempt, enum proxy_protocol version)
{
	const struct acquire *first = CONTAINER_OF(attempt->waiters.next, struct acquire, link);
	uint8_t bytes[PROXY_PROTOCOL_WRITE_MOST];
	struct chunk_queue queue = {0};
	size_t len = proxy_protocol_write(version, first->wish.source, first->wish.destination, bytes);

	if (!chunk_queue_copy(&attempt->worker->buffers, &queue, span_make(bytes, len)))
		return false;
	conn_write(attempt->conn, &queue);
	return true;
}

/* ---- connecting ---- */

static bool attempt_is_secure(const struct attempt *attempt)
{
	return attempt->kind == ACQUIRE_TLS ||
	       (attempt->kind != ACQUIRE_CLEAR && upstream_is_secure(attempt->group));
}

static void attempt_on_connected(struct connector *connector, struct conn *conn, const struct error *error)
{
	struct attempt *attempt = CONTAINER_OF(connector, struct attempt, connector);
	enum proxy_protocol version = (enum proxy_protocol)attempt->group->settings->proxy_protocol;

	if (!conn) {
		attempt_fail(attempt, *error);
		return;
	}
	attempt->conn = conn;
	fleet_connection_give(attempt->group->fleet, conn);
	attempt->counted = false;
	if (version != PROXY_PROTOCOL_OFF && !attempt_write_header(attempt, version))
		attempt_fail(attempt, error_make(ERROR_MEMORY, NULL));
	else if (!attempt_is_secure(attempt))
		attempt_open(attempt);
	else if (version != PROXY_PROTOCOL_OFF)
		attempt_greet(attempt);
	else
		attempt_secure(attempt);
}

static const struct connector_ops connector_ops = {.on_connected = attempt_on_connected};

static void attempt_on_refused(struct loop_task *task)
{
	struct attempt *attempt = CONTAINER_OF(task, struct attempt, refuse);

	if (attempt->state != ATTEMPT_OVER)
		attempt_fail(attempt, error_make(ERROR_OVERLOADED, "the servers have as many connections as they "
								   "may, and too many wait for one"));
}

struct attempt *attempt_new(struct upstream_group *group, struct upstream_server *server,
			    const struct acquire_wish *wish)
{
	struct worker *worker = server->pool.worker;
	struct attempt *attempt = memory_alloc(worker->memory, sizeof(*attempt));

	if (!attempt)
		return NULL;
	*attempt = (struct attempt){
		.worker = worker,
		.group = group,
		.server = server,
		.kind = (uint8_t)wish->kind,
		.port = wish->port,
		.shared = wish->kind == ACQUIRE_SESSION && !wish->alone &&
			  server->speaks != UPSTREAM_SPEAKS_HTTP1,
	};
	upstream_server_use(server);
	list_init(&attempt->waiters);
	list_init(&attempt->line);
	timer_init(&attempt->timer, attempt_on_timeout);
	loop_task_init(&attempt->refuse, attempt_on_refused);
	loop_task_init(&attempt->retire, attempt_free);
	if (attempt->shared)
		list_push_front(&server->attempts, &attempt->link);
	else
		list_push(&server->attempts, &attempt->link);
	return attempt;
}

void attempt_start(struct attempt *attempt)
{
	struct loop *loop = &attempt->worker->loop;

	if (connections_claim(attempt->group)) {
		attempt_begin(attempt);
	} else if (connections_wait(attempt)) {
		attempt_set_state(attempt, ATTEMPT_WAITING);
		loop_timer_start(loop, &attempt->timer, attempt->group->plan->timeouts.queue);
	} else {
		loop_soon(loop, &attempt->refuse);
	}
}

void attempt_begin(struct attempt *attempt)
{
	const struct fleet_server *server = attempt->server->fleet;
	struct address address = server->address;
	uint16_t port = attempt->port ? attempt->port : server->port;

	if (attempt->state == ATTEMPT_WAITING) {
		connections_leave(attempt);
		acquire_on_turn(attempt);
	}
	loop_timer_stop(&attempt->worker->loop, &attempt->timer);
	attempt->counted = true;
	attempt_set_state(attempt, ATTEMPT_CONNECTING);
	address.port = port;
	connector_start(&attempt->connector, attempt->worker, &connector_ops, &address, server->host, port,
			NULL, attempt->group->plan->timeouts.connect);
}

void attempt_stop(struct attempt *attempt)
{
	connector_cancel(&attempt->connector);
	if (attempt->conn)
		conn_close(attempt->conn);
	if (attempt->session)
		attempt->session->ops->close(attempt->session);
	attempt_end(attempt);
}
