/*
 * See hand_over.h. On the exchange's worker.
 */
#include "proxy/hand_over.h"

#include "proxy/hedge.h"
#include "proxy/proxy_internal.h"
#include "proxy/sticky.h"
#include "upstream/pinned.h"

static struct proxy_exchange *hand_over_owner(struct hand_over *hand)
{
	return CONTAINER_OF(hand, struct proxy_exchange, hand_over);
}

/* ---- one try ---- */

static void hand_over_stop_timer(struct hand_over *hand)
{
	loop_timer_stop(&hand->group->worker->loop, &hand->late);
}

static uint64_t hand_over_gone_ms(const struct hand_over *hand)
{
	return (hand->group->worker->loop.now_us - hand->ticket.began_us) / 1000;
}

/* timeouts.try, from the moment at which the ticket was taken, or was no longer in line for a connection. */
static void hand_over_start_timer(struct hand_over *hand)
{
	struct loop *loop = &hand->group->worker->loop;
	uint64_t most = hand->group->settings->timeouts.try_;
	uint64_t gone = hand_over_gone_ms(hand);

	if (most)
		loop_timer_start(loop, &hand->late, most > gone ? most - gone : 1);
}

/* Its text is in the log, and its name in the request: it stays until the exchange is over, wherever the ticket is then. */
static void hand_over_name(struct proxy_exchange *p, struct upstream_server *server)
{
	struct hand_over *hand = &p->hand_over;

	if (server)
		upstream_server_use(server);
	if (hand->named)
		upstream_server_unuse(hand->named);
	hand->named = server;
	if (server)
		p->server_text = server->fleet->text;
}

/* At the server of the ticket. */
static void hand_over_try(struct exchange *x, struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;

	hand_over_name(p, hand->ticket.server);
	hand_over_start_timer(hand);
	hedge_arm(x, p);
	if (p->listener->face == PROXY_TCP)
		tcp_try(x, p);
	else
		reverse_try(x, p);
}

/* Ends what is under way; `error` is why. */
static void hand_over_drop(struct exchange *x, struct hand_over *hand, const struct error *error)
{
	acquire_cancel(&hand->acquire);
	exchange_drop_up(x, error);
}

/* ---- whether another try is safe, and there are any left ---- */

bool hand_over_is_safe(const struct exchange *x, const struct error *error)
{
	return flow_can_rewind(&x->request_body) &&
	       (error->unprocessed || http_method_is_idempotent(x->request.method));
}

/* What another server may do better. */
static bool is_worth_it(const struct error *error)
{
	switch ((enum error_code)error->code) {
	case ERROR_UPSTREAM_CLOSED:
	case ERROR_UPSTREAM_RESET:
	case ERROR_UPSTREAM_TRUNCATED:
		return true;
	case ERROR_OVERLOADED:
		return false; /* no connection may be made, wherever to: it was waited for */
	case ERROR_UPSTREAM_TIMEOUT:
		/* timeouts.response is all the patience there is: timeouts.try is the one that another try follows. */
		return false;
	default:
		/*
		 * An answer that nobody can read is an answer: the next server would give the same, and a request that breaks servers need
		 * not meet them all.
		 */
		return error->unprocessed;
	}
}

/* One more try is paid for. What never left costs no server anything. */
static bool hand_over_pay(struct hand_over *hand, bool unprocessed)
{
	struct upstream_group *group = hand->group;

	if (!hand->retrying && !fleet_enter(group->fleet, FLEET_RETRIES))
		return false;
	if (!unprocessed && !retry_budget_spend(&group->budget, group->worker->loop.now)) {
		if (!hand->retrying)
			fleet_leave(group->fleet, FLEET_RETRIES);
		return false;
	}
	hand->retrying = true;
	return true;
}

static bool hand_over_spend(struct hand_over *hand, bool unprocessed)
{
	if (hand->tries >= hand->group->settings->retries || !hand_over_pay(hand, unprocessed))
		return false;
	hand->tries++;
	return true;
}

/* A try that may be answered yet is given up only for another one, at another server; that is paid for then. */
static bool hand_over_may_leave(const struct exchange *x, struct hand_over *hand, const struct error *error)
{
	return !hand_over_owner(hand)->pinned && hand_over_is_safe(x, error) &&
	       upstream_has_another(hand->group, &hand->query, hand->ticket.server) &&
	       hand_over_spend(hand, error->unprocessed);
}

