/*
 * One try after the other, each over a row of hops. See path.h.
 */
#include "upstream/path.h"

#include "upstream/origin_tls.h"
#include "upstream/path_internal.h"

static void path_on_next(struct loop_task *task);
static void path_hop(struct path *path);

/* ---- state ---- */

static void path_set_state(struct path *path, enum path_state state)
{
	static const uint8_t legal[] = {
		[PATH_IDLE] = 1 << PATH_CHOOSING,
		[PATH_CHOOSING] = 1 << PATH_CHOOSING | 1 << PATH_CONNECTING | 1 << PATH_IDLE,
		[PATH_CONNECTING] = 1 << PATH_SECURING | 1 << PATH_TALKING | 1 << PATH_ENDING |
				    1 << PATH_CHOOSING | 1 << PATH_IDLE,
		[PATH_SECURING] = 1 << PATH_TALKING | 1 << PATH_ENDING | 1 << PATH_CHOOSING | 1 << PATH_IDLE,
		[PATH_TALKING] = 1 << PATH_SECURING | 1 << PATH_TALKING | 1 << PATH_ENDING |
				 1 << PATH_CHOOSING | 1 << PATH_IDLE,
		[PATH_ENDING] = 1 << PATH_CHOOSING | 1 << PATH_IDLE,
	};

	ENSURE(legal[path->state] >> state & 1);
	path->state = (uint8_t)state;
}

static struct loop *path_loop(const struct path *path)
{
	return &path->worker->loop;
}

static const struct parent_server *path_server(const struct path *path, uint32_t hop)
{
	return parents_plans(parents_of(path->worker))->servers[path->row->servers[hop]];
}

/* Lets go of the connection of the current try. */
static void path_drop(struct path *path)
{
	connector_cancel(&path->connector);
	origin_wait_cancel(&path->wait);
	if (path->row) {
		loop_timer_stop(path_loop(path), &path->row->timer);
		parent_talk_fini(&path->row->talk);
	}
	chunk_queue_clear(&path->worker->buffers, &path->early);
	if (path->conn)
		conn_close(path->conn);
	path->conn = NULL;
}

static void path_done(struct path *path, struct conn *conn, const struct error *error)
{
	path_set_state(path, PATH_IDLE);
	path->conn = NULL;
	path->ops->on_connected(path, conn, error);
}

/* This try has failed; another one follows, if there is one. */
static void path_failed(struct path *path, const struct error *error, bool over)
{
	path_drop(path);
	path->error = *error;
	path->error.unprocessed = true;
	path->over = path->over || over;
	path_set_state(path, PATH_CHOOSING);
	loop_soon(path_loop(path), &path->next);
}

static void path_on_time(struct timer *timer);

/* False: out of memory. */
static bool path_need_row(struct path *path)
{
	if (path->row)
		return true;
	path->row = arena_zalloc(path->arena, 1, sizeof(*path->row));
	if (!path->row)
		return false;
	timer_init(&path->row->timer, path_on_time);
	path->row->path = path;
	return true;
}

/* ---- whose fault it was ---- */

static void path_blame(struct path *path, uint32_t hop, bool maybe, const struct error *why)
{
	uint32_t server = path->row->servers[hop];

	path_mark_tried(path, server);
	if (path->wish.only && hop + 1U == path->row->count)
		return;
	parent_server_failed(parents_of(path->worker), server, maybe, path->row->began, path_loop(path)->now,
			     path->worker->log, why);
}

/* The hops so far have done what they could. */
static void path_praise(struct path *path, uint32_t hops)
{
	for (uint32_t i = 0; i < hops; i++)
		if (!path->wish.only || i + 1U < path->row->count)
			parent_server_succeeded(parents_of(path->worker), path->row->servers[i],
						path->worker->log);
}

