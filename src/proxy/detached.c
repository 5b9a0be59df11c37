/*
 * See detached.h. Records are kept in the order of their last bytes, so that one timer finds those that are silent for too long.
 */
#include "proxy/detached.h"

#include "exchange/raw.h"
#include "net/relay.h"
#include "proxy/proxy_internal.h"

enum { LOOKS = 4 }; /* how often within timeouts.tunnel silence is looked for */

struct detached_room {
	struct worker *worker;
	struct link all; /* struct detached, silent for longest first */
	struct timer timer;
};

/* Who asked, for what, where that is; by which parent, from which address. */
enum text { TEXT_USER, TEXT_AUTHORITY, TEXT_SERVER, TEXT_PARENT, TEXT_SOURCE, TEXTS };

/* What is left of an exchange. Its texts follow it. */
struct detached {
	struct link link;
	struct worker *worker;
	struct relay *relay;
	struct conn *down, *up;
	const struct proxy_listener *listener;
	struct client_claim claim;
	uint64_t began_us;
	uint64_t seen_ms; /* loop clock: of the last bytes */
	uint64_t in, out;
	struct span rule; /* the snapshot's */
	struct loop_task retire;
	uint32_t exit; /* RULE_NONE: none */
	uint16_t status;
	uint16_t lens[TEXTS];
	uint8_t version, scheme;
	char texts[];
};

static struct detached_room *detached_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_DETACHED];
}

/* ---- the record ---- */

static size_t detached_size(const struct detached *detached)
{
	size_t size = sizeof(*detached);

	for (unsigned i = 0; i < TEXTS; i++)
		size += detached->lens[i];
	return size;
}

static void put_texts(struct detached *detached, const struct span texts[TEXTS])
{
	char *at = detached->texts;

	for (unsigned i = 0; i < TEXTS; i++) {
		detached->lens[i] = (uint16_t)texts[i].len;
		if (texts[i].len)
			memcpy(at, texts[i].at, texts[i].len);
		at += texts[i].len;
	}
}

static struct span get_text(const struct detached *detached, enum text which)
{
	const char *at = detached->texts;

	for (unsigned i = 0; i < (unsigned)which; i++)
		at += detached->lens[i];
	return span_make(at, detached->lens[which]);
}

/* NULL: out of memory, or texts that no record holds. */
static struct detached *detached_new(const struct exchange *x, const struct proxy_exchange *p)
{
	const struct forward_exchange *forward = &p->forward;
	const struct span texts[TEXTS] = {
		[TEXT_USER] = forward->user,          [TEXT_AUTHORITY] = p->authority,
		[TEXT_SERVER] = p->server_text,       [TEXT_PARENT] = forward->parent,
		[TEXT_SOURCE] = forward->source_text,
	};
	size_t size = sizeof(struct detached);

	for (unsigned i = 0; i < TEXTS; i++) {
		if (texts[i].len > UINT16_MAX)
			return NULL;
		size += texts[i].len;
	}
	struct detached *detached = memory_alloc(x->worker->memory, size);
	if (!detached)
		return NULL;
	*detached = (struct detached){
		.worker = x->worker,
		.listener = p->listener,
		.began_us = x->began_us,
		.seen_ms = x->worker->loop.now,
		.in = x->request_body.total,
		.out = x->response_body.total,
		.rule = forward->verdict.name,
		.exit = forward->way.bound || forward->way.interface ? forward->exit : RULE_NONE,
		.status = x->response.status,
		.version = x->request.version,
		.scheme = (uint8_t)forward->scheme,
	};
	put_texts(detached, texts);
	return detached;
}

/* The line that the exchange would have had. */
static void detached_log(const struct detached *detached, const struct error *error)
{
	struct client client = {.address = detached->claim.address};
	struct exchange x = {
		.worker = detached->worker,
		.service = &detached->listener->service,
		.client = &client,
		.state = EXCHANGE_OVER,
		.tunnel = true,
		.request = {.method = HTTP_METHOD_CONNECT,
			    .method_text = SPAN("CONNECT"),
			    .target_form = HTTP_TARGET_AUTHORITY,
			    .version = detached->version},
		.response = {.status = detached->status},
		.request_body = {.total = detached->in},
		.response_body = {.total = detached->out},
		.began_us = detached->began_us,
		.error = *error,
	};
	struct proxy_exchange p = {
		.exchange = &x,
		.listener = detached->listener,
		.origin = {.client = detached->claim.address},
		.authority = get_text(detached, TEXT_AUTHORITY),
		.server_text = get_text(detached, TEXT_SERVER),
		.forward = {.user = get_text(detached, TEXT_USER),
			    .scheme = (enum rule_scheme)detached->scheme,
			    .verdict = {.outcome = VERDICT_ALLOW,
					.reason = detached->rule.len ? VERDICT_BY_RULE : VERDICT_BY_DEFAULT,
					.name = detached->rule},
			    .parent = get_text(detached, TEXT_PARENT),
			    .way = {.bound = detached->exit != RULE_NONE},
			    .exit = detached->exit,
			    .source_text = get_text(detached, TEXT_SOURCE)},
	};

	x.request.authority = p.authority;
	access_log_write(&x, &p);
}

