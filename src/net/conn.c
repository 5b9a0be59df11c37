/*
 * Connections on the event loop: edges to callbacks, queues to sends. Owns every struct conn of its worker; called by protocol
 * code on that worker.
 *
 * System calls are what counts here. A descriptor is registered once for all events, edge-triggered. A receive that does not fill its
 * block has drained the socket, so none follows it, unless the peer is known to have ended. What is queued in a turn
 * leaves at its end in one send.
 */
#include "net/conn.h"

#include "net/room_internal.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	RECEIVES_A_TURN = 4, /* then others have their turn */
	RECEIVE_A_TURN = 256 * 1024,
	FULL_READS_FOR_BULK = 3,
	SEND_VECTORS = 64,
	KEEP_CONNS = 1024,
};

/* 256 bytes is what an idle connection may cost here. */
_Static_assert(sizeof(struct conn) <= 256, "struct conn has grown");

static void no_read(struct conn *conn, struct block *lent, struct span bytes)
{
}

static void no_fail(struct conn *conn, const struct error *error)
{
}

/* A connection that nobody listens to: closed, or just made by dial. */
static const struct conn_ops nobody = {
	.on_read = no_read,
	.on_fail = no_fail,
};

void conn_fail(struct conn *conn, struct error error)
{
	if (conn->failed || conn->closed)
		return;
	conn->failed = true;
	chunk_queue_clear(&conn->worker->buffers, &conn->unsent);
	conn->ops->on_fail(conn, &error);
}

static void fail_errno(struct conn *conn, int number)
{
	conn_fail(conn, conn->transport->explain ? conn->transport->explain(conn, number) :
						   error_system(ERROR_UPSTREAM_RESET, number));
}

static int socket_error(const struct conn *conn)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return getsockopt(conn->source.fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

/* --- reading --- */

static struct block *lend(struct conn *conn)
{
	struct worker *worker = conn->worker;

	/* A large block that is filled by half wastes the other half for as long as its bytes wait. */
	if (conn->bulk && (conn->room == 0 || conn->room >= BLOCK_LARGE)) {
		struct block *block = block_new(&worker->buffers, BLOCK_LARGE - BLOCK_HEADER);
		if (block)
			return block;
		conn->bulk = false;
	}
	if (!worker->receive)
		worker->receive = block_new(&worker->buffers, BLOCK_MEDIUM - BLOCK_HEADER);
	return worker->receive;
}

/*
 * A block of which the callee kept a part is its own now; the worker gets a fresh one when it needs it. In one that it keeps, the next connection finds nothing of
 * this one.
 */
static void take_back(struct worker *worker, struct block *block)
{
	if (block == worker->receive) {
		if (block->references == 1) {
			block_wipe(block);
			return;
		}
		worker->receive = NULL;
	}
	block_release(&worker->buffers, block);
}

/* Long flows are received in larger pieces, as long as there is memory to spare. */
static void judge_bulk(struct conn *conn, size_t got, size_t room)
{
	if (got == room || conn->pending) {
		if (conn->full_reads < FULL_READS_FOR_BULK)
			conn->full_reads++;
		else if (!conn->bulk)
			conn->bulk = memory_pressure(conn->worker->memory) == MEMORY_EASY;
		return;
	}
	conn->full_reads = 0;
	if (got < BLOCK_MEDIUM)
		conn->bulk = false;
}

static void tell_end(struct conn *conn)
{
	if (!conn->end_seen || conn->end_told || !conn->reading || conn->failed)
		return;
	conn->end_told = true;
	if (conn->broken) /* a send failed: what looks like a FIN is the rest of that */
		fail_errno(conn, conn->broken);
	else if (conn->ops->on_end)
		conn->ops->on_end(conn);
}

/* The receive brought no bytes: end, nothing there now, or an error. */
static void received_nothing(struct conn *conn, ssize_t got)
{
	if (got == 0) {
		conn->end_seen = true;
		tell_end(conn);
	} else if (errno == EAGAIN) {
		/* A transport may have used up bytes that were nothing for the reader: what follows them is. */
		if (conn->broken && !conn->readable && !conn->pending)
			fail_errno(conn, conn->broken);
	} else {
		fail_errno(conn, conn->broken ? conn->broken : errno);
	}
}

/* One receive. The bytes it brought, 0 when there is nothing more to do now. */
static size_t receive_once(struct conn *conn)
{
	struct worker *worker = conn->worker;
	struct block *block = lend(conn);

	if (!block) {
		conn_fail(conn, error_make(ERROR_MEMORY, NULL));
		return 0;
	}
	size_t room = conn->room ? size_min(conn->room, block->capacity) : block->capacity;
	ssize_t got;
	do
		got = conn->transport->receive(conn, block->bytes, room);
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		take_back(worker, block);
		received_nothing(conn, got);
		return 0;
	}
	conn->bytes_in += (uint64_t)got;
	judge_bulk(conn, (size_t)got, room);
	block->used = (uint32_t)got;
	conn->ops->on_read(conn, block, span_make(block->bytes, (size_t)got));
	take_back(worker, block);
	return (size_t)got;
}