/* The server is not asked again. */
static void hand_over_mark_tried(struct exchange *x, struct hand_over *hand, struct upstream_server *server)
{
	if (!hand->tried)
		hand->tried = arena_zalloc(&x->arena, UPSTREAM_TRIED_MOST, sizeof(*hand->tried));
	if (!hand->tried || hand->query.tried_count + 1 >= UPSTREAM_TRIED_MOST)
		return;
	upstream_server_use(server);
	hand->query.tried = hand->tried;
	hand->tried[hand->query.tried_count++] = server;
}

void hand_over_leave_server(struct exchange *x, struct hand_over *hand, struct upstream_ticket *ticket)
{
	struct upstream_server *server = ticket->server;

	upstream_server_use(server);
	upstream_release(ticket);
	hand_over_mark_tried(x, hand, server);
	upstream_server_unuse(server);
}

void hand_over_blame(struct upstream_ticket *ticket, const struct error *error)
{
	if (error_source(error) == ERROR_SOURCE_SERVER || error_source(error) == ERROR_SOURCE_RESOLVER)
		upstream_on_failure(ticket, error);
}

/* ---- picking ---- */

/* The last try is over. Of servers that could not be reached the client hears that there is none now, and that it may come again. */
static void hand_over_fail(struct exchange *x, struct error error)
{
	switch ((enum error_code)error.code) {
	case ERROR_CONNECT_REFUSED:
	case ERROR_UNREACHABLE:
	case ERROR_DNS_FAILED:
		error.text = error_text(&error);
		error.code = ERROR_NO_SERVER;
		break;
	default:
		break;
	}
	exchange_fail(x, &error);
}

/* No try follows: the last one's failure is why, if there was one. */
static void hand_over_refuse(struct exchange *x, struct hand_over *hand, enum error_code code, const char *text)
{
	hand_over_fail(x, error_is(&hand->error) ? hand->error : error_make(code, text));
}

static bool hand_over_on_room(struct upstream_wait *wait)
{
	struct hand_over *hand = CONTAINER_OF(wait, struct hand_over, wait);
	struct proxy_exchange *p = hand_over_owner(hand);
	enum upstream_pick result = upstream_pick(hand->group, &hand->query, &hand->ticket);

	if (result == UPSTREAM_FULL)
		return false;
	upstream_wait_cancel(wait);
	if (result == UPSTREAM_PICKED)
		hand_over_try(p->exchange, p);
	else
		hand_over_refuse(p->exchange, hand, ERROR_NO_SERVER, NULL);
	return true;
}

static void hand_over_on_late_room(struct upstream_wait *wait)
{
	struct hand_over *hand = CONTAINER_OF(wait, struct hand_over, wait);

	hand_over_refuse(hand_over_owner(hand)->exchange, hand, ERROR_OVERLOADED, "no server had room in time");
}

static const struct upstream_wait_ops hand_over_wait_ops = {
	.on_room = hand_over_on_room,
	.on_late = hand_over_on_late_room,
};

/* What comes of a pick: the next try, or a place in the queue; else hand->error, or that there is none. */
static void hand_over_take(struct exchange *x, struct proxy_exchange *p, enum upstream_pick picked)
{
	struct hand_over *hand = &p->hand_over;

	switch (picked) {
	case UPSTREAM_PICKED:
		hand_over_try(x, p);
		break;
	case UPSTREAM_FULL:
		if (!upstream_wait_start(&hand->wait, hand->group, &hand_over_wait_ops,
					 hand->query.tried_count > 0))
			hand_over_refuse(x, hand, ERROR_OVERLOADED, "all servers are busy, and too many wait");
		break;
	case UPSTREAM_NONE:
		hand_over_refuse(x, hand, ERROR_NO_SERVER, NULL);
		break;
	}
}

static void hand_over_pick(struct exchange *x, struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;
	bool behind = upstream_has_queue(hand->group) && !hand->query.sticky && !hand->query.pinned;

	hand_over_take(x, p, behind ? UPSTREAM_FULL : upstream_pick(hand->group, &hand->query, &hand->ticket));
}

/* ---- a hedge ---- */

bool hand_over_pick_beside(struct proxy_exchange *p, struct upstream_ticket *ticket)
{
	struct hand_over *hand = &p->hand_over;
	struct upstream_server *asked[UPSTREAM_TRIED_MOST];
	struct upstream_query query = hand->query;

	if (!hand->ticket.server || query.tried_count + 1 >= UPSTREAM_TRIED_MOST ||
	    !upstream_has_another(hand->group, &hand->query, hand->ticket.server) ||
	    !hand_over_pay(hand, false))
		return false;
	for (unsigned i = 0; i < query.tried_count; i++)
		asked[i] = query.tried[i];
	asked[query.tried_count++] = hand->ticket.server;
	query.tried = asked;
	return upstream_pick(hand->group, &query, ticket) == UPSTREAM_PICKED;
}