static void detached_free(struct loop_task *task)
{
	struct detached *detached = CONTAINER_OF(task, struct detached, retire);

	memory_free(detached->worker->memory, detached, detached_size(detached));
}

/* The relay has let go of both connections. */
static void detached_end(struct detached *detached, const struct error *error)
{
	struct worker *worker = detached->worker;
	struct client client = {.address = detached->claim.address};
	struct conn *ends[] = {detached->down, detached->up};

	for (unsigned i = 0; i < ARRAY_LENGTH(ends); i++) {
		if (error_is(error))
			conn_reset(ends[i]); /* the peer must not take this for a good end */
		else
			conn_close(ends[i]);
	}
	list_remove(&detached->link);
	detached_log(detached, error);
	detached->claim.on_gone(detached->claim.owner, &client);
	loop_retire(&worker->loop, &detached->retire);
}

static void detached_abort(struct detached *detached, enum error_code code)
{
	struct error error = error_make(code, NULL);

	relay_stop(detached->relay);
	detached_end(detached, &error);
}

/* ---- from the relay ---- */

static void detached_on_moved(struct relay *relay, uint64_t up, uint64_t down)
{
	struct detached *detached = relay_owner(relay);
	struct worker *worker = detached->worker;

	detached->in += up;
	detached->out += down;
	detached->seen_ms = worker->loop.now;
	list_remove(&detached->link);
	list_push(&detached_room(worker)->all, &detached->link);
}

static void detached_on_done(struct relay *relay, const struct error *error)
{
	detached_end(relay_owner(relay), error);
}

static const struct relay_ops detached_relay_ops = {
	.on_moved = detached_on_moved,
	.on_done = detached_on_done,
};

/* ---- silence ---- */

static uint64_t detached_timeout(const struct detached *detached)
{
	return detached->listener->service.timeouts->tunnel;
}

static struct detached *silent_for_longest(struct detached_room *room)
{
	return list_empty(&room->all) ? NULL : CONTAINER_OF(room->all.next, struct detached, link);
}

/* A tunnel ends between one timeout and a quarter more after its last byte. */
static void look_again(struct detached_room *room)
{
	const struct detached *first = silent_for_longest(room);

	if (first && detached_timeout(first))
		loop_timer_start(&room->worker->loop, &room->timer, detached_timeout(first) / LOOKS + 1);
}

static void on_timer(struct timer *timer)
{
	struct detached_room *room = CONTAINER_OF(timer, struct detached_room, timer);
	struct detached *detached;

	while ((detached = silent_for_longest(room)) &&
	       room->worker->loop.now - detached->seen_ms >= detached_timeout(detached))
		detached_abort(detached, ERROR_TUNNEL_IDLE);
	look_again(room);
}

/* ---- room ---- */

bool detached_room_init(struct worker *worker)
{
	struct detached_room *room = memory_alloc(worker->memory, sizeof(*room));

	if (!room)
		return false;
	*room = (struct detached_room){.worker = worker};
	list_init(&room->all);
	timer_init(&room->timer, on_timer);
	worker->slots[WORKER_SLOT_DETACHED] = room;
	return true;
}

void detached_room_fini(struct worker *worker)
{
	struct detached_room *room = detached_room(worker);

	if (!room)
		return;
	loop_timer_stop(&worker->loop, &room->timer);
	memory_free(worker->memory, room, sizeof(*room));
	worker->slots[WORKER_SLOT_DETACHED] = NULL;
}

size_t detached_count(const struct worker *worker)
{
	const struct link *head = &detached_room(worker)->all;
	size_t count = 0;

	for (const struct link *link = head->next; link != head; link = link->next)
		count++;
	return count;
}

void detached_cut(struct worker *worker)
{
	struct detached *detached;

	while ((detached = silent_for_longest(detached_room(worker))))
		detached_abort(detached, ERROR_DRAINING);
}

bool detached_begin(struct exchange *x, struct proxy_exchange *p)
{
	struct detached_room *room = detached_room(x->worker);
	struct raw_tunnel tunnel;

	/* What counts against an allowance does so until it ends. */
	if (p->listener->face != PROXY_FORWARD || x->request.method != HTTP_METHOD_CONNECT ||
	    p->forward.allowed || !raw_may_leave(x))
		return false;
	struct detached *detached = detached_new(x, p);
	if (!detached)
		return false;
	if (!raw_leave(x, &detached_relay_ops, detached, &tunnel)) {
		memory_free(x->worker->memory, detached, detached_size(detached));
		return false;
	}
	detached->relay = tunnel.relay;
	detached->down = tunnel.down;
	detached->up = tunnel.up;
	detached->claim = tunnel.claim;
	loop_task_init(&detached->retire, detached_free);
	list_push(&room->all, &detached->link);
	if (!timer_active(&room->timer))
		look_again(room);
	p->detached = true;
	exchange_leave(x);
	return true;
}
