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

/* Out of the ready ones. */
static void session_pool_remove(struct session_pool *pool, struct session *session)
{
	list_remove(&session->link);
	if (!session->idle) {
		pool->busy_count--;
		return;
	}
	session->idle = false;
	pool->idle_count--;
	if (pool->share)
		idle_share_remove(pool->share, session);
}

/* Among the ready ones, behind those on which exchanges run. */
static void session_pool_put_idle(struct session_pool *pool, struct session *session)
{
	if (pool->busy_count == 0)
		list_push_front(&pool->ready, &session->link);
	else
		list_push(&pool->ready, &session->link);
	session->idle = true;
	pool->idle_count++;
	if (pool->share)
		idle_share_add(pool->share, session);
}

/* Before those that are idle. */
static void session_pool_put_busy(struct session_pool *pool, struct session *session)
{
	list_push_front(&pool->ready, &session->link);
	pool->busy_count++;
}

static void session_pool_tell_room(struct session_pool *pool)
{
	if (pool->on_room)
		pool->on_room(pool);
}

static void session_on_ready(struct session *session)
{
	struct session_pool *pool = session->owner;

	if (session->running > 0) {
		if (list_empty(&session->link))
			session_pool_put_busy(pool, session);
		session_pool_tell_room(pool);
		return;
	}
	if (!list_empty(&session->link))
		session_pool_remove(pool, session);
	if (pool->idle_count >= pool->keep || pool->worker->draining) {
		session->ops->close(session);
		session_pool_left(pool);
		return;
	}
	session_pool_put_idle(pool, session);
	session_pool_tell_room(pool);
}

void session_pool_give_up(struct session_pool *pool, struct session *session)
{
	if (!list_empty(&session->link))
		session_pool_remove(pool, session);
	session_pool_left(pool);
}

static void session_on_gone(struct session *session)
{
	session_pool_give_up(session->owner, session);
}

const struct session_owner_ops session_pool_owner_ops = {
	.on_ready = session_on_ready,
	.on_gone = session_on_gone,
};

void session_pool_init(struct session_pool *pool, struct worker *worker, uint32_t keep,
		       session_pool_empty_fn *on_empty)
{
	*pool = (struct session_pool){.worker = worker, .keep = keep, .on_empty = on_empty};
	list_init(&pool->ready);
}

void session_pool_drain(struct session_pool *pool)
{
	for (uint32_t left = pool->idle_count; left > 0; left--)
		session_discard(CONTAINER_OF(pool->ready.prev, struct session, link));
}

bool session_pool_close_idle(struct session_pool *pool)
{
	if (pool->idle_count == 0)
		return false;
	session_discard(CONTAINER_OF(pool->ready.prev, struct session, link));
	return true;
}

void session_pool_fini(struct session_pool *pool)
{
	pool->on_empty = NULL;
	session_pool_drain(pool);
}

/* With one more exchange. */
static void session_pool_use(struct session_pool *pool, struct session *session)
{
	if (!session->idle && session->running + 1 < session->most)
		return;
	session_pool_remove(pool, session);
	if (session->running + 1 < session->most)
		session_pool_put_busy(pool, session);
}

struct session *session_pool_take(struct session_pool *pool)
{
	while (!list_empty(&pool->ready)) {
		struct session *session = CONTAINER_OF(pool->ready.next, struct session, link);
		if (session->running < session->most) {
			session_pool_use(pool, session);
			return session;
		}
		/* The server allows fewer than it did. */
		session_pool_remove(pool, session);
		if (session->running == 0) {
			session_discard(session);
			break; /* the pool may be gone */
		}
	}
	return NULL;
}

void session_pool_add(struct session_pool *pool, struct session *session)
{
	list_init(&session->link);
	list_init(&session->rest);
	session->idle = false;
	pool->open++;
}

void session_pool_offer(struct session_pool *pool, struct session *session)
{
	session_pool_put_idle(pool, session);
}

bool session_pool_take_this(struct session_pool *pool, struct session *session)
{
	if (list_empty(&session->link) || session->running >= session->most)
		return false;
	session_pool_use(pool, session);
	return true;
}

void session_pool_settle(struct session_pool *pool, struct session *session)
{
	if (!session->idle || list_empty(&session->link))
		return;
	if (pool->idle_count > pool->keep || pool->worker->draining)
		session_discard(session);
	else
		session_pool_tell_room(pool);
}
