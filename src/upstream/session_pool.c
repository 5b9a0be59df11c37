/*
 * Pools of upstream sessions, for servers of groups and for origins of the forward proxy. On their worker.
 */
#include "upstream/session_pool.h"

static void session_pool_left(struct session_pool *pool)
{
	pool->open--;
	if (pool->open == 0 && pool->on_empty)
		pool->on_empty(pool);
}

/* Out of the lists of idle ones. */
static void session_pool_remove(struct session_pool *pool, struct session *session)
{
	list_remove(&session->link);
	pool->idle_count--;
	if (!pool->rest)
		return;
	list_remove(&session->rest);
	pool->rest->count--;
}

static void session_rest_add(struct session_rest *rest, struct session *session)
{
	list_push(&rest->all, &session->rest);
	if (++rest->count <= rest->most)
		return;
	struct session *oldest = CONTAINER_OF(rest->all.next, struct session, rest);
	session_pool_remove(oldest->owner, oldest);
	session_discard(oldest);
}

static void session_on_ready(struct session *session)
{
	struct session_pool *pool = session->owner;

	if (pool->idle_count >= pool->keep || pool->worker->draining) {
		session->ops->close(session);
		session_pool_left(pool);
		return;
	}
	list_push_front(&pool->idle, &session->link);
	pool->idle_count++;
	if (pool->rest)
		session_rest_add(pool->rest, session);
}

static void session_on_gone(struct session *session)
{
	struct session_pool *pool = session->owner;

	if (!list_empty(&session->link))
		session_pool_remove(pool, session);
	session_pool_left(pool);
}

static const struct session_owner_ops owner_ops = {
	.on_ready = session_on_ready,
	.on_gone = session_on_gone,
};

void session_pool_init(struct session_pool *pool, struct worker *worker, uint32_t keep,
		       session_pool_empty_fn *on_empty)
{
	*pool = (struct session_pool){.worker = worker, .keep = keep, .on_empty = on_empty};
	list_init(&pool->idle);
}

void session_pool_fini(struct session_pool *pool)
{
	struct session *session;

	pool->on_empty = NULL;
	while ((session = session_pool_take(pool))) {
		session->ops->close(session);
		pool->open--;
	}
}

void session_pool_drain(struct session_pool *pool)
{
	for (uint32_t left = pool->idle_count; left > 0; left--)
		session_discard(session_pool_take(pool));
}

struct session *session_pool_take(struct session_pool *pool)
{
	if (list_empty(&pool->idle))
		return NULL;
	struct session *session = CONTAINER_OF(pool->idle.next, struct session, link);
	session_pool_remove(pool, session);
	return session;
}

struct session *session_pool_adopt(struct session_pool *pool, struct conn *conn,
				   const struct h1_client_settings *settings)
{
	struct session *session = h1_client_open(conn, settings, &owner_ops, pool);

	if (session) {
		list_init(&session->rest);
		pool->open++;
	}
	return session;
}
