/*
 * UDP sockets: received from and sent to by batches. Whoever opens one owns it; the room for what is received belongs to the worker, and is there
 * while any socket is open.
 */
#include "net/datagram.h"

#include "net/way.h"

#include <errno.h>
#include <unistd.h>

enum { ERROR_REST_MS = 10 };

/* WORKER_SLOT_DATAGRAM. Only what is written to is real memory: small datagrams touch a page or two each. */
struct datagram_room {
	struct worker *worker;
	unsigned open; /* sockets */
	struct loop_task retire;
	struct mmsghdr headers[DATAGRAM_BATCH];
	struct iovec vectors[DATAGRAM_BATCH];
	union socket_address peers[DATAGRAM_BATCH];
	uint8_t bytes[DATAGRAM_BATCH][DATAGRAM_HEADROOM + DATAGRAM_MOST + 1];
};

static struct datagram_room *datagram_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_DATAGRAM];
}

/* When nobody has opened another one since the last was closed. */
static void room_on_retire(struct loop_task *task)
{
	struct datagram_room *room = CONTAINER_OF(task, struct datagram_room, retire);
	struct worker *worker = room->worker;

	if (room->open)
		return;
	worker->slots[WORKER_SLOT_DATAGRAM] = NULL;
	memory_free(worker->memory, room, sizeof(*room));
}

static struct datagram_room *room_new(struct worker *worker)
{
	struct datagram_room *room = memory_alloc(worker->memory, sizeof(*room));

	if (!room)
		return NULL;
	room->worker = worker;
	room->open = 0;
	loop_task_init(&room->retire, room_on_retire);
	memset(room->headers, 0, sizeof(room->headers));
	for (unsigned i = 0; i < DATAGRAM_BATCH; i++) {
		room->vectors[i].iov_base = room->bytes[i] + DATAGRAM_HEADROOM;
		room->vectors[i].iov_len = DATAGRAM_MOST;
		room->headers[i].msg_hdr.msg_iov = &room->vectors[i];
		room->headers[i].msg_hdr.msg_iovlen = 1;
		room->headers[i].msg_hdr.msg_name = &room->peers[i];
	}
	worker->slots[WORKER_SLOT_DATAGRAM] = room;
	return room;
}

/* ---- receiving ---- */

enum batch {
	BATCH_LAST,  /* nothing more is there, or the socket was closed */
	BATCH_FULL,  /* there may be more */
	BATCH_ERROR, /* what an ICMP message said of a datagram that was sent before (ECONNREFUSED and the like): not ours to act on */
};

static enum batch receive_batch(struct datagram_socket *socket)
{
	struct datagram_room *room = datagram_room(socket->worker);
	struct datagram datagrams[DATAGRAM_BATCH] UNINITIALISED;

	for (unsigned i = 0; i < DATAGRAM_BATCH; i++)
		room->headers[i].msg_hdr.msg_namelen = sizeof(room->peers[i]);
	int got = recvmmsg(socket->source.fd, room->headers, DATAGRAM_BATCH, MSG_DONTWAIT, NULL);
	if (got < 0)
		return errno == EAGAIN ? BATCH_LAST : BATCH_ERROR;
	for (int i = 0; i < got; i++)
		datagrams[i] = (struct datagram){
			.at = room->bytes[i] + DATAGRAM_HEADROOM,
			.len = room->headers[i].msg_len,
			.peer = address_from_socket(&room->peers[i], room->headers[i].msg_hdr.msg_namelen),
		};
	socket->on_receive(socket, datagrams, (unsigned)got);
	/* Fewer than could be: the queue was empty, and the next one is told by another edge. */
	return got == DATAGRAM_BATCH && datagram_is_open(socket) ? BATCH_FULL : BATCH_LAST;
}

static void receive(struct datagram_socket *socket)
{
	enum batch batch = BATCH_LAST;

	for (unsigned i = 0; i < DATAGRAMS_AT_A_TIME / DATAGRAM_BATCH; i++) {
		batch = receive_batch(socket);
		if (batch == BATCH_LAST)
			return;
	}
	/* No other edge tells of what waits already. An error that does not go away must not keep the worker busy. */
	loop_timer_start(&socket->worker->loop, &socket->again, batch == BATCH_FULL ? 0 : ERROR_REST_MS);
}