bool hand_over_would_retry(const struct proxy_exchange *p, unsigned status)
{
	return status_set_has(&p->hand_over.group->plan->retry_on, status);
}

/* The try is over, and its stream is gone; the hedge beside it goes on in its place. */
static void hand_over_follow(struct exchange *x, struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;

	hand_over_leave_server(x, hand, &hand->ticket);
	p->fresh = false;
	hedge_lead(x, p);
	hand_over_name(p, hand->ticket.server);
	hand_over_start_timer(hand);
}

void hand_over_overtake(struct exchange *x, struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;

	/* How long it would have taken is not known, but it was at least so long: without that, what is usual would seem ever less. */
	latency_digest_add(&hand->group->latencies, x->worker->loop.now_us - hand->ticket.began_us);
	hand_over_stop_timer(hand);
	hand_over_drop(x, hand, &(struct error){.code = ERROR_CLIENT_GONE});
	hand_over_follow(x, p);
}

/* ---- failures ---- */

/* One fresh connection to the same server: the old one was idle, and ended as it was taken. */
static void hand_over_refresh(struct exchange *x, struct proxy_exchange *p)
{
	flow_rewind(&x->request_body);
	p->fresh = true;
	hand_over_try(x, p);
}

/* Another server, after a failure that has been judged. The ticket is still held. */
static void hand_over_again(struct exchange *x, struct proxy_exchange *p, const struct error *error)
{
	struct hand_over *hand = &p->hand_over;
	bool refused = error->code == ERROR_UPSTREAM_REFUSED;

	flow_rewind(&x->request_body);
	p->fresh = false;
	hand->error = *error;
	hand_over_leave_server(x, hand, &hand->ticket);
	enum upstream_pick picked = upstream_pick(hand->group, &hand->query, &hand->ticket);
	if (picked == UPSTREAM_NONE && refused && hand->query.tried_count > 0) {
		/* A server that refuses a stream is alive (RFC 9113 8.7): where there is no other one, it is asked again. */
		upstream_server_unuse(hand->tried[--hand->query.tried_count]);
		hand_over_pick(x, p);
	} else {
		hand_over_take(x, p, picked);
	}
}

void hand_over_on_failed(struct exchange *x, struct proxy_exchange *p, const struct error *error)
{
	struct hand_over *hand = &p->hand_over;
	bool safe = hand_over_is_safe(x, error) && !p->pinned;
	bool stale = p->reused && error->unanswered && error->code != ERROR_UPSTREAM_TIMEOUT;

	hand_over_stop_timer(hand);
	if (safe && stale) {
		hand_over_refresh(x, p);
		return;
	}
	/* That an idle connection ends at its next request says nothing of the server. */
	if (!stale)
		hand_over_blame(&hand->ticket, error);
	if (pinning_on_failed(x, p, error))
		return;
	if (hedge_is_beside(p))
		hand_over_follow(x, p);
	else if (safe && is_worth_it(error) && hand_over_spend(hand, error->unprocessed))
		hand_over_again(x, p, error);
	else
		hand_over_fail(x, *error);
}

/* The request is on its way, and it is the client that has not sent the rest of it. */
static bool hand_over_waits_for_client(const struct exchange *x, const struct hand_over *hand)
{
	return !hand->acquire.attempt && !x->request_body.fin && flow_idle(&x->request_body);
}

/* Another try follows, or goes on already, if this one is given up. */
static bool hand_over_may_give_up(struct exchange *x, struct proxy_exchange *p, const struct error *error)
{
	return hedge_is_beside(p) || hand_over_may_leave(x, &p->hand_over, error);
}

/* It was given up. */
static void hand_over_go_on(struct exchange *x, struct proxy_exchange *p, const struct error *error)
{
	if (hedge_is_beside(p))
		hand_over_follow(x, p);
	else
		hand_over_again(x, p, error);
}

