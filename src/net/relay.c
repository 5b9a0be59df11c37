/*
 * Two plain connections, and edges that say when to go on. A relay belongs to the tunnel that started it and lives on the connections'
 * worker; while it runs, the events of both connections come here.
 *
 * A direction holds bytes in a block, or in a pipe, or none: it is filled only when it is empty. So with a pipe EAGAIN can mean one thing alone; how
 * much room a pipe has left is not to be known (it counts pages and not bytes).
 */
#include "net/relay.h"

#include "net/room_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
	BYTES_A_TURN = 1024 * 1024,
	BULK_LEAST = 64 * 1024,  /* that a direction moves each time, or it is moved by copying again */
	FULL_READS_FOR_BULK = 2, /* receives in a row that filled their block */
};

enum holding { HOLDS_NOTHING, HOLDS_BLOCK, HOLDS_PIPE };

struct direction {
	struct conn *from, *to;
	union {
		struct block *block; /* bytes that the sink did not take at once */
		struct net_pipe pipe;
	};
	uint32_t at, held;  /* in the block or pipe: where the rest begins (block), how much it is */
	uint64_t moved;     /* since on_moved */
	uint8_t holding;    /* enum holding */
	uint8_t full_reads; /* in a row */
	bool ended;         /* `from` sends no more */
	bool over;          /* and `to` knows, or can no longer be told */
	bool lost;          /* `to` broke: what is held goes nowhere */
};

struct relay {
	struct worker *worker;
	const struct relay_ops *ops;
	void *owner;
	struct loop_task run, retire;
	struct direction ways[2]; /* a to b, b to a */
	struct error error;
	bool done;
};

/* --- what a direction holds --- */

static void let_go(struct relay *relay, struct direction *way)
{
	if (way->holding == HOLDS_BLOCK)
		block_release(&relay->worker->buffers, way->block);
	else if (way->holding == HOLDS_PIPE)
		net_pipe_give(net_room(relay->worker), &way->pipe, way->held == 0);
	way->holding = HOLDS_NOTHING;
	way->held = 0;
}

static bool take_pipe(struct relay *relay, struct direction *way)
{
	if (way->holding == HOLDS_PIPE)
		return true;
	if (!net_pipe_take(net_room(relay->worker), &way->pipe))
		return false;
	way->holding = HOLDS_PIPE;
	return true;
}

/* --- end --- */

static void run_retire(struct loop_task *task)
{
	struct relay *relay = CONTAINER_OF(task, struct relay, retire);

	memory_free(relay->worker->memory, relay, sizeof(*relay));
}

static void leave(struct relay *relay)
{
	relay->done = true;
	for (unsigned i = 0; i < 2; i++) {
		struct conn *conn = relay->ways[i].from;
		let_go(relay, &relay->ways[i]);
		conn->source.on_event = net_conn_on_event;
		conn->owner = NULL;
	}
	loop_retire(&relay->worker->loop, &relay->retire);
}

static void report(struct relay *relay)
{
	uint64_t there = relay->ways[0].moved, back = relay->ways[1].moved;

	relay->ways[0].moved = relay->ways[1].moved = 0;
	if (there > 0 || back > 0)
		relay->ops->on_moved(relay, there, back);
}

static void finish(struct relay *relay)
{
	report(relay);
	if (relay->done)
		return;
	struct error error = relay->error;
	leave(relay);
	relay->ops->on_done(relay, &error);
}

static void note_error(struct relay *relay, int number)
{
	if (!error_is(&relay->error))
		relay->error = error_system(ERROR_UPSTREAM_RESET, number);
}

/* The source has ended, in good order (0) or broken (an errno). */
static void source_ended(struct relay *relay, struct direction *way, int number)
{
	if (number) {
		note_error(relay, number);
		way->over = true;
	}
	way->from->readable = false;
	way->from->end_seen = true;
	way->ended = true;
}

/* What the broken side had sent before is worth delivering: the other way goes on until that is done. */
static void sink_broke(struct relay *relay, struct direction *way, int number)
{
	note_error(relay, number);
	way->lost = way->ended = way->over = true;
	way->to->readable = way->to->hung_up = true;
}

static void delivered(struct direction *way, size_t bytes)
{
	way->moved += bytes;
	way->to->bytes_out += bytes;
}

/* --- by copying --- */

