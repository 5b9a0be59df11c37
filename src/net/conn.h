/*
 * A connection: bytes in as loans, bytes out as chunk queues. Protocol code knows nothing of the system calls behind.
 *
 * Reading: while started, each receive lends on_read the worker's block; the callee takes what it wants (by reference or
 * copy) before it returns, and must take everything. An edge that arrives while reading is stopped is remembered.
 * Writing: conn_write queues; what was queued in a turn leaves together at its end. on_sent tells how much the kernel took.
 * Ending: conn_close ends at once and no callback follows; the memory goes at the end of the turn. Errors come as one
 * on_fail, after which only conn_close is legal.
 *
 * Everything here runs on the connection's worker.
 */
#ifndef GUISE_NET_CONN_H
#define GUISE_NET_CONN_H

#include "core/chunk.h"
#include "core/error.h"
#include "core/worker.h"
#include "net/address.h"

struct conn;

struct conn_ops {
	/* Bytes arrived. `bytes` lie inside `lent`; see chunk_queue_add. conn_read_stop and conn_close are legal. */
	void (*on_read)(struct conn *conn, struct block *lent, struct span bytes);
	/* The peer will send no more (FIN). Comes once, after the last on_read, and only while reading is started. */
	void (*on_end)(struct conn *conn);
	/* The kernel took `bytes` more of what was written; conn_unsent() tells what is left. Called when writes are flushed. */
	void (*on_sent)(struct conn *conn, size_t bytes);
	/* The connection broke: reset, write error, out of memory while receiving. Once. */
	void (*on_fail)(struct conn *conn, const struct error *error);
	/* conn_connect only: it is established. Failure comes as on_fail. */
	void (*on_connect)(struct conn *conn);
};

/* How bytes get in and out: a socket, later TLS over another transport. Results as recv(2) and sendmsg(2), errno too. */
struct transport_ops {
	ssize_t (*receive)(struct conn *conn, void *into, size_t room);
	ssize_t (*send)(struct conn *conn, const struct iovec *vectors, unsigned count);
	int (*shutdown)(struct conn *conn); /* no more bytes from us */
	void (*close)(struct conn *conn);   /* frees the transport's own state; the descriptor is conn's */
};

extern const struct transport_ops transport_socket;

struct conn {
	struct loop_source source;
	struct worker *worker;
	const struct conn_ops *ops;
	const struct transport_ops *transport;
	void *transport_state;
	struct chunk_queue unsent;
	struct loop_task again;  /* soon: read once more (budget used up, remembered edge) */
	struct loop_task flush;  /* last: send what is queued */
	struct loop_task retire; /* free */
	struct address peer;
	uint64_t bytes_in, bytes_out;
	bool reading, readable, hung_up, writable, connecting;
	bool end_seen, end_told, failed, closed;
	bool shutdown_wanted, shutdown_done;
	bool bulk; /* receive into large blocks */
	void *owner; /* the protocol's */
};

/* What every worker needs before it may open connections (pools). False: out of memory. Slot WORKER_SLOT_NET. */
WARN_UNUSED bool conn_room_init(struct worker *worker);
void conn_room_fini(struct worker *worker);
size_t conn_count(const struct worker *worker); /* open now on this worker */

/* Takes over a connected, non-blocking descriptor, reading stopped. NULL: out of memory or epoll failed (fd is then still the caller's). */
WARN_UNUSED struct conn *conn_open(struct worker *worker, int fd, const struct address *peer, const struct conn_ops *ops,
				   void *owner);
/* Starts a non-blocking connect with TCP_NODELAY. on_connect or on_fail follows, never before this returns. NULL: *error tells. */
WARN_UNUSED struct conn *conn_connect(struct worker *worker, const struct address *to, const struct conn_ops *ops, void *owner,
				      struct error *error);
/* Gives the connection to another protocol (upgrade, tunnel, pool). */
void conn_adopt(struct conn *conn, const struct conn_ops *ops, void *owner);

void conn_read_start(struct conn *conn);
void conn_read_stop(struct conn *conn);

/* Takes the whole queue (left empty). After conn_finish or a failure the bytes are dropped. */
void conn_write(struct conn *conn, struct chunk_queue *queue);
static inline size_t conn_unsent(const struct conn *conn)
{
	return conn->unsent.bytes;
}

void conn_finish(struct conn *conn); /* FIN when everything queued has left; reading goes on */
void conn_close(struct conn *conn);  /* now; what is queued is dropped (a flush is tried first) */
void conn_reset(struct conn *conn);  /* now, with RST where the transport can: the peer must not think it got everything */
/*
 * Leaves in good order (RFC 9112 9.6): sends what is queued, then FIN, then reads and drops what the peer still sends until
 * its FIN, 2 s or 256 KiB, then closes. The caller has let go: no callback follows.
 */
void conn_linger(struct conn *conn);

/* The transport is a bare socket and nothing is queued: splice(2) may move its bytes. */
bool conn_is_plain(const struct conn *conn);

#endif