static bool may_read(const struct conn *conn)
{
	return conn->reading && (conn->readable || conn->pending) && !conn->connecting && !conn->closed &&
	       !conn->failed && !conn->end_seen;
}

static void read_on(struct conn *conn)
{
	size_t total = 0;

	for (unsigned i = 0; i < RECEIVES_A_TURN && total < RECEIVE_A_TURN; i++) {
		if (!may_read(conn))
			return;
		total += receive_once(conn);
	}
	if (may_read(conn))
		loop_soon(&conn->worker->loop, &conn->again);
}

/*
 * The socket broke while nobody reads. Bytes that came before the reset are worth more than the news of it: then it is told
 * when they have been read.
 */
static void broke_unread(struct conn *conn)
{
	int unread = 0;

	if (!conn->end_seen && (conn->pending || (ioctl(conn->source.fd, FIONREAD, &unread) == 0 && unread > 0)))
		return;
	int error = socket_error(conn);
	if (error)
		fail_errno(conn, error);
}

/* --- writing --- */

static void finish_sending(struct conn *conn)
{
	if (!conn->shutdown_wanted || conn->shutdown_done || conn_unsent(conn) > 0 || conn->failed)
		return;
	/* Fails otherwise only when the peer is gone, which an event tells. */
	conn->shutdown_done = conn->transport->shutdown(conn) == 0 || errno != EAGAIN;
}

/* What was received before the failure is handed on first, if somebody reads: an early response, most of all. */
static void send_failed(struct conn *conn, int number)
{
	conn->broken = number > 0 && number <= UINT8_MAX ? (uint8_t)number : EIO;
	chunk_queue_clear(&conn->worker->buffers, &conn->unsent);
	if (!conn->reading || conn->end_seen) {
		fail_errno(conn, number);
		return;
	}
	conn->readable = conn->hung_up = true;
	loop_soon(&conn->worker->loop, &conn->again);
}

/* Sends what the kernel takes; how many bytes that was. *error is an errno when it broke. No callbacks. */
static size_t send_queue(struct conn *conn, int *error)
{
	size_t total = 0;

	*error = 0;
	while (conn_unsent(conn) > 0 && conn->writable) {
		struct iovec vectors[SEND_VECTORS] UNINITIALISED;
		unsigned count = chunk_queue_vectors(&conn->unsent, vectors, SEND_VECTORS);
		ssize_t sent = conn->transport->send(conn, vectors, count);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) {
			*error = errno == EAGAIN ? 0 : errno;
			break;
		}
		if (sent > 0) {
			chunk_queue_consume(&conn->worker->buffers, &conn->unsent, (size_t)sent);
			total += (size_t)sent;
		}
	}
	conn->bytes_out += total;
	return total;
}

static void run_flush(struct loop_task *task)
{
	struct conn *conn = CONTAINER_OF(task, struct conn, flush);
	uint32_t held = conn->held;
	int error;

	if (conn->closed || conn->failed || conn->connecting)
		return;
	size_t sent = send_queue(conn, &error);
	if (error) {
		send_failed(conn, error);
		return;
	}
	finish_sending(conn);
	if ((sent > 0 || held != conn->held) && conn->ops->on_sent)
		conn->ops->on_sent(conn, sent);
}