/* No good came of what was said to the server of the current hop. */
static void path_judge(struct path *path, enum parent_blame blame, const struct error *error)
{
	struct path_row *row = path->row;
	bool last = row->hop + 1U == row->count, over = false;

	switch (blame) {
	case PARENT_BLAME_NOBODY:
		over = true;
		break;
	case PARENT_BLAME_PARENT:
		path_blame(path, row->hop, false, error);
		break;
	case PARENT_BLAME_MAYBE:
		path_blame(path, row->hop, true, error);
		if (!last)
			path_blame(path, row->hop + 1U, true, error);
		break;
	case PARENT_BLAME_TARGET:
	case PARENT_BLAME_WISH:
		path_praise(path, row->hop + (last ? 1U : 0U));
		if (!last) /* its target is the next parent */
			path_blame(path, row->hop + 1U, false, error);
		over = last;
		break;
	}
	path_failed(path, error, over);
}

/* ---- the end of the row ---- */

static void path_on_secure(struct conn *conn)
{
	struct path *path = conn->owner;

	conn_read_stop(conn);
	conn_adopt(conn, NULL, NULL);
	path_done(path, conn, &ERROR_OK);
}

/* The origin has seen a handshake, and said no to it, or nothing: another way to it would come to the same. */
static void path_on_insecure(struct conn *conn, const struct error *error)
{
	path_failed(conn->owner, error, true);
}

static const struct conn_ops path_secure_ops = {
	.on_connect = path_on_secure,
	.on_fail = path_on_insecure,
};

/* The handshake with the target; `ready`: it is known whom to believe. */
static void path_shake(struct path *path, bool ready)
{
	struct error error = error_make(ERROR_MEMORY, NULL);

	if (!ready || !origin_secure(path->conn, path->wish.trust, path->wish.host, path->wish.timeout))
		path_failed(path, &error, true);
}

static void path_on_trust(void *owner, bool good)
{
	path_shake(owner, good);
}

/* Every hop is behind us. */
static void path_through(struct path *path)
{
	struct error error = error_make(ERROR_UPSTREAM_MALFORMED, "the server spoke before it was asked");
	struct conn *conn = path->conn;

	if (!path->wish.secure) {
		conn_adopt(conn, NULL, NULL);
		path_done(path, conn, &ERROR_OK);
		return;
	}
	if (path->early.bytes) {
		path_failed(path, &error, true);
		return;
	}
	if (conn->transport != &transport_socket) {
		error = error_make(
			ERROR_TLS_PROTOCOL,
			"TLS with the server would go within TLS with a parent proxy, which is not supported");
		path_mark_tried(path, path->row->servers[path->row->count - 1U]);
		path_failed(path, &error, false);
		return;
	}
	path_set_state(path, PATH_ENDING);
	conn_adopt(conn, &path_secure_ops, path);
	bool ready = origin_trust_is_ready(path->worker, path->wish.trust, path_on_trust, path, &path->wait);
	if (ready || !path->wait)
		path_shake(path, ready);
}

/* ---- talking to a parent ---- */

/* This server has brought us to the next one, or to the target. */
static void path_hop_is_open(struct path *path)
{
	struct path_row *row = path->row;

	loop_timer_stop(path_loop(path), &row->timer);
	parent_talk_fini(&row->talk);
	conn_read_stop(path->conn);
	if (++row->hop < row->count) {
		path_hop(path);
		return;
	}
	/* One that is asked in absolute-form has said nothing yet. */
	path_praise(path, row->count - (row->talk.server ? 0U : 1U));
	path_through(path);
}

static bool path_say(struct path *path, struct span say)
{
	struct chunk_queue bytes = {0};

	if (!chunk_queue_copy(&path->worker->buffers, &bytes, say))
		return false;
	conn_write(path->conn, &bytes);
	return true;
}

/* What the talk has come to. `rest`: what came behind it. */
static void path_go_on(struct path *path, struct block *lent, struct span rest, struct span say)
{
	struct path_row *row = path->row;
	struct error error = error_make(ERROR_MEMORY, NULL);

	if (row->talk.state == PARENT_TALK_FAILED) {
		error = row->talk.error;
		path_judge(path, (enum parent_blame)row->talk.blame, &error);
	} else if (say.len && !path_say(path, say)) {
		path_failed(path, &error, true);
	} else if (row->talk.state != PARENT_TALK_OPEN) {
		loop_timer_start(path_loop(path), &row->timer, path->wish.timeout);
	} else if (rest.len && row->hop + 1U < row->count) {
		error = error_make(ERROR_PARENT_MALFORMED, "the parent proxy spoke before it was asked");
		path_blame(path, row->hop + 1U, false, &error);
		path_failed(path, &error, false);
	} else if (rest.len && !chunk_queue_add(&path->worker->buffers, &path->early, lent, rest)) {
		path_failed(path, &error, true);
	} else {
		path_hop_is_open(path);
	}
}

