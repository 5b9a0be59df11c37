/*
 * See hedge.h. On the exchange's worker; it lies in the exchange's arena.
 */
#include "proxy/hedge.h"

#include "exchange/subrequest.h"
#include "proxy/proxy_internal.h"

enum hedge_state {
	HEDGE_IDLE,
	HEDGE_ARMED,  /* the timer runs */
	HEDGE_BESIDE, /* under way, and so is the first try */
	HEDGE_LEADS,  /* it is the try */
	HEDGE_OVER,
};

struct hedge {
	struct proxy_exchange *p;
	struct session *session; /* that it is on */
	uint8_t state;           /* enum hedge_state */
	bool used;               /* it has begun */
	bool reused;             /* on a connection that had served before */
	struct timer timer;
	struct subrequest *sub;
	struct acquire acquire;
	struct upstream_ticket ticket; /* while it is beside */
	struct stream bridge;          /* the exchange's up stream, when it leads */
};

/* What may follow each state, as bits. */
static const uint8_t hedge_moves[] = {
	[HEDGE_IDLE] = 1 << HEDGE_ARMED,
	[HEDGE_ARMED] = 1 << HEDGE_ARMED | 1 << HEDGE_BESIDE | 1 << HEDGE_OVER,
	[HEDGE_BESIDE] = 1 << HEDGE_LEADS | 1 << HEDGE_OVER,
	[HEDGE_LEADS] = 1 << HEDGE_OVER,
	[HEDGE_OVER] = 0,
};

static void hedge_set_state(struct hedge *hedge, enum hedge_state state)
{
	ENSURE(hedge_moves[hedge->state] & 1 << state);
	hedge->state = (uint8_t)state;
}

static struct exchange *hedge_exchange(const struct hedge *hedge)
{
	return hedge->p->exchange;
}

bool hedge_is_beside(const struct proxy_exchange *p)
{
	return p->hand_over.hedge && p->hand_over.hedge->state == HEDGE_BESIDE;
}

bool hedge_was_used(const struct proxy_exchange *p)
{
	return p->hand_over.hedge && p->hand_over.hedge->used;
}

/* ---- ends ---- */

/* Nothing of it is under way any more, and it is told nothing. */
static void hedge_stop(struct hedge *hedge)
{
	hedge_set_state(hedge, HEDGE_OVER);
	loop_timer_stop(&hedge_exchange(hedge)->worker->loop, &hedge->timer);
	acquire_cancel(&hedge->acquire);
	if (hedge->sub)
		subrequest_cancel(hedge->sub);
}

/* It stood beside, and has not won: the first try goes on alone, and its retries ask others. */
static void hedge_withdraw(struct hedge *hedge)
{
	hedge_stop(hedge);
	hand_over_leave_server(hedge_exchange(hedge), &hedge->p->hand_over, &hedge->ticket);
}

void hedge_cancel(struct proxy_exchange *p)
{
	struct hedge *hedge = p->hand_over.hedge;

	if (!hedge)
		return;
	if (hedge->state == HEDGE_ARMED || hedge->state == HEDGE_BESIDE)
		hedge_stop(hedge);
	upstream_release(&hedge->ticket);
}

/* ---- the bridge: the up stream of an exchange whose hedge is the try ---- */

static struct hedge *hedge_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct hedge, bridge);
}

/* Passes on what has come, if the client's flow has room. May be the end of the subrequest. */
static void hedge_move_content(struct hedge *hedge)
{
	struct flow *from = &hedge->sub->x->response_body, *to = &hedge_exchange(hedge)->response_body;
	struct chunk_queue bytes = {0};

	if (to->full || chunk_queue_empty(&from->queue))
		return;
	flow_take(from, &bytes);
	if (flow_push_queue(to, &bytes) == FLOW_NO_MEMORY) {
		chunk_queue_clear(&to->worker->buffers, &bytes);
		exchange_abort(hedge_exchange(hedge), &(struct error){.code = ERROR_MEMORY});
		return;
	}
	subrequest_settle(hedge->sub, 0);
}

/* The request has gone already. */
static void bridge_on_head(struct stream *stream, const struct http_head *head)
{
}