static void datagram_on_event(struct loop_source *source, uint32_t events)
{
	struct datagram_socket *socket = CONTAINER_OF(source, struct datagram_socket, source);

	/* What is left of the last turn has its timer. */
	if (!timer_active(&socket->again))
		receive(socket);
}

static void datagram_on_again(struct timer *timer)
{
	receive(CONTAINER_OF(timer, struct datagram_socket, again));
}

/* ---- opening and closing ---- */

void datagram_socket_init(struct datagram_socket *socket)
{
	*socket = (struct datagram_socket){.source = {.fd = -1, .on_event = datagram_on_event}};
	timer_init(&socket->again, datagram_on_again);
}

bool datagram_open(struct datagram_socket *socket, struct worker *worker, int fd, datagram_fn *on_receive)
{
	struct datagram_room *room = datagram_room(worker);

	if (!room)
		room = room_new(worker);
	if (!room)
		return false;
	datagram_socket_init(socket);
	socket->source.fd = fd;
	socket->worker = worker;
	socket->on_receive = on_receive;
	if (!loop_add(&worker->loop, &socket->source, EPOLLIN)) {
		socket->source.fd = -1;
		if (!room->open)
			loop_retire(&worker->loop, &room->retire);
		return false;
	}
	room->open++;
	return true;
}

void datagram_close(struct datagram_socket *socket)
{
	if (!datagram_is_open(socket))
		return;
	struct worker *worker = socket->worker;
	struct datagram_room *room = datagram_room(worker);

	loop_timer_stop(&worker->loop, &socket->again);
	close(loop_forget(&worker->loop, &socket->source));
	if (--room->open == 0)
		loop_retire(&worker->loop, &room->retire);
}

int datagram_bind(struct address *local)
{
	union socket_address raw;
	socklen_t len = address_to_socket(local, &raw);
	int fd = way_socket(NULL, (enum address_family)local->family, SOCK_DGRAM);

	if (fd < 0)
		return -1;
	if (bind(fd, &raw.any, len) == 0) {
		len = sizeof(raw);
		if (getsockname(fd, &raw.any, &len) == 0) {
			local->port = address_from_socket(&raw, len).port;
			return fd;
		}
	}
	int number = errno;
	close(fd);
	errno = number;
	return -1;
}

bool datagram_connect(struct datagram_socket *socket, const struct address *peer)
{
	union socket_address raw;
	socklen_t len = address_to_socket(peer, &raw);

	return connect(socket->source.fd, &raw.any, len) == 0;
}

/* ---- sending ---- */

unsigned datagram_send(struct datagram_socket *socket, const struct datagram *datagrams, unsigned count)
{
	struct mmsghdr headers[DATAGRAM_BATCH] UNINITIALISED;
	struct iovec vectors[DATAGRAM_BATCH] UNINITIALISED;
	union socket_address peers[DATAGRAM_BATCH] UNINITIALISED;
	unsigned taken = 0;

	ENSURE(count <= DATAGRAM_BATCH);
	for (unsigned i = 0; i < count; i++) {
		bool connected = datagrams[i].peer.family == ADDRESS_NONE;
		vectors[i] = (struct iovec){.iov_base = datagrams[i].at, .iov_len = datagrams[i].len};
		headers[i].msg_hdr = (struct msghdr){
			.msg_name = connected ? NULL : &peers[i],
			.msg_namelen = connected ? 0 : address_to_socket(&datagrams[i].peer, &peers[i]),
			.msg_iov = &vectors[i],
			.msg_iovlen = 1,
		};
	}
	for (unsigned at = 0; at < count && datagram_is_open(socket);) {
		int sent = sendmmsg(socket->source.fd, headers + at, count - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
			break; /* there is no room: none of the others has any */
		/* One that cannot go (too long, no route, an ICMP message of before) stops none behind it. */
		at += sent > 0 ? (unsigned)sent : 1;
		taken += sent > 0 ? (unsigned)sent : 0;
	}
	return taken;
}
