/*
 * Who waits for which attempt, and what comes of one: a codec on the connection, sessions for those that waited. On one worker.
 */
#include "upstream/acquire.h"

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
	uint64_t room = acquire->group->settings->streams;

	if (server->most)
		room = size_min(room, server->most);
	for (struct link *link = server->attempts.next; link != &server->attempts; link = link->next) {
		struct attempt *attempt = CONTAINER_OF(link, struct attempt, link);
		if (!attempt->shared)
			return NULL;
		if (attempt->waiting < room && attempt->port == acquire->wish.port)
			return attempt;
	}
	return NULL;
}

/* False: out of memory. */
static bool acquire_begin(struct acquire *acquire)
{
	struct attempt *attempt = NULL;

	if (acquire->wish.kind == ACQUIRE_SESSION && !acquire->wish.alone &&
	    acquire->server->speaks != UPSTREAM_SPEAKS_HTTP1)
		attempt = acquire_find(acquire);
	if (attempt) {
		acquire_wait(acquire, attempt);
		return true;
	}
	attempt = attempt_new(acquire->group, acquire->server, &acquire->wish);
	if (!attempt)
		return false;
	acquire_wait(acquire, attempt);
	attempt_start(attempt);
	return true;
}

bool acquire_start(struct acquire *acquire, const struct acquire_ops *ops, struct upstream_group *group,
		   struct upstream_server *server, const struct acquire_wish *wish)
{
	*acquire = (struct acquire){.ops = ops, .group = group, .server = server, .wish = *wish};
	return acquire_begin(acquire);
}

void acquire_stop(struct acquire *acquire)
{
	struct attempt *attempt = acquire->attempt;

	acquire_leave(acquire);
	if (attempt->waiting > 0 || attempt->state == ATTEMPT_OVER)
		return;
	if (!attempt->shared || attempt->worker->draining || attempt->state <= ATTEMPT_WAITING)
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

/* The first one that an older connection will do for; NULL: there is none. */
static struct acquire *acquire_not_fresh(const struct attempt *attempt)
{
	for (struct link *link = attempt->waiters.next; link != &attempt->waiters; link = link->next) {
		struct acquire *acquire = CONTAINER_OF(link, struct acquire, link);
		if (!acquire->wish.fresh)
			return acquire;
	}
	return NULL;
}

static void acquire_has_its_turn(const struct acquire *acquire)
{
	if (acquire->wish.began_us)
		*acquire->wish.began_us = acquire->group->worker->loop.now_us;
}

void acquire_on_turn(const struct attempt *attempt)
{
	for (const struct link *link = attempt->waiters.next; link != &attempt->waiters; link = link->next)
		acquire_has_its_turn(CONTAINER_OF(link, struct acquire, link));
}

bool acquire_from_pool(struct attempt *attempt)
{
	struct acquire *acquire;
	struct session *session;
	bool any = false;

	if (attempt->kind != ACQUIRE_SESSION)
		return false;
	while ((acquire = acquire_not_fresh(attempt)) && (session = session_pool_take(&attempt->server->pool))) {
		acquire_leave(acquire);
		acquire_has_its_turn(acquire);
		any = true;
		acquire->ops->on_session(acquire, session);
	}
	if (attempt->waiting == 0 && attempt->state != ATTEMPT_OVER)
		attempt_stop(attempt);
	return any;
}

bool acquire_is_in_line(const struct acquire *acquire)
{
	return acquire->attempt && acquire->attempt->state <= ATTEMPT_WAITING;
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
	struct session *session = acquire->wish.fresh ? NULL : session_pool_take(&acquire->server->pool);

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

/* ---- what came of it ---- */

/* To all that wait, as far as it has room; the others go on waiting elsewhere. */
static void acquire_share(struct attempt *attempt, struct session *session)
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

void acquire_on_attempt(struct attempt *attempt, const struct attempt_result *result)
{
	if (result->pooled) {
		acquire_share(attempt, result->session);
	} else if (error_is(&result->error)) {
		acquire_fail_all(attempt, result->error);
	} else {
		struct acquire *acquire = acquire_next(attempt); /* it is not shared: there is one */
		if (result->session)
			acquire->ops->on_session(acquire, result->session);
		else
			acquire->ops->on_conn(acquire, result->conn);
	}
}