/* timeouts.try: nothing is gained by giving up a try that no other follows, but that may change. */
static void hand_over_on_late(struct timer *timer)
{
	struct hand_over *hand = CONTAINER_OF(timer, struct hand_over, late);
	struct proxy_exchange *p = hand_over_owner(hand);
	struct exchange *x = p->exchange;
	struct error error = error_make(ERROR_UPSTREAM_TIMEOUT, "no answer within timeouts.try");

	error.unanswered = true;
	error.unprocessed = hand->acquire.attempt != NULL;
	bool last = !hand_over_is_safe(x, &error) || hand->tries >= hand->group->settings->retries;
	if (last && !hedge_is_beside(p))
		return;
	if (hand_over_gone_ms(hand) < hand->group->settings->timeouts.try_) {
		hand_over_start_timer(hand);
		return;
	}
	/* The server is not late that has not been asked yet. */
	if (acquire_is_in_line(&hand->acquire) || hand_over_waits_for_client(x, hand) ||
	    !hand_over_may_give_up(x, p, &error)) {
		loop_timer_start(&x->worker->loop, timer, hand->group->settings->timeouts.try_);
		return;
	}
	hand_over_drop(x, hand, &error);
	upstream_on_failure(&hand->ticket, &error);
	hand_over_go_on(x, p, &error);
}

/* Its checks say that the server is down, and the answer of this try has not begun. */
static void hand_over_on_down(struct upstream_ticket *ticket)
{
	struct hand_over *hand = CONTAINER_OF(ticket, struct hand_over, ticket);
	struct proxy_exchange *p = hand_over_owner(hand);
	struct exchange *x = p->exchange;
	struct error error = error_make(ERROR_SERVER_DOWN, NULL);

	error.unanswered = true;
	error.unprocessed = hand->acquire.attempt != NULL;
	if (!hand_over_may_give_up(x, p, &error))
		return; /* it may answer yet */
	hand_over_stop_timer(hand);
	hand_over_drop(x, hand, &error);
	hand_over_go_on(x, p, &error);
}

/* ---- the life of it ---- */

bool hand_over_choose(struct exchange *x, struct proxy_exchange *p, struct upstream_group *group)
{
	const struct http_head *head = p->listener->face == PROXY_TCP ? NULL : &x->request;
	uint64_t *hash = &p->hand_over.query.hash;

	if (balance_algorithms[group->settings->balance]->keyed &&
	    !request_key_hash(&group->plan->hash, head, &p->origin.client, hash))
		*hash = random_next(&x->worker->random);
	p->hand_over.query.pinned = upstream_pinned(group, x->client->pins);
	return !head || sticky_read(x, group, &p->hand_over.query);
}

void hand_over_begin(struct exchange *x, struct proxy_exchange *p, struct upstream_group *group)
{
	struct hand_over *hand = &p->hand_over;

	hand->group = group;
	hand->ticket.on_down = hand_over_on_down;
	timer_init(&hand->late, hand_over_on_late);
	if (!fleet_enter(group->fleet, FLEET_REQUESTS)) {
		hand_over_refuse(x, hand, ERROR_OVERLOADED, "the servers have as many requests as they may");
		return;
	}
	hand->entered = true;
	retry_budget_earn(&group->budget);
	if (http_head_has_body(&x->request))
		flow_keep(&x->request_body, &hand->kept, x->service->limits->flow);
	hand_over_pick(x, p);
}

bool hand_over_on_answer(struct exchange *x, struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;
	struct error error = error_make(ERROR_UPSTREAM_STATUS, NULL);

	if (!hand->group || !hand->ticket.server)
		return false;
	upstream_on_answer(&hand->ticket, x->response.status);
	hand_over_stop_timer(hand);
	if (hand_over_would_retry(p, x->response.status) && hand_over_may_give_up(x, p, &error)) {
		hand_over_drop(x, hand, &error);
		hand_over_go_on(x, p, &error);
		return true;
	}
	hedge_cancel(p);
	flow_forget(&x->request_body);
	return false;
}

void hand_over_on_connected(struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;

	hand_over_stop_timer(hand);
	upstream_on_answer(&hand->ticket, 0);
}

/* What is under way at servers is one less. */
static void hand_over_leave(struct hand_over *hand)
{
	if (hand->entered)
		fleet_leave(hand->group->fleet, FLEET_REQUESTS);
	if (hand->retrying)
		fleet_leave(hand->group->fleet, FLEET_RETRIES);
	hand->entered = hand->retrying = false;
}

void hand_over_on_done(struct proxy_exchange *p)
{
	upstream_release(&p->hand_over.ticket);
	hand_over_leave(&p->hand_over);
}

void hand_over_cancel(struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;

	if (!hand->group)
		return;
	hand_over_stop_timer(hand);
	hedge_cancel(p);
	upstream_wait_cancel(&hand->wait);
	acquire_cancel(&hand->acquire);
	upstream_release(&hand->ticket);
	while (hand->query.tried_count > 0)
		upstream_server_unuse(hand->tried[--hand->query.tried_count]);
	hand_over_leave(hand);
}

void hand_over_end(struct proxy_exchange *p)
{
	hand_over_cancel(p);
	hand_over_name(p, NULL);
}