/* It has no content. */
static void bridge_on_readable(struct stream *stream)
{
}

static void bridge_on_credit(struct stream *stream)
{
	struct hedge *hedge = hedge_of(stream);

	if (hedge->state == HEDGE_LEADS)
		hedge_move_content(hedge);
}

static void bridge_stop(struct stream *stream)
{
	struct hedge *hedge = hedge_of(stream);

	if (hedge->state == HEDGE_LEADS)
		hedge_stop(hedge);
}

static void bridge_abort(struct stream *stream, const struct error *error)
{
	bridge_stop(stream);
}

static struct stream *bridge_become_raw(struct stream *stream)
{
	return NULL;
}

static struct conn *bridge_plain_conn(struct stream *stream)
{
	return NULL;
}

static const struct stream_ops bridge_ops = {
	.name = "hedge",
	.on_head = bridge_on_head,
	.on_readable = bridge_on_readable,
	.on_credit = bridge_on_credit,
	.stop = bridge_stop,
	.abort = bridge_abort,
	.detach = bridge_stop,
	.become_raw = bridge_become_raw,
	.plain_conn = bridge_plain_conn,
};

void hedge_lead(struct exchange *x, struct proxy_exchange *p)
{
	struct hedge *hedge = p->hand_over.hedge;

	hedge_set_state(hedge, HEDGE_LEADS);
	upstream_ticket_move(&p->hand_over.ticket, &hedge->ticket);
	p->reused = hedge->reused;
	p->session = hedge->session;
	hedge->bridge.ops = &bridge_ops;
	exchange_set_up(x, &hedge->bridge);
}

/* ---- what the subrequest tells ---- */

static void hedge_on_head(struct subrequest *sub)
{
	struct hedge *hedge = sub->owner;
	struct proxy_exchange *p = hedge->p;
	struct exchange *x = p->exchange;

	if (hedge->state == HEDGE_BESIDE && hand_over_would_retry(p, sub->x->response.status)) {
		/* The other one may do better. */
		upstream_on_answer(&hedge->ticket, sub->x->response.status);
		hedge_withdraw(hedge);
		return;
	}
	if (hedge->state == HEDGE_BESIDE)
		hand_over_overtake(x, p);
	if (http_head_copy(&x->response, &sub->x->response, &x->arena))
		exchange_on_response(x);
	else
		exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
}

static void hedge_on_bytes(struct subrequest *sub)
{
	hedge_move_content(sub->owner);
}

/* All of the response has been passed on, but for its trailers. */
static void hedge_on_complete(struct hedge *hedge)
{
	const struct http_fields *trailers = hedge->sub->x->response_body.trailers;
	struct exchange *x = hedge_exchange(hedge);
	struct http_fields *copy = NULL;

	hedge_set_state(hedge, HEDGE_OVER);
	if (trailers) {
		copy = arena_zalloc(&x->arena, 1, sizeof(*copy));
		if (!copy || !http_fields_copy(copy, trailers, &x->arena)) {
			exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
			return;
		}
	}
	exchange_on_trailers(x, copy, true);
	flow_finish(&x->response_body, copy);
	exchange_on_up_done(x);
}

static void hedge_on_end(struct subrequest *sub, const struct error *error)
{
	struct hedge *hedge = sub->owner;

	acquire_cancel(&hedge->acquire);
	if (!error) {
		hedge_on_complete(hedge);
	} else if (hedge->state == HEDGE_LEADS) {
		hedge_set_state(hedge, HEDGE_OVER);
		exchange_on_up_error(hedge_exchange(hedge), error);
	} else {
		hand_over_blame(&hedge->ticket, error);
		hedge_withdraw(hedge);
	}
}

static const struct subrequest_ops hedge_sub_ops = {
	.on_head = hedge_on_head,
	.on_bytes = hedge_on_bytes,
	.on_end = hedge_on_end,
};

/* ---- the second try ---- */

static void hedge_send(struct hedge *hedge, struct session *session)
{
	struct exchange *x = hedge->sub->x;
	struct stream *stream = session->ops->open(session, x);

	hedge->session = session;
	if (stream) {
		exchange_set_up(x, stream);
		return;
	}
	session_discard(session);
	exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
}

