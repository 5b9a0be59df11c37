/*
 * UDP sockets on a worker's loop. Nothing is queued on this side of the kernel: what it does not take at once is lost, as datagrams are, and whoever
 * sends is told how many went. Some are received, and sent, by one system call.
 *
 * All on the socket's worker.
 */
#ifndef GUISE_NET_DATAGRAM_H
#define GUISE_NET_DATAGRAM_H

#include "core/worker.h"
#include "net/address.h"

enum {
	DATAGRAM_BATCH = 8,     /* received, or sent, at once */
	DATAGRAM_MOST = 65535,  /* bytes of one; IP allows a little less */
	DATAGRAM_HEADROOM = 32, /* bytes before a received one that its receiver may write to */
	DATAGRAMS_AT_A_TIME = 8 * DATAGRAM_BATCH, /* received from one socket; then others have their turn */
};

struct datagram {
	uint8_t *at;
	size_t len;
	struct address peer; /* who sent it, or is to have it; family ADDRESS_NONE: whom the socket is connected to */
};

struct datagram_socket;

/*
 * At most DATAGRAM_BATCH have come. Bytes, and DATAGRAM_HEADROOM before them, are lent until it returns. datagram_close, of this socket and of others,
 * is legal.
 */
typedef void datagram_fn(struct datagram_socket *socket, struct datagram *datagrams, unsigned count);

/* Embedded in its owner; lives until the end of the turn in which it is closed. Zero, with datagram_socket_init: not open. */
struct datagram_socket {
	struct loop_source source;
	struct worker *worker;
	datagram_fn *on_receive;
	struct timer again; /* the rest of what waits */
};

void datagram_socket_init(struct datagram_socket *socket);

static inline bool datagram_is_open(const struct datagram_socket *socket)
{
	return socket->source.fd >= 0;
}

/* Takes over a non-blocking descriptor (way_socket) and receives from it. False: out of memory or epoll failed, and fd is still the caller's. */
WARN_UNUSED bool datagram_open(struct datagram_socket *socket, struct worker *worker, int fd,
			       datagram_fn *on_receive);
void datagram_close(struct datagram_socket *socket); /* harmless when it is not open */

/*
 * A descriptor for datagram_open, bound to the address *local (of IP; port 0: any free one), which gets the real port. -1: errno tells.
 */
WARN_UNUSED int datagram_bind(struct address *local);
/*
 * From now on the kernel itself keeps what comes from anybody but this peer away. False: it does not (errno), and everything is as it was.
 */
bool datagram_connect(struct datagram_socket *socket, const struct address *peer);

/*
 * Sends each of them, or loses it: how many the kernel took. Not more than DATAGRAM_BATCH.
 */
unsigned datagram_send(struct datagram_socket *socket, const struct datagram *datagrams, unsigned count);

#endif