static void path_on_read(struct conn *conn, struct block *lent, struct span bytes)
{
	struct path *path = conn->owner;
	struct span say;
	size_t used = parent_talk_feed(&path->row->talk, bytes, path->arena, &say);

	path_go_on(path, lent, span_from(bytes, used), say);
}

/* It has gone, or says nothing. In the middle of a greeting that is its own doing; later it may be its target's. */
static void path_silent(struct path *path, const struct error *error)
{
	bool greeting = parent_talk_is_greeting(&path->row->talk);

	path_judge(path, greeting ? PARENT_BLAME_PARENT : PARENT_BLAME_MAYBE, error);
}

static void path_on_end(struct conn *conn)
{
	struct error error = error_make(ERROR_PARENT_FAILED, "the parent proxy closed the connection");

	path_silent(conn->owner, &error);
}

static void path_on_broken(struct conn *conn, const struct error *error)
{
	struct error own = *error;

	if (error->code == ERROR_UPSTREAM_RESET)
		own = error_make(ERROR_PARENT_FAILED, "the parent proxy broke the connection");
	path_silent(conn->owner, &own);
}

static void path_on_time(struct timer *timer)
{
	struct error error = error_make(ERROR_CONNECT_TIMEOUT, "the parent proxy did not answer in time");

	path_silent(CONTAINER_OF(timer, struct path_row, timer)->path, &error);
}

static const struct conn_ops path_talk_ops = {
	.on_read = path_on_read,
	.on_end = path_on_end,
	.on_fail = path_on_broken,
};

/* The connection ends at the server of the current hop. */
static void path_talk(struct path *path)
{
	static const struct address by_name = {.family = ADDRESS_NONE};
	struct path_row *row = path->row;
	const struct parent_server *server = path_server(path, row->hop);
	bool last = row->hop + 1U == row->count;

	path_set_state(path, PATH_TALKING);
	conn_adopt(path->conn, &path_talk_ops, path);
	if (last && path->wish.absolute && parent_speaks_http(server)) {
		path_hop_is_open(path);
		return;
	}
	if (last) {
		parent_talk_init(&row->talk, server, path->worker->memory, &path->wish.address,
				 path->wish.host, path->wish.port);
	} else {
		const struct parent_server *next = path_server(path, row->hop + 1U);
		bool literal = next->address.family != ADDRESS_NONE;
		parent_talk_init(&row->talk, server, path->worker->memory,
				 literal ? &next->address : &by_name, next->host, next->port);
	}
	struct span say = parent_talk_begin(&row->talk, path->arena);
	conn_read_start(path->conn);
	path_go_on(path, NULL, (struct span){0}, say);
}

/* ---- TLS with a parent ---- */

static void path_on_shaken(struct conn *conn)
{
	path_talk(conn->owner);
}

static void path_on_unshaken(struct conn *conn, const struct error *error)
{
	struct path *path = conn->owner;

	path_judge(path, PARENT_BLAME_PARENT, error);
}

static const struct conn_ops path_shake_ops = {
	.on_connect = path_on_shaken,
	.on_fail = path_on_unshaken,
};

/* A connection to the server of the current hop is there. */
static void path_hop(struct path *path)
{
	const struct parent_server *server = path_server(path, path->row->hop);
	struct error error = error_make(ERROR_MEMORY, NULL);

	if (server->kind != PARENT_HTTPS) {
		path_talk(path);
		return;
	}
	path_set_state(path, PATH_SECURING);
	conn_adopt(path->conn, &path_shake_ops, path);
	if (!parent_secure(path->conn, server, path->wish.timeout))
		path_failed(path, &error, true);
}

/* ---- connecting ---- */

static struct path *path_of(struct connector *connector)
{
	return CONTAINER_OF(connector, struct path, connector);
}