static void hedge_on_session(struct acquire *acquire, struct session *session)
{
	hedge_send(CONTAINER_OF(acquire, struct hedge, acquire), session);
}

static void hedge_on_no_session(struct acquire *acquire, const struct error *error)
{
	exchange_abort(CONTAINER_OF(acquire, struct hedge, acquire)->sub->x, error);
}

static const struct acquire_ops hedge_acquire_ops = {
	.on_session = hedge_on_session,
	.on_failed = hedge_on_no_session,
};

/* The subrequest, which borrows the request: it never outlives the exchange. False: out of memory. */
static bool hedge_make(struct hedge *hedge)
{
	struct exchange *x = hedge_exchange(hedge);

	hedge->sub = subrequest_new(x->worker, x->service, x->client, &hedge_sub_ops, hedge);
	if (!hedge->sub)
		return false;
	hedge->sub->service.ops = &subrequest_plain_ops;
	hedge->sub->x->request = x->request;
	hedge->sub->x->request.authority = reverse_host(hedge->p, hedge->ticket.server->fleet);
	flow_finish(&hedge->sub->x->request_body, NULL);
	return true;
}

static void hedge_begin(struct hedge *hedge)
{
	struct upstream_server *server = hedge->ticket.server;
	struct proxy_exchange *p = hedge->p;
	struct session *session = session_pool_take(&server->pool);
	const struct acquire_wish wish = {
		.kind = ACQUIRE_SESSION,
		.source = &p->origin.client,
		.destination = &p->exchange->client->local,
	};

	hedge->reused = session != NULL;
	exchange_begin(hedge->sub->x);
	if (session)
		hedge_send(hedge, session);
	else if (!acquire_start(&hedge->acquire, &hedge_acquire_ops, p->hand_over.group, server, &wish))
		exchange_abort(hedge->sub->x, &(struct error){.code = ERROR_MEMORY});
}

/* The try takes long. */
static void hedge_on_late(struct timer *timer)
{
	struct hedge *hedge = CONTAINER_OF(timer, struct hedge, timer);
	struct proxy_exchange *p = hedge->p;

	if (p->pinned || memory_pressure(p->exchange->worker->memory) != MEMORY_EASY ||
	    !hand_over_pick_beside(p, &hedge->ticket))
		return;
	hedge_set_state(hedge, HEDGE_BESIDE);
	hedge->used = true;
	if (hedge_make(hedge))
		hedge_begin(hedge);
	else
		hedge_withdraw(hedge);
}

/* Its checks say that the server is down: the first try goes on alone. */
static void hedge_on_down(struct upstream_ticket *ticket)
{
	hedge_withdraw(CONTAINER_OF(ticket, struct hedge, ticket));
}

/* ---- when ---- */

static bool hedge_may(const struct exchange *x, const struct proxy_exchange *p)
{
	return p->listener->face == PROXY_REVERSE && !p->is_mirror && !p->binding &&
	       http_method_is_safe(x->request.method) && !http_head_has_body(&x->request) &&
	       x->request.protocol.len == 0;
}

static struct hedge *hedge_new(struct exchange *x, struct proxy_exchange *p)
{
	struct hedge *hedge = arena_zalloc(&x->arena, 1, sizeof(*hedge));

	if (!hedge)
		return NULL;
	hedge->p = p;
	hedge->ticket.on_down = hedge_on_down;
	timer_init(&hedge->timer, hedge_on_late);
	return hedge;
}

void hedge_arm(struct exchange *x, struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;
	const struct hedge_settings *settings = &hand->group->settings->hedge;

	if (!settings->percentile || !hedge_may(x, p))
		return;
	uint64_t usual = latency_digest_at(&hand->group->latencies, (unsigned)settings->percentile);
	if (!usual)
		return; /* too little is known */
	if (!hand->hedge)
		hand->hedge = hedge_new(x, p);
	if (!hand->hedge || hand->hedge->state > HEDGE_ARMED)
		return;
	hedge_set_state(hand->hedge, HEDGE_ARMED);
	loop_timer_start(&x->worker->loop, &hand->hedge->timer,
			 size_max((usual + 999) / 1000, settings->minimum));
}