static void flush_later(struct conn *conn)
{
	if (conn->connecting || conn->closed || conn->failed)
		return;
	if (conn_unsent(conn) > 0 ? conn->writable : conn->shutdown_wanted && !conn->shutdown_done)
		loop_last(&conn->worker->loop, &conn->flush);
}

/* --- connecting --- */

static struct error connect_error(int number)
{
	struct error error = error_system(ERROR_UNREACHABLE, number);

	switch (number) {
	case ECONNREFUSED:
	case ECONNRESET:
	case ENOENT: /* unix: no such socket */
	case EAGAIN: /* unix: its queue is full */
		error.code = ERROR_CONNECT_REFUSED;
		break;
	case ETIMEDOUT:
		error.code = ERROR_CONNECT_TIMEOUT;
		break;
	case EMFILE:
	case ENFILE:
		error.code = ERROR_OVERLOADED;
		error.text = "no descriptor left";
		break;
	case ENOMEM:
	case ENOBUFS:
		error.code = ERROR_MEMORY;
		break;
	case EADDRNOTAVAIL:
		error.text = "no local address or port is free for the server";
		break;
	default:
		break;
	}
	error.unprocessed = true;
	return error;
}

void conn_established(struct conn *conn)
{
	flush_later(conn);
	if (conn->ops->on_connect)
		conn->ops->on_connect(conn);
	if (may_read(conn))
		loop_soon(&conn->worker->loop, &conn->again);
}

static void connect_ended(struct conn *conn, int error)
{
	if (error) {
		conn_fail(conn, connect_error(error));
		return;
	}
	conn->connecting = false;
	conn->writable = true;
	conn_established(conn);
}

/* --- events --- */

void net_conn_on_event(struct loop_source *source, uint32_t events)
{
	struct conn *conn = CONTAINER_OF(source, struct conn, source);
	const uint32_t gone = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

	if (conn->failed)
		return;
	if (events & gone)
		conn->hung_up = true;
	if (events & (EPOLLIN | gone))
		conn->readable = true;
	if (conn->connecting) {
		/* A connect that ended at once is told by run_again, before any event. */
		if (!loop_task_queued(&conn->again) && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			connect_ended(conn, events & (EPOLLERR | EPOLLHUP) ? socket_error(conn) : 0);
		return;
	}
	if ((events & EPOLLOUT) && !conn->writable) {
		conn->writable = true;
		flush_later(conn);
	}
	if (may_read(conn))
		read_on(conn);
	else if (events & EPOLLERR)
		broke_unread(conn);
}

static void run_again(struct loop_task *task)
{
	struct conn *conn = CONTAINER_OF(task, struct conn, again);

	if (conn->closed || conn->failed)
		return;
	if (conn->connecting)
		connect_ended(conn, conn->broken);
	else if (conn->broken && !conn->reading)
		fail_errno(conn, conn->broken);
	else if (conn->end_seen)
		tell_end(conn);
	else
		read_on(conn);
}

/* --- life --- */

static void run_retire(struct loop_task *task)
{
	struct conn *conn = CONTAINER_OF(task, struct conn, retire);
	struct net_room *room = net_room(conn->worker);

	if (room)
		pool_put(&room->conns, conn);
	else /* the room went in the same turn */
		memory_free(conn->worker->memory, conn, sizeof(*conn));
}

bool conn_room_init(struct worker *worker)
{
	struct net_room *room = memory_alloc(worker->memory, sizeof(*room));

	if (!room)
		return false;
	*room = (struct net_room){0};
	pool_init(&room->conns, worker->memory, sizeof(struct conn), KEEP_CONNS);
	list_init(&room->lingering);
	worker->slots[WORKER_SLOT_NET] = room;
	return true;
}

size_t conn_count(const struct worker *worker)
{
	return net_room(worker)->open;
}

static struct conn *conn_new(struct worker *worker, int fd, const struct address *peer,
			     const struct conn_ops *ops, void *owner)
{
	struct net_room *room = net_room(worker);
	struct conn *conn = pool_get(&room->conns);

	if (!conn)
		return NULL;
	*conn = (struct conn){
		.source = {.fd = fd, .on_event = net_conn_on_event},
		.worker = worker,
		.ops = ops ? ops : &nobody,
		.owner = owner,
		.transport = &transport_socket,
		.peer = *peer,
	};
	loop_task_init(&conn->again, run_again);
	loop_task_init(&conn->flush, run_flush);
	loop_task_init(&conn->retire, run_retire);
	if (!loop_add(&worker->loop, &conn->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP)) {
		pool_put(&room->conns, conn);
		return NULL;
	}
	room->open++;
	return conn;
}

struct conn *conn_open(struct worker *worker, int fd, const struct address *peer, const struct conn_ops *ops,
		       void *owner)
{
	struct conn *conn = conn_new(worker, fd, peer, ops, owner);

	if (conn)
		conn->writable = true;
	return conn;
}

struct conn *conn_connect(struct worker *worker, const struct address *to, const struct net_way *way,
			  const struct conn_ops *ops, void *owner, struct error *error)
{
	union socket_address raw;
	socklen_t len = address_to_socket(to, &raw);
	int on = 1, result = 0;

	if (len == 0) {
		*error = connect_error(EINVAL);
		return NULL;
	}
	int fd = way_socket(way, (enum address_family)to->family, SOCK_STREAM);
	if (fd < 0) {
		int number = errno;
		*error = way_error(way, number);
		if (!error_is(error))
			*error = connect_error(number);
		return NULL;
	}
	if (to->family != ADDRESS_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, &raw.any, len) < 0)
		result = errno;
	struct conn *conn = conn_new(worker, fd, to, ops, owner);
	if (!conn) {
		*error = connect_error(ENOMEM);
		close(fd);
		return NULL;
	}
	conn->connecting = true;
	if (result != EINPROGRESS && result != EINTR) {
		conn->broken = (uint8_t)result;
		loop_soon(&worker->loop, &conn->again);
	}
	return conn;
}

