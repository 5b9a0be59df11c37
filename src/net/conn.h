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
#include "net/way.h"

struct conn;

struct conn_ops {
	/* Bytes arrived. `bytes` lie inside `lent`; see chunk_queue_add. conn_read_stop and conn_close are legal. */
	void (*on_read)(struct conn *conn, struct block *lent, struct span bytes);
	/* The peer will send no more (FIN). Comes once, after the last on_read, and only while reading is started. */
	void (*on_end)(struct conn *conn);
	/*
	 * The transport took `bytes` more of what was written (0: the kernel more of what the transport held); conn_unsent() tells what is left.
	 * Called when writes are flushed.
	 */
	void (*on_sent)(struct conn *conn, size_t bytes);
	/*
	 * The connection broke: reset, write error, out of memory while receiving, or it could not be made. Once. Comes while reading is
	 * stopped too, unless there are bytes still to be read, which go first. A broken connection is ERROR_UPSTREAM_RESET
	 * with its errno: who knows that it is a client's says so.
	 */
	void (*on_fail)(struct conn *conn, const struct error *error);
	/* conn_connect, and handshakes of a transport: it is established. Failure comes as on_fail. */
	void (*on_connect)(struct conn *conn);
};

/*
 * How bytes get in and out: a socket, or TLS over one. Results as recv(2) and sendmsg(2), errno too. A transport knows when its socket
 * is drained or full: it clears conn->readable and conn->writable then, and it keeps conn->pending and conn->held true to what it has.
 */
struct transport_ops {
	ssize_t (*receive)(struct conn *conn, void *into, size_t room);
	/* Without vectors: of what is held only. While more than a little stays held, nothing is taken (EAGAIN). */
	ssize_t (*send)(struct conn *conn, const struct iovec *vectors, unsigned count);
	int (*shutdown)(struct conn *conn); /* no more bytes from us; EAGAIN: something is held first, then once more */
	/* Frees the transport's own state; the descriptor is conn's. Nothing is unsent or held if all went well. */
	void (*close)(struct conn *conn);
	/* The error that an errno of the above stands for; NULL: ERROR_UPSTREAM_RESET with it. */
	struct error (*explain)(struct conn *conn, int number);
};

extern const struct transport_ops transport_socket;

/* Wants to know when a connection is closed, whoever closes it. Lives longer than the worker's room of connections. */
struct conn_watch {
	void (*on_closed)(struct conn_watch *watch,
			  struct conn *conn); /* the connection may be looked at, no more */
};

/* Kept small: a server holds many that are idle. Only conn.c, relay.c and transports look inside. */
struct conn {
	struct loop_source source;
	struct worker *worker;
	const struct conn_ops *ops;
	void *owner; /* the protocol's */
	const struct transport_ops *transport;
	void *transport_state;
	struct conn_watch *watch; /* may be NULL */
	struct chunk_queue unsent;
	struct loop_task again; /* soon: read once more (budget used up, remembered edge), or tell how a connect ended */
	struct loop_task flush;  /* last: send what is queued */
	struct loop_task retire; /* free */
	uint64_t bytes_in, bytes_out;
	uint32_t room; /* see conn_read_room */
	uint32_t held; /* bytes that the transport took from `unsent`, in its own form, and the kernel has not */
	struct address peer;
	bool reading : 1;
	bool readable : 1; /* an edge has not been read to its end */
	bool pending : 1;  /* the transport has something for the reader, whatever the socket has */
	bool hung_up : 1;  /* the edge bore RDHUP, HUP or ERR: read until that shows */
	bool writable : 1;
	bool connecting : 1;
	bool end_seen : 1, end_told : 1;
	bool failed : 1; /* on_fail was called */
	bool closed : 1;
	bool shutdown_wanted : 1, shutdown_done : 1;
	bool bulk : 1;           /* receive into large blocks */
	unsigned full_reads : 2; /* receives in a row that filled their block */
	uint8_t broken; /* errno of a send or connect that failed, not told yet: first what was received before it */
};

/* What every worker needs before it may open connections (pools). False: out of memory. Slot WORKER_SLOT_NET. */
WARN_UNUSED bool conn_room_init(struct worker *worker);
/* After everything was closed by its owner; what still lingers is cut. Before loop_fini, which frees the last. */
void conn_room_fini(struct worker *worker);
size_t conn_count(const struct worker *worker); /* open now on this worker */

/* Takes over a connected, non-blocking descriptor, reading stopped. NULL: out of memory or epoll failed (fd is then still the caller's). */
WARN_UNUSED struct conn *conn_open(struct worker *worker, int fd, const struct address *peer,
				   const struct conn_ops *ops, void *owner);
/* Starts a non-blocking connect with TCP_NODELAY, by `way` (NULL: as the system chooses). on_connect or on_fail follows, never before this returns. NULL: *error tells. */
WARN_UNUSED struct conn *conn_connect(struct worker *worker, const struct address *to,
				      const struct net_way *way, const struct conn_ops *ops, void *owner,
				      struct error *error);
/* Gives the connection to another protocol (upgrade, tunnel, pool). */
void conn_adopt(struct conn *conn, const struct conn_ops *ops, void *owner);

/* Tells `watch`, once. */
static inline void conn_watch(struct conn *conn, struct conn_watch *watch)
{
	conn->watch = watch;
}

void conn_read_start(struct conn *conn);
void conn_read_stop(struct conn *conn);

/*
 * The reader has room for about so many bytes: no receive asks for more than that, or than a common block, whichever is larger. 0: as
 * many as there are.
 */
static inline void conn_read_room(struct conn *conn, size_t bytes)
{
	conn->room = bytes ? (uint32_t)size_min(size_max(bytes, BLOCK_MEDIUM), UINT32_MAX) : 0;
}

/* Takes the whole queue (left empty). After conn_finish or a failure the bytes are dropped. */
void conn_write(struct conn *conn, struct chunk_queue *queue);
static inline size_t conn_unsent(const struct conn *conn)
{
	return conn->unsent.bytes + conn->held;
}

void conn_finish(struct conn *conn); /* FIN when everything queued has left; reading goes on */
void conn_close(struct conn *conn);  /* now; what is queued is dropped (a flush is tried first) */
void conn_reset(struct conn *conn); /* now, with RST where the transport can: the peer must not think it got everything */
/*
 * Leaves in good order (RFC 9112 9.6): sends what is queued, then FIN, then reads and drops what the peer still sends until
 * its FIN, 2 s or 256 KiB, then closes. The caller has let go: no callback follows.
 */
void conn_linger(struct conn *conn);

/* For transports, from a task or a timer of theirs: a handshake is done (on_connect, and reading goes on), or the connection broke. */
void conn_established(struct conn *conn);
void conn_fail(struct conn *conn, struct error error);

/* The transport is a bare socket and nothing is queued: a relay may move its bytes. */
bool conn_is_plain(const struct conn *conn);

#endif
