/*
 * Who waits for which attempt, and what comes of one: a codec on the connection, sessions for those that waited. On one worker.
 */
#include "upstream/acquire.h"

#include "http/h1/client.h"
#include "upstream/attempt_internal.h"

/* A server that allows fewer and fewer exchanges on each new connection keeps nobody waiting for ever. */
enum { ROUNDS_MOST = 8 };

/* ---- waiting ---- */

static void acquire_wait(struct acquire *acquire, struct attempt *attempt)
{
	acquire->attempt = attempt;
	list_push(&attempt->waiters, &acquire->link);
	attempt->waiting++;
}

static void acquire_leave(struct acquire *acquire)
{
	acquire->attempt->waiting--;
	acquire->attempt = NULL;
	list_remove(&acquire->link);
}

/* A connection being made on which there will be room, as far as it is known; NULL: there is none. */
static struct attempt *acquire_find(const struct acquire *acquire)
{
	const struct upstream_server *server = acquire->server;
	uint32_t room = server->most;

	for (struct link *link = server->attempts.next; link != &server->attempts; link = link->next) {
		struct attempt *attempt = CONTAINER_OF(link, struct attempt, link);
		if (!attempt->shared)
			return NULL;
		if (attempt->waiting < room)
			return attempt;
	}
	return NULL;
}

/* False: out of memory. */
static bool acquire_begin(struct acquire *acquire)
{
	bool alone = acquire->bare || acquire->server->speaks == UPSTREAM_SPEAKS_HTTP1;
	struct attempt *attempt = alone ? NULL : acquire_find(acquire);

	if (attempt) {
		acquire_wait(acquire, attempt);
		return true;
	}
	attempt = attempt_new(acquire->group, acquire->server, acquire->bare);
	if (!attempt)
		return false;
	acquire_wait(acquire, attempt);
	attempt_start(attempt);
	return true;
}

bool acquire_session(struct acquire *acquire, const struct acquire_ops *ops, struct upstream_group *group,
		     struct upstream_server *server, struct acquire_ends ends, bool fresh)
{
	*acquire = (struct acquire){.ops = ops, .group = group, .server = server, .ends = ends, .fresh = fresh};
	return acquire_begin(acquire);
}

bool acquire_conn(struct acquire *acquire, const struct acquire_ops *ops, struct upstream_group *group,
		  struct upstream_server *server, struct acquire_ends ends)
{
	*acquire = (struct acquire){.ops = ops, .group = group, .server = server, .ends = ends, .bare = true};
	return acquire_begin(acquire);
}

void acquire_stop(struct acquire *acquire)
{
	struct attempt *attempt = acquire->attempt;

	acquire_leave(acquire);
	if (attempt->waiting > 0 || attempt->state == ATTEMPT_OVER)
		return;
	if (!attempt->shared || attempt->worker->draining)
		attempt_stop(attempt);
}

/* The next one that waits, which does so no longer; NULL: nobody does. */
static struct acquire *acquire_next(struct attempt *attempt)
{
	if (list_empty(&attempt->waiters))
		return NULL;
	struct acquire *acquire = CONTAINER_OF(attempt->waiters.next, struct acquire, link);
	acquire_leave(acquire);
	return acquire;
}

static void acquire_fail_all(struct attempt *attempt, struct error error)
{
	struct acquire *acquire;

	while ((acquire = acquire_next(attempt)))
		acquire->ops->on_failed(acquire, &error);
}

/* There was no room for it on the connection that it waited for. */
static void acquire_again(struct acquire *acquire)
{
	struct error error = {.code = ERROR_MEMORY, .unprocessed = true};
	struct session *session = acquire->fresh ? NULL : session_pool_take(&acquire->server->pool);

	if (session) {
		acquire->ops->on_session(acquire, session);
		return;
	}
	if (++acquire->rounds > ROUNDS_MOST)
		error = (struct error){.code = ERROR_UPSTREAM_REFUSED,
				       .unprocessed = true,
				       .text = "the server allows too few streams at a time"};
	else if (acquire_begin(acquire))
		return;
	acquire->ops->on_failed(acquire, &error);
}

/* ---- connections of one exchange ---- */

/* Nobody keeps them: a PROXY header names one client. */
static void alone_on_ready(struct session *session)
{
	session->ops->close(session);
}

static void alone_on_gone(struct session *session)
{
}

static const struct session_owner_ops alone_owner_ops = {
	.on_ready = alone_on_ready,
	.on_gone = alone_on_gone,
};

/* ---- sessions ---- */

static struct session *acquire_open_http1(struct upstream_group *group, struct upstream_server *server,
					  struct conn *conn)
{
	const struct upstream_plan *plan = group->plan;
	struct h1_client_settings settings = {
		.response = plan->timeouts.response,
		.idle = plan->timeouts.pool,
	};
	bool alone = plan->settings->proxy_protocol != 0;

	return h1_client_open(conn, &settings, alone ? &alone_owner_ops : &session_pool_owner_ops,
			      &server->pool);
}

/* For all that wait, as far as there is room; the others go on waiting elsewhere. */
static void acquire_serve(struct attempt *attempt, struct session *session)
{
	struct session_pool *pool = &attempt->server->pool;
	struct acquire *acquire;

	session_pool_add(pool, session);
	session_pool_offer(pool, session);
	while ((acquire = acquire_next(attempt))) {
		if (session_pool_take_this(pool, session))
			acquire->ops->on_session(acquire, session);
		else
			acquire_again(acquire);
	}
	session_pool_settle(pool, session);
}

static void acquire_open(struct attempt *attempt, struct conn *conn)
{
	struct upstream_group *group = attempt->group;
	struct upstream_server *server = attempt->server;
	struct error error = {.code = ERROR_MEMORY, .unprocessed = true};
	struct session *session = NULL;

	session = acquire_open_http1(group, server, conn);
	if (!session) {
		conn_close(conn);
		acquire_fail_all(attempt, error);
		return;
	}
	if (group->plan->settings->proxy_protocol == 0) {
		acquire_serve(attempt, session);
		return;
	}
	struct acquire *acquire = acquire_next(attempt);
	acquire->ops->on_session(acquire, session);
}

void acquire_on_attempt(struct attempt *attempt, struct conn *conn, struct error error)
{
	if (!conn) {
		acquire_fail_all(attempt, error);
	} else if (!attempt->bare) {
		acquire_open(attempt, conn);
	} else {
		struct acquire *acquire = acquire_next(attempt);
		acquire->ops->on_conn(acquire, conn);
	}
}
