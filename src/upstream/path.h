/*
 * From what is wished for to a connection whose other end is the target: directly, or through parent proxies, one or several in a row. Directly, names are
 * resolved once and what was judged is what is connected to (connector.h). Through parents, the target's name is not looked up here: the last of them does that.
 *
 * Choices are tried in their order, those that are set aside last, as long as nothing of a request can have been seen by the target. Embedded in whoever
 * waits for it; one worker's own.
 */
#ifndef GUISE_UPSTREAM_PATH_H
#define GUISE_UPSTREAM_PATH_H

#include "upstream/connector.h"
#include "upstream/parent.h"

struct path;
struct origin_wait;
struct path_row; /* what only a way through parents needs */

enum { PATH_TRIES_MOST = 8 };

struct path_ops {
	/* As of a connector, of the target's addresses on the direct way; NULL: all are fine. */
	unsigned (*filter)(struct path *path, struct address *addresses, unsigned count, struct error *error);
	/*
	 * `conn` is connected and the callee's (no ops yet, reading stopped), and so are the bytes in path->early, which came already; NULL: *error
	 * tells, and the target has seen nothing of a request. Exactly once, never before path_start returns, unless cancelled.
	 */
	void (*on_connected)(struct path *path, struct conn *conn, const struct error *error);
};

struct path_wish {
	const uint32_t *parents; /* PARENT_DIRECT: none. Borrowed */
	uint32_t parent_count;   /* 0: direct */
	const struct parent_server *only; /* the one server of parents[0] that is to be used: a check, of which nothing is noted; else NULL */
	struct address address; /* the target's; family ADDRESS_NONE: it is a name */
	struct span host;       /* the same as text; borrowed */
	uint16_t port;          /* 0: the last parent is only greeted */
	bool absolute; /* a request for http: a last parent that speaks HTTP is not asked for a tunnel */
	struct tls_trust *trust;   /* `secure`: by whom the target's certificate must be signed; borrowed */
	bool secure;               /* TLS with the target */
	const struct net_way *way; /* borrowed; NULL: as the system chooses */
	uint64_t timeout;          /* ms, of each step */
};

enum path_state {
	PATH_IDLE,
	PATH_CHOOSING,   /* the next choice is tried soon, or it is told that there is none */
	PATH_CONNECTING, /* directly, or to the first parent */
	PATH_SECURING,   /* TLS with a parent */
	PATH_TALKING,    /* with a parent */
	PATH_ENDING,     /* TLS with the target */
};

struct path {
	struct worker *worker;
	const struct path_ops *ops;
	struct arena *arena;
	struct path_wish wish;
	struct connector connector;
	struct conn *conn;
	struct origin_wait *wait; /* for certificates that are being read; NULL: for none */
	struct path_row *row;     /* NULL: no parent was needed yet */
	struct loop_task next;    /* soon: the next choice */
	struct error error;       /* of the last try */
	struct chunk_queue early; /* what the target has said already */
	uint32_t choice;          /* of this try: an index in wish.parents */
	bool direct;              /* it is without a parent */
	bool direct_tried;
	bool over; /* no other choice may be tried */
	uint8_t state;
};

/*
 * Starts. What it needs beside is in the arena. The path must stay where it is until it is done or cancelled; it may then be started again with `again`: what has
 * failed already is not tried again.
 */
void path_start(struct path *path, struct worker *worker, struct arena *arena, const struct path_ops *ops,
		const struct path_wish *wish, bool again);
void path_cancel(struct path *path); /* harmless when it is done, or was never started but is zero */

/* Of a path that is done: the last parent's server; NULL: direct. */
const struct parent_server *path_last(const struct path *path);
/* The last parent's server has answered a request in absolute-form. */
void path_praise_last(struct path *path);
/* It turned out only later that the server does not serve: no answer to a request in absolute-form. */
void path_blame_last(struct path *path, bool maybe, const struct error *error);

/* Whether a new connection through this parent may be tried now, as far as anybody knows; PARENT_DIRECT: always. */
bool path_is_open(const struct worker *worker, uint32_t parent);

#endif
