/*
 * Raw streams: the ends of a tunnel over plain connections. Made when a codec lets go of its connection; in the exchange's arena.
 */
#include "exchange/raw.h"

struct raw_stream {
	struct stream stream;
	struct conn *conn;
	struct relay *relay; /* moves the bytes of both ends; NULL: we do */
	bool ended;          /* the peer's FIN was seen */
	raw_gone_fn *on_gone;
	raw_claim_fn *claim; /* NULL: the codec has to stay */
	void *owner;
};

static const struct stream_ops raw_stream_ops;

static struct raw_stream *raw_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct raw_stream, stream);
}

/* ---- from the connection ---- */

static void raw_on_read(struct conn *conn, struct block *lent, struct span bytes)
{
	struct raw_stream *raw = conn->owner;

	switch (flow_push(raw->stream.in, lent, bytes)) {
	case FLOW_ROOM:
		conn_read_room(conn, flow_room(raw->stream.in));
		break;
	case FLOW_FULL:
		conn_read_stop(conn);
		break;
	case FLOW_NO_MEMORY:
		exchange_abort(raw->stream.exchange, &(struct error){.code = ERROR_MEMORY});
		break;
	}
}

static void raw_on_end(struct conn *conn)
{
	struct raw_stream *raw = conn->owner;

	raw->ended = true;
	flow_finish(raw->stream.in, NULL);
}

static void raw_on_sent(struct conn *conn, size_t bytes)
{
	struct raw_stream *raw = conn->owner;
	struct exchange *x = raw->stream.exchange;

	flow_settle(raw->stream.out, conn_unsent(conn));
	if (conn_unsent(conn) > 0)
		return;
	exchange_finish_tunnel(x);
	if (x->tunnel && x->state != EXCHANGE_OVER && x->service->ops->on_tunnel_flushed)
		x->service->ops->on_tunnel_flushed(x);
}

static void raw_on_fail(struct conn *conn, const struct error *error)
{
	struct raw_stream *raw = conn->owner;
	struct exchange *x = raw->stream.exchange;
	struct error mine = *error;

	mine.code = &raw->stream == x->down ? ERROR_CLIENT_GONE : ERROR_UPSTREAM_RESET;
	exchange_abort(x, &mine);
}

static const struct conn_ops raw_conn_ops = {
	.on_read = raw_on_read,
	.on_end = raw_on_end,
	.on_sent = raw_on_sent,
	.on_fail = raw_on_fail,
};

/* ---- from the exchange ---- */

static void raw_on_head(struct stream *stream, const struct http_head *head)
{
	/* Heads belong to codecs: a tunnel's end has none to send. */
}

static void raw_on_readable(struct stream *stream)
{
	struct raw_stream *raw = raw_of(stream);
	struct chunk_queue bytes = {0};

	flow_take(stream->out, &bytes);
	if (bytes.bytes)
		conn_write(raw->conn, &bytes);
	if (!stream->out->fin)
		return;
	conn_finish(raw->conn);
	exchange_finish_tunnel(stream->exchange);
}

static void raw_on_credit(struct stream *stream)
{
	conn_read_room(raw_of(stream)->conn, flow_room(stream->in));
	conn_read_start(raw_of(stream)->conn);
}

static void raw_stop(struct stream *stream)
{
	conn_read_stop(raw_of(stream)->conn);
}

static void raw_relay_end(struct exchange *x, struct relay *relay)
{
	struct stream *ends[] = {x->down, x->up};

	for (unsigned i = 0; i < ARRAY_LENGTH(ends); i++)
		if (ends[i] && ends[i]->ops == &raw_stream_ops)
			raw_of(ends[i])->relay = NULL;
	if (relay)
		relay_stop(relay);
}

/* Before the connection ends: nobody else may hold it. */
static void raw_let_go(struct raw_stream *raw)
{
	struct relay *relay = raw->relay;

	raw->relay = NULL;
	if (relay)
		raw_relay_end(raw->stream.exchange, relay);
}

static void raw_gone(struct raw_stream *raw)
{
	raw->conn = NULL;
	if (raw->on_gone)
		raw->on_gone(raw->owner);
}

static void raw_abort(struct stream *stream, const struct error *error)
{
	struct raw_stream *raw = raw_of(stream);

	raw_let_go(raw);
	/* The peer must not take this for a good end. */
	conn_reset(raw->conn);
	raw_gone(raw);
}