/* What the sink did not take waits in a block of its size. */
static void keep(struct relay *relay, struct direction *way, struct span rest)
{
	struct block *block = block_new(&relay->worker->buffers, rest.len);

	if (!block) {
		note_error(relay, ENOMEM);
		way->over = true;
		return;
	}
	memcpy(block->bytes, rest.at, rest.len);
	block->used = (uint32_t)rest.len;
	way->block = block;
	way->at = 0;
	way->held = (uint32_t)rest.len;
	way->holding = HOLDS_BLOCK;
}

/* Returns how many bytes of `bytes` the sink took; less than all: it takes no more now, or broke. */
static size_t offer(struct relay *relay, struct direction *way, struct span bytes)
{
	struct conn *to = way->to;
	ssize_t put;

	if (!to->writable)
		return 0;
	do
		put = send(to->source.fd, bytes.at, bytes.len, MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put > 0)
		delivered(way, (size_t)put);
	if (put == (ssize_t)bytes.len)
		return bytes.len;
	to->writable = false;
	if (put < 0 && errno != EAGAIN)
		sink_broke(relay, way, errno);
	return put > 0 ? (size_t)put : 0;
}

/* One receive, passed on at once. False: nothing there now, no more at all, or the sink takes no more now. */
static bool copy(struct relay *relay, struct direction *way)
{
	struct worker *worker = relay->worker;
	struct conn *from = way->from;
	ssize_t got;

	if (!worker->receive)
		worker->receive = block_new(&worker->buffers, BLOCK_MEDIUM - BLOCK_HEADER);
	struct block *block = worker->receive;
	if (!block) {
		note_error(relay, ENOMEM);
		way->over = true;
		return false;
	}
	do
		got = recv(from->source.fd, block->bytes, block->capacity, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN) {
		from->readable = false;
		return false;
	}
	if (got <= 0) {
		source_ended(relay, way, got < 0 ? errno : 0);
		return false;
	}
	/* Who is known to have ended has that to tell after the bytes. */
	if ((size_t)got < block->capacity && !from->hung_up)
		from->readable = false;
	if ((size_t)got == block->capacity && way->full_reads < FULL_READS_FOR_BULK)
		way->full_reads++;
	from->bytes_in += (uint64_t)got;
	block->used = (uint32_t)got;
	size_t taken = offer(relay, way, span_make(block->bytes, (size_t)got));
	if (taken < (size_t)got && !way->lost)
		keep(relay, way, span_make(block->bytes + taken, (size_t)got - taken));
	block_wipe(block);
	return taken == (size_t)got;
}

/* --- by splice --- */

