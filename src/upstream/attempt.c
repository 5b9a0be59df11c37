/*
 * The steps of a new connection to a server. See attempt_internal.h; on one worker.
 */
#include "upstream/attempt_internal.h"

#include "net/proxy_protocol.h"

/* What may follow each state, as bits. */
static const uint8_t attempt_moves[] = {
	[ATTEMPT_CONNECTING] = 1 << ATTEMPT_OVER,
	[ATTEMPT_OVER] = 0,
};

static void attempt_set_state(struct attempt *attempt, enum attempt_state state)
{
	ENSURE(attempt_moves[attempt->state] & 1 << state);
	attempt->state = (uint8_t)state;
}

static void attempt_free(struct loop_task *task)
{
	struct attempt *attempt = CONTAINER_OF(task, struct attempt, retire);

	memory_free(attempt->worker->memory, attempt, sizeof(*attempt));
}

/* Nobody else joins it, and it is gone with the turn. */
static void attempt_end(struct attempt *attempt)
{
	attempt_set_state(attempt, ATTEMPT_OVER);
	list_remove(&attempt->link);
	loop_retire(&attempt->worker->loop, &attempt->retire);
}

static void attempt_done(struct attempt *attempt, struct conn *conn)
{
	attempt_end(attempt);
	conn_adopt(conn, NULL, NULL);
	acquire_on_attempt(attempt, conn, ERROR_OK);
}

static void attempt_fail(struct attempt *attempt, struct error error)
{
	error.unprocessed = true;
	if (attempt->conn)
		conn_close(attempt->conn);
	attempt_end(attempt);
	acquire_on_attempt(attempt, NULL, error);
}

/* ---- PROXY protocol ---- */

/* False: out of memory. */
static bool attempt_write_header(struct attempt *attempt, enum proxy_protocol version)
{
	const struct acquire *first = CONTAINER_OF(attempt->waiters.next, struct acquire, link);
	uint8_t bytes[PROXY_PROTOCOL_WRITE_MOST];
	struct chunk_queue queue = {0};
	size_t len = proxy_protocol_write(version, first->ends.source, first->ends.destination, bytes);

	if (!chunk_queue_copy(&attempt->worker->buffers, &queue, span_make(bytes, len)))
		return false;
	conn_write(attempt->conn, &queue);
	return true;
}

/* ---- connecting ---- */

static void attempt_on_connected(struct connector *connector, struct conn *conn, const struct error *error)
{
	struct attempt *attempt = CONTAINER_OF(connector, struct attempt, connector);
	enum proxy_protocol version = (enum proxy_protocol)attempt->group->plan->settings->proxy_protocol;

	if (!conn) {
		attempt_fail(attempt, *error);
		return;
	}
	attempt->conn = conn;
	if (version != PROXY_PROTOCOL_OFF && !attempt_write_header(attempt, version))
		attempt_fail(attempt, error_make(ERROR_MEMORY, NULL));
	else
		attempt_done(attempt, conn);
}

static const struct connector_ops connector_ops = {.on_connected = attempt_on_connected};

struct attempt *attempt_new(struct upstream_group *group, struct upstream_server *server, bool bare)
{
	struct worker *worker = server->pool.worker;
	struct attempt *attempt = memory_alloc(worker->memory, sizeof(*attempt));

	if (!attempt)
		return NULL;
	*attempt = (struct attempt){
		.worker = worker,
		.group = group,
		.server = server,
		.bare = bare,
		.shared = !bare && server->speaks != UPSTREAM_SPEAKS_HTTP1,
	};
	list_init(&attempt->waiters);
	loop_task_init(&attempt->retire, attempt_free);
	if (attempt->shared)
		list_push_front(&server->attempts, &attempt->link);
	else
		list_push(&server->attempts, &attempt->link);
	return attempt;
}

void attempt_start(struct attempt *attempt)
{
	struct upstream_server *server = attempt->server;

	connector_start(&attempt->connector, attempt->worker, &connector_ops, &server->address, server->host,
			server->port, attempt->group->plan->timeouts.connect);
}

void attempt_stop(struct attempt *attempt)
{
	connector_cancel(&attempt->connector);
	if (attempt->conn)
		conn_close(attempt->conn);
	attempt_end(attempt);
}