static void raw_detach(struct stream *stream)
{
	struct raw_stream *raw = raw_of(stream);

	raw_let_go(raw);
	conn_close(raw->conn);
	raw_gone(raw);
}

static struct stream *raw_become_raw(struct stream *stream)
{
	return stream;
}

static struct conn *raw_plain_conn(struct stream *stream)
{
	struct conn *conn = raw_of(stream)->conn;
	return conn_is_plain(conn) ? conn : NULL;
}

static const struct stream_ops raw_stream_ops = {
	.name = "raw",
	.on_head = raw_on_head,
	.on_readable = raw_on_readable,
	.on_credit = raw_on_credit,
	.stop = raw_stop,
	.abort = raw_abort,
	.detach = raw_detach,
	.become_raw = raw_become_raw,
	.plain_conn = raw_plain_conn,
};

struct stream *raw_stream_new(struct exchange *x, struct conn *conn, struct flow *in, struct flow *out,
			      struct chunk_queue *early, bool ended, raw_gone_fn *on_gone, void *owner)
{
	struct raw_stream *raw = arena_zalloc(&x->arena, 1, sizeof(*raw));
	if (!raw)
		return NULL;
	raw->stream = (struct stream){.ops = &raw_stream_ops, .exchange = x, .in = in, .out = out};
	raw->conn = conn;
	raw->ended = ended;
	raw->on_gone = on_gone;
	raw->owner = owner;
	conn_adopt(conn, &raw_conn_ops, raw);
	enum flow_room room = FLOW_ROOM;
	if (early && early->bytes)
		room = flow_push_queue(in, early);
	if (ended)
		flow_finish(in, NULL);
	else if (room == FLOW_ROOM)
		conn_read_start(conn);
	else
		conn_read_stop(conn);
	return &raw->stream;
}

bool raw_stream_is(const struct stream *stream)
{
	return stream && stream->ops == &raw_stream_ops;
}

/* ---- both at once ---- */

static void raw_on_moved(struct relay *relay, uint64_t down_to_up, uint64_t up_to_down)
{
	struct exchange *x = relay_owner(relay);

	x->request_body.total += down_to_up;
	x->response_body.total += up_to_down;
}

static void raw_on_relayed(struct relay *relay, const struct error *error)
{
	struct exchange *x = relay_owner(relay);

	raw_relay_end(x, NULL); /* it frees itself */
	if (error_is(error))
		exchange_abort(x, error);
	else
		exchange_finish(x);
}

static const struct relay_ops raw_relay_ops = {
	.on_moved = raw_on_moved,
	.on_done = raw_on_relayed,
};

/* Both ends are raw, no byte is on its way through the flows, and none has to be paid for there. */
static bool raw_is_clear(const struct exchange *x)
{
	struct stream *down = x->down, *up = x->up;

	return down && up && down->ops == &raw_stream_ops && up->ops == &raw_stream_ops &&
	       !raw_of(down)->relay && !x->request_body.meter && !x->response_body.meter &&
	       flow_idle(&x->request_body) && flow_idle(&x->response_body) && raw_plain_conn(down) &&
	       raw_plain_conn(up);
}

static struct relay *raw_start_relay(struct exchange *x, const struct relay_ops *ops, void *owner)
{
	struct raw_stream *down = raw_of(x->down), *up = raw_of(x->up);

	return relay_start(down->conn, up->conn, down->ended, up->ended, ops, owner);
}

bool raw_relay(struct exchange *x)
{
	if (!raw_is_clear(x))
		return false;
	struct relay *relay = raw_start_relay(x, &raw_relay_ops, x);
	raw_of(x->down)->relay = raw_of(x->up)->relay = relay;
	return relay != NULL;
}

void raw_set_claim(struct stream *stream, raw_claim_fn *claim)
{
	raw_of(stream)->claim = claim;
}

bool raw_may_leave(const struct exchange *x)
{
	return raw_is_clear(x) && raw_of(x->down)->claim && !raw_of(x->up)->on_gone;
}

bool raw_leave(struct exchange *x, const struct relay_ops *ops, void *owner, struct raw_tunnel *tunnel)
{
	struct raw_stream *down = raw_of(x->down), *up = raw_of(x->up);

	*tunnel = (struct raw_tunnel){.down = down->conn, .up = up->conn};
	tunnel->relay = raw_start_relay(x, ops, owner);
	if (!tunnel->relay)
		return false;
	down->claim(down->owner, &tunnel->claim);
	down->conn = up->conn = NULL;
	return true;
}
