/*
 * The transport of a bare socket: one system call each. Owns nothing; called by conn.c on the connection's worker.
 */
#include "net/conn.h"

#include <sys/socket.h>

static ssize_t socket_receive(struct conn *conn, void *into, size_t room)
{
	return recv(conn->source.fd, into, room, 0);
}

static ssize_t socket_send(struct conn *conn, const struct iovec *vectors, unsigned count)
{
	if (count == 1)
		return send(conn->source.fd, vectors->iov_base, vectors->iov_len, MSG_NOSIGNAL);
	struct msghdr message = {.msg_iov = (struct iovec *)vectors, .msg_iovlen = count};
	return sendmsg(conn->source.fd, &message, MSG_NOSIGNAL);
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