static ssize_t move_bytes(int from, int to, size_t len)
{
	ssize_t moved;

	do
		moved = splice(from, NULL, to, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (moved < 0 && errno == EINTR);
	return moved;
}

/* Into the empty pipe. False: nothing there now, or no more at all. */
static bool fill(struct relay *relay, struct direction *way)
{
	struct conn *from = way->from;
	ssize_t got = move_bytes(from->source.fd, way->pipe.in, way->pipe.size);

	if (got > 0) {
		way->held = (uint32_t)got;
		from->bytes_in += (uint64_t)got;
		return true;
	}
	if (got < 0 && errno == EAGAIN)
		from->readable = false;
	else
		source_ended(relay, way, got < 0 ? errno : 0);
	return false;
}

/* --- both --- */

/* Out of what is held. False: the sink takes no more now, or broke. */
static bool drain(struct relay *relay, struct direction *way)
{
	struct conn *to = way->to;

	if (way->holding == HOLDS_BLOCK) {
		size_t taken = offer(relay, way, span_make(way->block->bytes + way->at, way->held));
		way->at += (uint32_t)taken;
		way->held -= (uint32_t)taken;
		if (way->held == 0)
			let_go(relay, way);
		return way->holding == HOLDS_NOTHING;
	}
	ssize_t put = move_bytes(way->pipe.out, to->source.fd, way->held);
	if (put > 0) {
		way->held -= (uint32_t)put;
		delivered(way, (size_t)put);
		return true;
	}
	to->writable = false;
	if (put == 0 || errno != EAGAIN)
		sink_broke(relay, way, put < 0 ? errno : EIO);
	return false;
}

/* From the source into something, or to the sink at once. False: there is nothing more to do now. */
static bool fetch(struct relay *relay, struct direction *way)
{
	if (way->ended || !way->from->readable)
		return false;
	if (way->full_reads >= FULL_READS_FOR_BULK && take_pipe(relay, way))
		return fill(relay, way);
	return copy(relay, way);
}

/* A turn's share of one direction. True: there is more to do at once. */
static bool move_on(struct relay *relay, struct direction *way)
{
	uint64_t before = way->moved;
	bool more = false;

	while (!way->over) {
		more = way->moved - before >= BYTES_A_TURN;
		if (more)
			break;
		if (way->held == 0 ? !fetch(relay, way) : !way->to->writable || !drain(relay, way))
			break;
	}
	if (way->held == 0 || way->lost)
		let_go(relay, way);
	if (way->moved > before && way->moved - before < BULK_LEAST)
		way->full_reads = 0;
	return more;
}

/* The end of one direction is passed on, unless the connection that it came from turned out to be broken. */
static void pass_end(struct direction *way, const struct direction *back)
{
	struct conn *to = way->to;

	if (way->over || !way->ended || way->held > 0)
		return;
	way->over = true;
	/* The other way is over too: the owner closes now, which says it as well. */
	if (back->over || to->shutdown_done)
		return;
	to->shutdown_wanted = to->shutdown_done = true;
	(void)to->transport->shutdown(to);
}

/* A broken source ends all; a broken sink ends all once its own bytes have been delivered. */
static bool is_over(const struct relay *relay)
{
	const struct direction *there = &relay->ways[0], *back = &relay->ways[1];

	if (there->over && back->over)
		return true;
	return error_is(&relay->error) && !there->lost && !back->lost;
}

static void run(struct loop_task *task)
{
	struct relay *relay = CONTAINER_OF(task, struct relay, run);
	struct direction *there = &relay->ways[0], *back = &relay->ways[1];

	if (relay->done)
		return;
	bool more = move_on(relay, there);
	more |= move_on(relay, back);
	/* The sink of `back` may have broken just now: then its bytes are to be fetched. */
	more |= back->lost && !there->over && there->from->readable && there->held == 0;
	pass_end(there, back);
	pass_end(back, there);
	if (is_over(relay)) {
		finish(relay);
		return;
	}
	if (more)
		loop_soon(&relay->worker->loop, &relay->run);
	report(relay);
}

/* --- events --- */

/* A source that has ended is not read any more, so that its reset would go unseen. */
static void look_for_reset(struct relay *relay, const struct direction *way)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (way->ended && getsockopt(way->from->source.fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error) {
		note_error(relay, error);
		finish(relay);
	}
}

static void on_event(struct loop_source *source, uint32_t events)
{
	struct conn *conn = CONTAINER_OF(source, struct conn, source);
	struct relay *relay = conn->owner;
	const uint32_t gone = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

	if (events & gone)
		conn->hung_up = true;
	if (events & (EPOLLIN | gone))
		conn->readable = true;
	if (events & EPOLLOUT)
		conn->writable = true;
	if (events & EPOLLERR)
		look_for_reset(relay, &relay->ways[conn == relay->ways[0].from ? 0 : 1]);
	if (!relay->done)
		loop_soon(&relay->worker->loop, &relay->run);
}

static void take_over(struct relay *relay, unsigned side, bool ended)
{
	struct direction *way = &relay->ways[side];
	struct conn *conn = way->from;

	way->ended = ended || conn->end_seen;
	conn_read_stop(conn);
	conn_adopt(conn, NULL, relay);
	conn->source.on_event = on_event;
}

struct relay *relay_start(struct conn *a, struct conn *b, bool a_ended, bool b_ended,
			  const struct relay_ops *ops, void *owner)
{
	struct worker *worker = a->worker;

	if (!conn_is_plain(a) || !conn_is_plain(b)) /* one may have broken since the caller looked */
		return NULL;
	struct relay *relay = memory_alloc(worker->memory, sizeof(*relay));
	if (!relay)
		return NULL;
	*relay = (struct relay){
		.worker = worker,
		.ops = ops,
		.owner = owner,
		.ways = {{.from = a, .to = b}, {.from = b, .to = a}},
	};
	loop_task_init(&relay->run, run);
	loop_task_init(&relay->retire, run_retire);
	take_over(relay, 0, a_ended);
	take_over(relay, 1, b_ended);
	loop_soon(&worker->loop, &relay->run);
	return relay;
}

void relay_give(struct relay *relay, const struct relay_ops *ops, void *owner)
{
	relay->ops = ops;
	relay->owner = owner;
}

void *relay_owner(const struct relay *relay)
{
	return relay->owner;
}

bool relay_is_empty(const struct relay *relay)
{
	return relay->ways[0].held == 0 && relay->ways[1].held == 0;
}

void relay_stop(struct relay *relay)
{
	if (!relay->done)
		leave(relay);
}