void conn_adopt(struct conn *conn, const struct conn_ops *ops, void *owner)
{
	conn->ops = ops ? ops : &nobody;
	conn->owner = owner;
}

void conn_read_start(struct conn *conn)
{
	if (conn->reading || conn->closed)
		return;
	conn->reading = true;
	if (!conn->connecting && (conn->readable || conn->pending || (conn->end_seen && !conn->end_told)))
		loop_soon(&conn->worker->loop, &conn->again);
}

void conn_read_stop(struct conn *conn)
{
	conn->reading = false;
	if (conn->broken && !conn->connecting && !conn->failed && !conn->closed)
		loop_soon(&conn->worker->loop, &conn->again); /* nobody reads what came before it: told now */
}

void conn_write(struct conn *conn, struct chunk_queue *queue)
{
	if (conn->closed || conn->failed || conn->broken || conn->shutdown_wanted) {
		chunk_queue_clear(&conn->worker->buffers, queue);
		return;
	}
	chunk_queue_move_all(&conn->unsent, queue);
	flush_later(conn);
}

void conn_finish(struct conn *conn)
{
	if (conn->shutdown_wanted)
		return;
	conn->shutdown_wanted = true;
	flush_later(conn);
}

static void close_now(struct conn *conn)
{
	struct worker *worker = conn->worker;

	conn->closed = true;
	conn->reading = false;
	conn->transport->close(conn); /* which looks whether something is unsent */
	chunk_queue_clear(&worker->buffers, &conn->unsent);
	close(loop_forget(&worker->loop, &conn->source));
	conn->ops = &nobody;
	net_room(worker)->open--;
	if (conn->watch)
		conn->watch->on_closed(conn->watch, conn);
	loop_retire(&worker->loop, &conn->retire);
}

void conn_close(struct conn *conn)
{
	int error;

	if (conn->closed)
		return;
	if (!conn->failed && !conn->connecting)
		(void)send_queue(conn, &error);
	close_now(conn);
}

void conn_reset(struct conn *conn)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	if (conn->closed)
		return;
	(void)setsockopt(conn->source.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	conn->broken = ECONNRESET;
	close_now(conn);
}

bool conn_is_plain(const struct conn *conn)
{
	return conn->transport == &transport_socket && conn->unsent.bytes == 0 && !conn->connecting &&
	       !conn->failed && !conn->closed && !conn->broken;
}