/* What no other choice would mend: it is we who cannot. */
static bool error_is_ours(const struct error *error)
{
	enum error_source source = error_source(error);

	return source != ERROR_SOURCE_SERVER && source != ERROR_SOURCE_RESOLVER;
}

static void path_on_direct(struct connector *connector, struct conn *conn, const struct error *error)
{
	struct path *path = path_of(connector);

	if (!conn) {
		path_failed(path, error, error_is_ours(error));
		return;
	}
	path->conn = conn;
	path_through(path);
}

static unsigned path_filter(struct connector *connector, struct address *addresses, unsigned count,
			    struct error *error)
{
	struct path *path = path_of(connector);

	return path->ops->filter ? path->ops->filter(path, addresses, count, error) : count;
}

static const struct connector_ops path_direct_ops = {
	.filter = path_filter,
	.on_connected = path_on_direct,
};

static void path_on_parent(struct connector *connector, struct conn *conn, const struct error *error)
{
	struct path *path = path_of(connector);

	if (!conn) {
		if (!error_is_ours(error))
			path_blame(path, 0, false, error);
		path_failed(path, error, error_is_ours(error));
		return;
	}
	path->conn = conn;
	path_hop(path);
}

/* A parent is exempt from the egress guard: it was configured. */
static const struct connector_ops path_parent_ops = {.on_connected = path_on_parent};

static void path_connect(struct path *path)
{
	const struct path_wish *wish = &path->wish;

	path_set_state(path, PATH_CONNECTING);
	if (path->direct) {
		path->direct_tried = true;
		connector_start(&path->connector, path->worker, &path_direct_ops, &wish->address, wish->host,
				wish->port, wish->way, wish->timeout);
		return;
	}
	path->row->hop = 0;
	path->row->began = path_loop(path)->now;
	const struct parent_server *first = path_server(path, 0);
	connector_start(&path->connector, path->worker, &path_parent_ops, &first->address, first->host,
			first->port, wish->way, wish->timeout);
}

static void path_on_next(struct loop_task *task)
{
	struct path *path = CONTAINER_OF(task, struct path, next);

	if (path->state != PATH_CHOOSING)
		return;
	if (!path->over && path_choose(path))
		path_connect(path);
	else
		path_done(path, NULL, &path->error);
}

/* ---- beginning and end ---- */

void path_start(struct path *path, struct worker *worker, struct arena *arena, const struct path_ops *ops,
		const struct path_wish *wish, bool again)
{
	struct path_row *row = again ? path->row : NULL;
	bool direct_tried = again && path->direct_tried;
	struct error error = again && error_is(&path->error) ? path->error : error_make(ERROR_NO_SERVER, NULL);

	*path = (struct path){
		.worker = worker,
		.ops = ops,
		.arena = arena,
		.wish = *wish,
		.row = row,
		.error = error,
		.direct_tried = direct_tried,
	};
	loop_task_init(&path->next, path_on_next);
	path_set_state(path, PATH_CHOOSING);
	if (wish->parent_count && !path_need_row(path)) {
		path->error = error_make(ERROR_MEMORY, NULL);
		path->over = true;
	}
	if (!path->over && path_choose(path))
		path_connect(path);
	else
		loop_soon(&worker->loop, &path->next);
}

void path_cancel(struct path *path)
{
	if (path->state == PATH_IDLE)
		return;
	path_drop(path);
	path_set_state(path, PATH_IDLE);
}

const struct parent_server *path_last(const struct path *path)
{
	return path->direct || !path->row ? NULL : path_server(path, path->row->count - 1U);
}

void path_praise_last(struct path *path)
{
	if (path_last(path))
		path_praise(path, path->row->count);
}

void path_blame_last(struct path *path, bool maybe, const struct error *error)
{
	if (!path_last(path))
		return;
	path->error = *error;
	path_blame(path, path->row->count - 1U, maybe, error);
}

bool path_is_open(const struct worker *worker, uint32_t parent)
{
	struct parents *parents = parents_of(worker);

	if (parent == PARENT_DIRECT)
		return true;
	const struct parent_plan *plan = &parents_plans(parents)->items[parent];

	for (uint32_t i = 0; i < plan->count; i++)
		if (parent_server_is_well(parents, plan->servers[i].index, worker->loop.now))
			return true;
	return false;
}
