/*
 * See hand_over.h. On the exchange's worker.
 */
#include "proxy/hand_over.h"

#include "proxy/proxy_internal.h"

static struct proxy_exchange *hand_over_owner(struct hand_over *hand)
{
	return CONTAINER_OF(hand, struct proxy_exchange, hand_over);
}

/* ---- one try ---- */

static void hand_over_stop_timer(struct hand_over *hand)
{
	loop_timer_stop(&hand->group->worker->loop, &hand->late);
}

/* At the server of the ticket. */
static void hand_over_try(struct exchange *x, struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;
	uint64_t most = hand->group->settings->timeouts.try_;

	p->server_text = hand->ticket.server->fleet->text;
	if (most)
		loop_timer_start(&x->worker->loop, &hand->late, most);
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
	default:
		/*
		 * timeouts.response is all the patience there is: timeouts.try is the one that another try follows. An answer that nobody
		 * can read is an answer: the next server would give the same, and a request that breaks servers need not meet them all.
		 */
		return error->unprocessed;
	}
}

/* One more try is paid for. What never left costs no server anything, and is bounded by `retries` alone. */
static bool hand_over_spend(struct hand_over *hand, bool unprocessed)
{
	struct upstream_group *group = hand->group;

	if (hand->tries >= group->settings->retries)
		return false;
	if (!hand->retrying && !fleet_enter(group->fleet, FLEET_RETRIES))
		return false;
	hand->retrying = true;
	if (!unprocessed && !retry_budget_spend(&group->budget, group->worker->loop.now))
		return false;
	hand->tries++;
	return true;
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

/* ---- picking ---- */

static void hand_over_refuse(struct exchange *x, struct hand_over *hand, enum error_code code, const char *text)
{
	struct error error = error_is(&hand->error) ? hand->error : error_make(code, text);

	exchange_fail(x, &error);
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

/* A server for the next try, or a place in the queue; else hand->error, or that there is none. */
static void hand_over_pick(struct exchange *x, struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;

	switch (upstream_pick(hand->group, &hand->query, &hand->ticket)) {
	case UPSTREAM_PICKED:
		hand_over_try(x, p);
		break;
	case UPSTREAM_FULL:
		if (!upstream_wait_start(&hand->wait, hand->group, &hand_over_wait_ops))
			hand_over_refuse(x, hand, ERROR_OVERLOADED, "all servers are busy, and too many wait");
		break;
	case UPSTREAM_NONE:
		hand_over_refuse(x, hand, ERROR_NO_SERVER, NULL);
		break;
	}
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
	struct upstream_server *server = hand->ticket.server;
	bool refused = error->code == ERROR_UPSTREAM_REFUSED;

	flow_rewind(&x->request_body);
	p->fresh = false;
	hand->error = *error;
	upstream_server_use(server);
	upstream_release(&hand->ticket);
	hand_over_mark_tried(x, hand, server);
	switch (upstream_pick(hand->group, &hand->query, &hand->ticket)) {
	case UPSTREAM_PICKED:
		hand_over_try(x, p);
		break;
	case UPSTREAM_FULL:
		hand_over_pick(x, p);
		break;
	case UPSTREAM_NONE:
		/* A server that refuses a stream is alive (RFC 9113 8.7): where there is no other one, it is asked again. */
		if (refused && hand->query.tried_count > 0) {
			upstream_server_unuse(hand->tried[--hand->query.tried_count]);
			hand_over_pick(x, p);
		} else {
			exchange_fail(x, error);
		}
		break;
	}
	upstream_server_unuse(server);
}

void hand_over_on_failed(struct exchange *x, struct proxy_exchange *p, const struct error *error)
{
	struct hand_over *hand = &p->hand_over;
	bool stale = p->reused && error->unanswered && error->code != ERROR_UPSTREAM_TIMEOUT;

	hand_over_stop_timer(hand);
	if (!hand_over_is_safe(x, error)) {
		upstream_on_failure(&hand->ticket, error);
		exchange_fail(x, error);
		return;
	}
	if (stale && !p->fresh) {
		hand_over_refresh(x, p);
		return;
	}
	if (error_source(error) == ERROR_SOURCE_SERVER || error_source(error) == ERROR_SOURCE_RESOLVER)
		upstream_on_failure(&hand->ticket, error);
	if (is_worth_it(error) && hand_over_spend(hand, error->unprocessed))
		hand_over_again(x, p, error);
	else
		exchange_fail(x, error);
}

/* timeouts.try: nothing is gained by giving up a try that no other follows. */
static void hand_over_on_late(struct timer *timer)
{
	struct hand_over *hand = CONTAINER_OF(timer, struct hand_over, late);
	struct proxy_exchange *p = hand_over_owner(hand);
	struct exchange *x = p->exchange;
	struct error error = error_make(ERROR_UPSTREAM_TIMEOUT, "no answer within timeouts.try");

	error.unanswered = true;
	error.unprocessed = hand->acquire.attempt != NULL;
	if (!hand_over_is_safe(x, &error) || !hand_over_spend(hand, error.unprocessed))
		return;
	hand_over_drop(x, hand, &error);
	upstream_on_failure(&hand->ticket, &error);
	hand_over_again(x, p, &error);
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
	if (!hand_over_is_safe(x, &error) || !hand_over_spend(hand, error.unprocessed))
		return; /* it may answer yet */
	hand_over_stop_timer(hand);
	hand_over_drop(x, hand, &error);
	hand_over_again(x, p, &error);
}

/* ---- the life of it ---- */

void hand_over_choose(struct exchange *x, struct proxy_exchange *p, struct upstream_group *group)
{
	const struct http_head *head = p->listener->face == PROXY_TCP ? NULL : &x->request;
	uint64_t *hash = &p->hand_over.query.hash;

	if (balance_algorithms[group->settings->balance]->keyed &&
	    !request_key_hash(&group->plan->hash, head, &p->origin.client, hash))
		*hash = random_next(&x->worker->random);
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
	if (http_head_has_body(&x->request) && group->settings->retries)
		flow_keep(&x->request_body, &hand->kept, x->service->limits->flow);
	hand_over_pick(x, p);
}

bool hand_over_on_answer(struct exchange *x, struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;
	const struct error nothing = ERROR_OK;
	struct error error = error_make(ERROR_UPSTREAM_STATUS, NULL);

	if (!hand->group || !hand->ticket.server)
		return false;
	upstream_on_answer(&hand->ticket, x->response.status);
	hand_over_stop_timer(hand);
	if (status_set_has(&hand->group->plan->retry_on, x->response.status) && hand_over_is_safe(x, &nothing) &&
	    upstream_has_another(hand->group, &hand->query, hand->ticket.server) &&
	    hand_over_spend(hand, false)) {
		hand_over_drop(x, hand, &error);
		hand_over_again(x, p, &error);
		return true;
	}
	hand->answered = true;
	flow_forget(&x->request_body);
	return false;
}

void hand_over_on_connected(struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;

	hand_over_stop_timer(hand);
	upstream_on_answer(&hand->ticket, 0);
	hand->answered = true;
}

void hand_over_on_done(struct proxy_exchange *p)
{
	upstream_release(&p->hand_over.ticket);
}

void hand_over_end(struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;

	if (!hand->group)
		return;
	hand_over_stop_timer(hand);
	upstream_wait_cancel(&hand->wait);
	acquire_cancel(&hand->acquire);
	upstream_release(&hand->ticket);
	while (hand->query.tried_count > 0)
		upstream_server_unuse(hand->tried[--hand->query.tried_count]);
	if (hand->entered)
		fleet_leave(hand->group->fleet, FLEET_REQUESTS);
	if (hand->retrying)
		fleet_leave(hand->group->fleet, FLEET_RETRIES);
	hand->entered = hand->retrying = false;
}
