/*
 * Two plain connections, a pipe for each direction, and edges that say when to go on. A splice belongs to the tunnel that started
 * it and lives on the connections' worker; while it runs, the events of both connections come here.
 *
 * A pipe is filled only when it is empty: how much room a pipe has left is not to be known (it counts pages and not bytes), so that
 * EAGAIN from a filled one could mean either side. An empty one leaves no doubt.
 */
#include "net/splice.h"

#include "net/room_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
	PIPE_SIZE = 256 * 1024,
	PIPE_LEAST = 64 * 1024, /* less than this (pipe-user-pages-soft) is no gain over copying */
	BYTES_A_TURN = 1024 * 1024,
};

struct direction {
	struct conn *from, *to;
	struct net_pipe pipe;
	size_t held;    /* bytes in the pipe */
	uint64_t moved; /* since on_moved */
	bool ended;     /* `from` sends no more */
	bool over;      /* and `to` knows, or can no longer be told */
	bool lost;      /* `to` broke: what is in the pipe goes nowhere */
};

struct splice {
	struct worker *worker;
	const struct splice_ops *ops;
	void *owner;
	struct loop_task run, retire;
	struct direction ways[2];   /* a to b, b to a */
	loop_event_fn *on_event[2]; /* of a and b, to be given back */
	void *owners[2];
	struct error error;
	bool done;
};

/* --- pipes --- */

void net_pipe_close(struct net_pipe *pipe)
{
	if (pipe->in < 0)
		return;
	close(pipe->in);
	close(pipe->out);
	pipe->in = pipe->out = -1;
}

static bool pipe_open(struct net_room *room, struct net_pipe *pipe)
{
	int ends[2];

	if (room->kept_pipes > 0) {
		*pipe = room->pipes[--room->kept_pipes];
		return true;
	}
	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
		return false;
	*pipe = (struct net_pipe){.out = ends[0], .in = ends[1]};
	int size = fcntl(pipe->in, F_SETPIPE_SZ, PIPE_SIZE);
	if (size < 0)
		size = fcntl(pipe->in, F_GETPIPE_SZ);
	if (size < PIPE_LEAST) {
		net_pipe_close(pipe);
		return false;
	}
	pipe->size = (size_t)size;
	return true;
}

static void pipe_give_back(struct net_room *room, struct direction *way)
{
	if (way->pipe.in >= 0 && way->held == 0 && room->kept_pipes < NET_KEPT_PIPES)
		room->pipes[room->kept_pipes++] = way->pipe;
	else
		net_pipe_close(&way->pipe);
	way->pipe.in = way->pipe.out = -1;
}

/* --- end --- */

static void run_retire(struct loop_task *task)
{
	struct splice *splice = CONTAINER_OF(task, struct splice, retire);

	memory_free(splice->worker->memory, splice, sizeof(*splice));
}

static void let_go(struct splice *splice)
{
	struct net_room *room = net_room(splice->worker);

	splice->done = true;
	for (unsigned i = 0; i < 2; i++) {
		struct conn *conn = splice->ways[i].from;
		conn->source.on_event = splice->on_event[i];
		conn->owner = splice->owners[i];
		pipe_give_back(room, &splice->ways[i]);
	}
	loop_retire(&splice->worker->loop, &splice->retire);
}

static void report(struct splice *splice)
{
	uint64_t there = splice->ways[0].moved, back = splice->ways[1].moved;

	splice->ways[0].moved = splice->ways[1].moved = 0;
	if ((there > 0 || back > 0) && splice->ops->on_moved)
		splice->ops->on_moved(splice, there, back);
}

static void finish(struct splice *splice)
{
	report(splice);
	if (splice->done)
		return;
	struct error error = splice->error;
	let_go(splice);
	splice->ops->on_done(splice, &error);
}

/* --- moving --- */

