/*
 * The transport of a bare socket: one system call each. Owns nothing; called by conn.c on the connection's worker.
 */
#include "net/conn.h"

#include <errno.h>
#include <sys/socket.h>

static ssize_t socket_receive(struct conn *conn, void *into, size_t room)
{
	ssize_t got = recv(conn->source.fd, into, room, 0);

	/* Who is known to have ended has that to tell after the bytes. */
	if (got > 0 ? (size_t)got < room && !conn->hung_up : got == 0 || errno == EAGAIN)
		conn->readable = false;
	return got;
}

static ssize_t socket_send(struct conn *conn, const struct iovec *vectors, unsigned count)
{
	size_t offered = vectors->iov_len;
	ssize_t sent;

	if (count == 1) {
		sent = send(conn->source.fd, vectors->iov_base, offered, MSG_NOSIGNAL);
	} else {
		struct msghdr message = {.msg_iov = (struct iovec *)vectors, .msg_iovlen = count};
		for (unsigned i = 1; i < count; i++)
			offered += vectors[i].iov_len;
		sent = sendmsg(conn->source.fd, &message, MSG_NOSIGNAL);
	}
	if (sent < 0 ? errno == EAGAIN : (size_t)sent < offered)
		conn->writable = false; /* EPOLLOUT will come */
	return sent;
}

static int socket_shutdown(struct conn *conn)
{
	return shutdown(conn->source.fd, SHUT_WR);
}

static void socket_close(struct conn *conn)
{
}

const struct transport_ops transport_socket = {
	.receive = socket_receive,
	.send = socket_send,
	.shutdown = socket_shutdown,
	.close = socket_close,
};
