/*
 * Handshakes in progress: their time, how many there are, and telling the connection's owner. On the connection's worker.
 *
 * A handshake is part of receiving (transport.c); its end is told by a task, so that no owner is called in the middle of a receive.
 */
#include "tls/tls_internal.h"

static void run_retire(struct loop_task *task)
{
	struct tls_handshake *handshake = CONTAINER_OF(task, struct tls_handshake, retire);

	memory_give(handshake->memory, TLS_HANDSHAKE_BYTES);
	memory_free(handshake->memory, handshake, sizeof(*handshake));
}

static void uncount(struct tls_handshake *handshake)
{
	if (!handshake->counted)
		return;
	handshake->counted = false;
	list_remove(&handshake->link);
	handshake->tls->room->handshake_count--;
}

void tls_handshake_drop(struct tls *tls)
{
	struct tls_handshake *handshake = tls->handshake;
	struct loop *loop = &tls->room->worker->loop;

	if (!handshake)
		return;
	tls->handshake = NULL;
	loop_timer_stop(loop, &handshake->timer);
	uncount(handshake);
	handshake->tls = NULL;
	loop_task_init(&handshake->retire, run_retire);
	loop_retire(loop, &handshake->retire);
}

/* Done, or pushed out by others. */
static void run_tell(struct loop_task *task)
{
	struct tls_handshake *handshake = CONTAINER_OF(task, struct tls_handshake, tell);
	struct tls *tls = handshake->tls;

	if (!tls || tls->conn->closed || tls->conn->failed)
		return;
	struct conn *conn = tls->conn;
	if (tls->state != TLS_SHAKEN) {
		conn_fail(conn, conn->transport->explain(conn, 0));
		return;
	}
	tls_set_state(tls, TLS_OPEN);
	conn->readable = conn->readable || handshake->readable;
	conn->pending = tls->stash != NULL;
	tls_handshake_drop(tls);
	conn_established(conn);
}

static void on_expire(struct timer *timer)
{
	struct tls_handshake *handshake = CONTAINER_OF(timer, struct tls_handshake, timer);
	struct tls *tls = handshake->tls;

	tls_broke(tls, tls->server ? ERROR_HANDSHAKE : ERROR_CONNECT_TIMEOUT, 0,
		  "the TLS handshake took too long");
	conn_fail(tls->conn, tls->conn->transport->explain(tls->conn, 0));
}

/* Those that have been at it for longest are the least likely to end well. */
static void make_room(struct tls_room *room)
{
	while (room->handshake_count > 0 && room->handshake_count >= room->handshakes_most) {
		struct tls_handshake *oldest = CONTAINER_OF(room->handshakes.next, struct tls_handshake, link);
		uncount(oldest);
		tls_broke(oldest->tls, ERROR_HANDSHAKE, 0, "too many TLS handshakes are in progress");
		loop_soon(&room->worker->loop, &oldest->tell);
	}
}

bool tls_handshake_start(struct conn *conn, SSL *ssl, void *side, bool server, struct span early,
			 uint64_t timeout_ms)
{
	struct worker *worker = conn->worker;
	struct tls_room *room = tls_room(worker);
	struct tls_handshake *handshake = memory_alloc(worker->memory, sizeof(*handshake));
	struct tls *tls = pool_get(&room->conns);

	const size_t needed = TLS_CONNECTION_BYTES + TLS_HANDSHAKE_BYTES;

	if (!handshake || !tls || !memory_take(worker->memory, needed))
		goto fail;
	*tls = (struct tls){.conn = conn, .room = room, .ssl = ssl, .side = side, .server = server};
	if (!tls_stash(tls, early)) {
		memory_give(worker->memory, needed);
		goto fail;
	}
	BIO_up_ref(room->bio);
	SSL_set_bio(ssl, room->bio, room->bio);
	*handshake = (struct tls_handshake){.tls = tls, .memory = worker->memory};
	timer_init(&handshake->timer, on_expire);
	loop_task_init(&handshake->tell, run_tell);
	if (server) {
		make_room(room);
		handshake->counted = true;
		list_push(&room->handshakes, &handshake->link);
		room->handshake_count++;
	}
	loop_timer_start(&worker->loop, &handshake->timer, timeout_ms);
	tls->handshake = handshake;
	conn->transport = &transport_tls;
	conn->transport_state = tls;
	conn->pending = !server || early.len > 0; /* a client begins */
	conn_read_start(conn);
	return true;
fail:
	if (handshake)
		memory_free(worker->memory, handshake, sizeof(*handshake));
	if (tls)
		pool_put(&room->conns, tls);
	return false;
}

void tls_handshake_step(struct tls *tls)
{
	struct conn *conn = tls->conn;
	int result = SSL_do_handshake(tls->ssl);

	if (result != 1) {
		if (SSL_get_error(tls->ssl, result) != SSL_ERROR_WANT_READ)
			tls_broke_ssl(tls);
		return;
	}
	if (tls->server ? !tls_server_done(tls) : !tls_client_done(tls)) {
		tls_broke(tls, ERROR_MEMORY, 0, NULL);
		return;
	}
	tls_set_state(tls, TLS_SHAKEN);
	uncount(tls->handshake);
	tls->handshake->readable = conn->readable;
	conn->readable = false; /* nothing is read before it is told */
	loop_soon(&conn->worker->loop, &tls->handshake->tell);
}
