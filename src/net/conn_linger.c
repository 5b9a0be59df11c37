/*
 * Leaving in good order (RFC 9112 9.6): what is queued, then FIN, then the peer's rest is read and dropped for a while, so that no
 * reset can overtake the last response. The connection belongs to this file from conn_linger on. On the connection's worker.
 */
#include "net/conn.h"

#include "net/room_internal.h"

enum {
	LINGER_MS = 2000,          /* from our FIN on */
	LINGER_STALLED_MS = 30000, /* while the peer takes nothing of what is queued */
	LINGER_BYTES = 256 * 1024,
	LINGERING_MOST = 512, /* of a worker: they count against no limit of connections any more */
};

struct lingering {
	struct link link; /* in net_room */
	struct conn *conn;
	struct timer timer;
	struct loop_task retire;
	size_t dropped;
};

static void run_retire(struct loop_task *task)
{
	struct lingering *lingering = CONTAINER_OF(task, struct lingering, retire);

	memory_free(lingering->conn->worker->memory, lingering, sizeof(*lingering));
}

static void leave(struct lingering *lingering)
{
	struct conn *conn = lingering->conn;
	struct loop *loop = &conn->worker->loop;

	loop_timer_stop(loop, &lingering->timer);
	list_remove(&lingering->link);
	net_room(conn->worker)->lingering_count--;
	loop_retire(loop, &lingering->retire); /* before the connection, which it looks at */
	conn_close(conn);
}

static void on_expire(struct timer *timer)
{
	leave(CONTAINER_OF(timer, struct lingering, timer));
}

static void on_read(struct conn *conn, struct block *lent, struct span bytes)
{
	struct lingering *lingering = conn->owner;

	lingering->dropped += bytes.len;
	if (lingering->dropped >= LINGER_BYTES)
		leave(lingering);
}

static void on_end(struct conn *conn)
{
	if (conn_unsent(conn) == 0)
		leave(conn->owner);
}

static void on_sent(struct conn *conn, size_t bytes)
{
	struct lingering *lingering = conn->owner;

	if (conn_unsent(conn) > 0)
		loop_timer_start(&conn->worker->loop, &lingering->timer, LINGER_STALLED_MS);
	else if (conn->end_told)
		leave(lingering);
	else
		loop_timer_start(&conn->worker->loop, &lingering->timer, LINGER_MS);
}

static void on_fail(struct conn *conn, const struct error *error)
{
	leave(conn->owner);
}

static const struct conn_ops linger_ops = {
	.on_read = on_read,
	.on_end = on_end,
	.on_sent = on_sent,
	.on_fail = on_fail,
};

void conn_linger(struct conn *conn)
{
	struct worker *worker = conn->worker;
	struct net_room *room = net_room(worker);

	if (conn->closed)
		return;
	if (conn->failed || conn->broken || conn->connecting || (conn->end_told && conn_unsent(conn) == 0)) {
		conn_close(conn);
		return;
	}
	struct lingering *lingering = memory_alloc(worker->memory, sizeof(*lingering));
	if (!lingering) {
		conn_close(conn);
		return;
	}
	*lingering = (struct lingering){.conn = conn};
	timer_init(&lingering->timer, on_expire);
	loop_task_init(&lingering->retire, run_retire);
	if (room->lingering_count >= LINGERING_MOST)
		leave(CONTAINER_OF(room->lingering.next, struct lingering, link));
	list_push(&room->lingering, &lingering->link);
	room->lingering_count++;
	conn_adopt(conn, &linger_ops, lingering);
	conn_finish(conn);
	loop_timer_start(&worker->loop, &lingering->timer,
			 conn_unsent(conn) > 0 ? LINGER_STALLED_MS : LINGER_MS);
	conn_read_start(conn);
}

void conn_room_fini(struct worker *worker)
{
	struct net_room *room = net_room(worker);

	while (!list_empty(&room->lingering))
		leave(CONTAINER_OF(room->lingering.next, struct lingering, link));
	net_pipes_fini(room);
	pool_fini(&room->conns);
	memory_free(worker->memory, room, sizeof(*room));
	worker->slots[WORKER_SLOT_NET] = NULL;
}
