/*
 * Blocking connections with deadlines. See wire.h. The connection's thread.
 */
#include "audit/wire_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	ROOM_FIRST = 16 * 1024,
	ROOM_MOST = 1024 * 1024,
	LATE_MS = 200, /* for what is there already when the deadline comes */
};

void wire_init(struct wire *wire)
{
	*wire = (struct wire){.fd = -1};
}

void wire_close(struct wire *wire)
{
	tls_blocking_close(wire->tls);
	wire->tls = NULL;
	if (wire->fd >= 0)
		close(wire->fd);
	wire->fd = -1;
	free(wire->bytes);
	wire->bytes = NULL;
	wire->at = wire->len = wire->room = 0;
}

bool wire_fail(struct wire *wire, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(wire->why, sizeof(wire->why), format, arguments);
	va_end(arguments);
	return false;
}

static bool fail_system(struct wire *wire, const char *what)
{
	if (errno == ETIMEDOUT)
		return wire_fail(wire, "%s: nothing came in time", what);
	return wire_fail(wire, "%s: %s", what, strerror(errno));
}

/* ---- opening ---- */

static bool make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* False: errno tells. */
static bool connect_to(int fd, const struct address *to, uint64_t deadline)
{
	union socket_address raw;
	socklen_t len = address_to_socket(to, &raw), size = sizeof(int);
	int error = 0;

	if (len == 0) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (connect(fd, &raw.any, len) == 0)
		return true;
	if (errno != EINPROGRESS || !deadline_wait(fd, POLLOUT, deadline) ||
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		return false;
	errno = error;
	return error == 0;
}

bool wire_open(struct wire *wire, const struct address *to, const struct address *from, uint64_t deadline)
{
	union socket_address raw;
	socklen_t len = address_to_socket(to, &raw);
	char text[ADDRESS_TEXT];

	wire_close(wire);
	wire->ended = false;
	wire->fd = len ? socket(raw.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	if (wire->fd < 0)
		return fail_system(wire, "socket");
	(void)setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (from && from->family != ADDRESS_NONE) {
		len = address_to_socket(from, &raw);
		if (len == 0 || bind(wire->fd, &raw.any, len) != 0) {
			fail_system(wire, "cannot take the client's address");
			goto fail;
		}
	}
	if (connect_to(wire->fd, to, deadline))
		return true;
	int error = errno;
	wire_fail(wire, "cannot connect to %.*s: %s", (int)address_format(to, text), text, strerror(error));
fail:
	wire_close(wire);
	return false;
}

void wire_adopt(struct wire *wire, int fd, struct tls_blocking *tls)
{
	wire_init(wire);
	wire->fd = fd;
	wire->tls = tls;
	(void)make_nonblocking(fd);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

bool wire_tls(struct wire *wire, const struct tls_blocking_client *options, uint64_t deadline)
{
	const char *why = NULL;

	if (wire->len > wire->at)
		return wire_fail(wire, "bytes came before the TLS handshake");
	wire->tls = tls_blocking_connect(wire->fd, options, deadline, &why);
	return wire->tls ? true : wire_fail(wire, "the TLS handshake failed: %s", why);
}

struct address wire_local(const struct wire *wire)
{
	union socket_address raw;
	socklen_t len = sizeof(raw);

	if (wire->fd < 0 || getsockname(wire->fd, &raw.any, &len) != 0)
		return (struct address){.family = ADDRESS_NONE};
	return address_from_socket(&raw, len);
}

/* ---- bytes ---- */

bool wire_send(struct wire *wire, struct span bytes, uint64_t deadline)
{
	if (wire->fd < 0)
		return wire_fail(wire, "the connection is not open");
	if (wire->tls)
		return tls_blocking_write(wire->tls, bytes, deadline) ? true : fail_system(wire, "send");
	while (bytes.len > 0) {
		ssize_t sent = send(wire->fd, bytes.at, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent > 0) {
			bytes = span_from(bytes, (size_t)sent);
			continue;
		}
		if (sent < 0 && errno != EINTR &&
		    (errno != EAGAIN || !deadline_wait(wire->fd, POLLOUT, deadline)))
			return fail_system(wire, "send");
	}
	return true;
}

void wire_finish(struct wire *wire)
{
	if (wire->fd >= 0 && !wire->tls)
		(void)shutdown(wire->fd, SHUT_WR);
}

static bool make_room(struct wire *wire)
{
	if (wire->at == wire->len)
		wire->at = wire->len = 0;
	if (wire->len < wire->room)
		return true;
	if (wire->at > 0) {
		memmove(wire->bytes, wire->bytes + wire->at, wire->len - wire->at);
		wire->len -= wire->at;
		wire->at = 0;
		return true;
	}
	size_t room = wire->room ? wire->room * 2 : ROOM_FIRST;
	uint8_t *bytes = room <= ROOM_MOST ? realloc(wire->bytes, room) : NULL;
	if (!bytes)
		return wire_fail(wire, "too much came");
	wire->bytes = bytes;
	wire->room = room;
	return true;
}

static ssize_t receive_plain(struct wire *wire, uint64_t deadline)
{
	for (;;) {
		ssize_t got = recv(wire->fd, wire->bytes + wire->len, wire->room - wire->len, MSG_DONTWAIT);

		if (got >= 0)
			return got;
		if (errno != EINTR && (errno != EAGAIN || !deadline_wait(wire->fd, POLLIN, deadline)))
			return -1;
	}
}

bool wire_receive(struct wire *wire, uint64_t deadline)
{
	ssize_t got;

	if (wire->fd < 0 || wire->ended)
		return wire_fail(wire, "the connection was closed");
	/* Who always has one more byte would never be waited for. */
	if (deadline_now() > deadline + LATE_MS)
		return wire_fail(wire, "receive: no end came in time");
	if (!make_room(wire))
		return false;
	got = wire->tls ?
		      tls_blocking_read(wire->tls, wire->bytes + wire->len, wire->room - wire->len, deadline) :
		      receive_plain(wire, deadline);
	if (got > 0) {
		wire->len += (size_t)got;
		return true;
	}
	if (got < 0 && errno == ETIMEDOUT)
		return fail_system(wire, "receive");
	wire->ended = true;
	return got == 0 ? wire_fail(wire, "the connection was closed") : fail_system(wire, "receive");
}

void wire_take(struct wire *wire, size_t len)
{
	ENSURE(len <= wire->len - wire->at);
	wire->at += len;
}

bool wire_need(struct wire *wire, size_t len, uint64_t deadline)
{
	while (wire->len - wire->at < len)
		if (!wire_receive(wire, deadline))
			return false;
	return true;
}