static ssize_t move_bytes(int from, int to, size_t len)
{
	ssize_t moved;

	do
		moved = splice(from, NULL, to, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (moved < 0 && errno == EINTR);
	return moved;
}

static void note_error(struct splice *splice, int number)
{
	if (!error_is(&splice->error))
		splice->error = error_system(ERROR_UPSTREAM_RESET, number);
}

/* Into the empty pipe. False: nothing there now, or no more at all. */
static bool fill(struct splice *splice, struct direction *way)
{
	struct conn *from = way->from;
	ssize_t got = move_bytes(from->source.fd, way->pipe.in, way->pipe.size);

	if (got > 0) {
		way->held = (size_t)got;
		from->bytes_in += (uint64_t)got;
		return true;
	}
	if (got < 0 && errno == EAGAIN) {
		from->readable = false;
		return false;
	}
	if (got < 0) {
		note_error(splice, errno);
		way->over = true;
	}
	from->readable = false;
	from->end_seen = true;
	way->ended = true;
	return false;
}

/* Out of the pipe. False: no room now, or the sink broke. */
static bool drain(struct splice *splice, struct direction *way)
{
	struct conn *to = way->to;
	ssize_t put = move_bytes(way->pipe.out, to->source.fd, way->held);

	if (put > 0) {
		way->held -= (size_t)put;
		way->moved += (uint64_t)put;
		to->bytes_out += (uint64_t)put;
		return true;
	}
	to->writable = false;
	if (put < 0 && errno == EAGAIN)
		return false;
	/* What the broken side had sent before is worth delivering: the other way goes on until that is done. */
	note_error(splice, put < 0 ? errno : EIO);
	way->lost = way->ended = way->over = true;
	to->readable = to->hung_up = true;
	return false;
}

/* A turn's share of one direction. True: there is more to do at once. */
static bool move_on(struct splice *splice, struct direction *way)
{
	uint64_t before = way->moved;

	while (!way->over) {
		if (way->moved - before >= BYTES_A_TURN)
			return true;
		if (way->held == 0 && (way->ended || !way->from->readable || !fill(splice, way)))
			break;
		if (!way->to->writable || !drain(splice, way))
			break;
	}
	return false;
}

/* The end of one direction is passed on, unless the connection that it came from turned out to be broken. */
static void pass_end(struct direction *way, const struct direction *back)
{
	struct conn *to = way->to;

	if (way->over || !way->ended || way->held > 0)
		return;
	way->over = true;
	if (back->lost || to->shutdown_done)
		return;
	to->shutdown_wanted = to->shutdown_done = true;
	(void)to->transport->shutdown(to);
}

/* A broken source ends all; a broken sink ends all once its own bytes have been delivered. */
static bool is_over(const struct splice *splice)
{
	const struct direction *there = &splice->ways[0], *back = &splice->ways[1];

	if (there->over && back->over)
		return true;
	return error_is(&splice->error) && !there->lost && !back->lost;
}

static void run(struct loop_task *task)
{
	struct splice *splice = CONTAINER_OF(task, struct splice, run);
	struct direction *there = &splice->ways[0], *back = &splice->ways[1];

	if (splice->done)
		return;
	bool more = move_on(splice, there);
	more |= move_on(splice, back);
	/* The sink of `back` may have broken just now: then its bytes are to be fetched. */
	more |= back->lost && !there->over && there->from->readable && there->held == 0;
	pass_end(there, back);
	pass_end(back, there);
	if (is_over(splice)) {
		finish(splice);
		return;
	}
	if (more)
		loop_soon(&splice->worker->loop, &splice->run);
	report(splice);
}

/* --- events --- */

/* A source that has ended is not read any more, so that its reset would go unseen. */
static void look_for_reset(struct splice *splice, const struct direction *way)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (way->ended && getsockopt(way->from->source.fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error) {
		note_error(splice, error);
		finish(splice);
	}
}

static void on_event(struct loop_source *source, uint32_t events)
{
	struct conn *conn = CONTAINER_OF(source, struct conn, source);
	struct splice *splice = conn->owner;
	const uint32_t gone = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

	if (events & gone)
		conn->hung_up = true;
	if (events & (EPOLLIN | gone))
		conn->readable = true;
	if (events & EPOLLOUT)
		conn->writable = true;
	if (events & EPOLLERR)
		look_for_reset(splice, &splice->ways[conn == splice->ways[0].from ? 0 : 1]);
	if (!splice->done)
		loop_soon(&splice->worker->loop, &splice->run);
}

static void take_over(struct splice *splice, unsigned side, bool ended)
{
	struct direction *way = &splice->ways[side];
	struct conn *conn = way->from;

	way->ended = ended || conn->end_seen;
	splice->on_event[side] = conn->source.on_event;
	splice->owners[side] = conn->owner;
	conn_read_stop(conn);
	conn_adopt(conn, NULL, splice);
	conn->source.on_event = on_event;
}

struct splice *splice_start(struct conn *a, struct conn *b, bool a_ended, bool b_ended,
			    const struct splice_ops *ops, void *owner)
{
	struct worker *worker = a->worker;
	struct net_room *room = net_room(worker);

	if (!conn_is_plain(a) || !conn_is_plain(b)) /* one may have broken since the caller looked */
		return NULL;
	struct splice *splice = memory_alloc(worker->memory, sizeof(*splice));
	if (!splice)
		return NULL;
	*splice = (struct splice){
		.worker = worker,
		.ops = ops,
		.owner = owner,
		.ways = {{.from = a, .to = b, .pipe = {-1, -1, 0}}, {.from = b, .to = a, .pipe = {-1, -1, 0}}},
	};
	if (!pipe_open(room, &splice->ways[0].pipe) || !pipe_open(room, &splice->ways[1].pipe)) {
		pipe_give_back(room, &splice->ways[0]);
		memory_free(worker->memory, splice, sizeof(*splice));
		return NULL;
	}
	loop_task_init(&splice->run, run);
	loop_task_init(&splice->retire, run_retire);
	take_over(splice, 0, a_ended);
	take_over(splice, 1, b_ended);
	loop_soon(&worker->loop, &splice->run);
	return splice;
}

void *splice_owner(const struct splice *splice)
{
	return splice->owner;
}

void splice_stop(struct splice *splice)
{
	if (!splice->done)
		let_go(splice);
}
