/*
 * Allowances of exchanges of the forward face (account/allowance.h): a request that is beyond them is refused or held back, what passes is charged, and ends
 * when a quota does. On the exchange's worker.
 */
#include "account/allowance.h"

#include "exchange/meter.h"
#include "proxy/proxy_internal.h"

struct metered {
	struct flow_meter meter;
	struct allowed *allowed;
	enum allowance_direction direction;
};

/* What an exchange has of one allowance. In its arena. */
struct allowed {
	struct proxy_exchange *p;
	struct allowed *next; /* of an association, whose datagrams may be by several rules */
	uint32_t index;
	struct allowance_use use;
	struct timer delay;
	struct loop_task spent;
	struct metered metered[2]; /* by enum allowance_direction */
};

static struct allowance_time time_of(const struct proxy_exchange *p)
{
	const struct loop *loop = &p->exchange->worker->loop;

	return (struct allowance_time){.now_us = loop->now_us, .wall_ms = loop->wall_ms};
}

/* ---- refusals ---- */

static struct error refusal_of(enum allowance_answer answer)
{
	switch (answer) {
	case ALLOWANCE_REQUESTS:
		return error_make(ERROR_TOO_MANY_REQUESTS, NULL);
	case ALLOWANCE_CONNECTIONS:
		return error_make(ERROR_TOO_MANY_AT_A_TIME, NULL);
	case ALLOWANCE_QUOTA:
		return error_make(ERROR_QUOTA_SPENT, NULL);
	default:
		return error_make(ERROR_MEMORY, NULL);
	}
}

/* Notes why, for the log and for Retry-After. */
static struct error refusal(struct proxy_exchange *p, const struct allowance *allowance,
			    enum allowance_answer answer, uint64_t wait_us)
{
	p->detail = arena_format(&p->exchange->arena, "allowance %s", allowance_name(allowance));
	p->retry_after = size_max((wait_us + 999999) / 1000000, 1);
	return refusal_of(answer);
}

/* ---- bytes ---- */

static uint64_t on_charge(struct flow_meter *meter, size_t bytes)
{
	struct metered *metered = CONTAINER_OF(meter, struct metered, meter);
	struct allowed *allowed = metered->allowed;
	struct allowance_time time = time_of(allowed->p);
	uint64_t wait_us = allowance_charge(&allowed->use, metered->direction, bytes, &time);

	if (wait_us != ALLOWANCE_NEVER)
		return wait_us;
	loop_soon(&allowed->p->exchange->worker->loop, &allowed->spent);
	return FLOW_METER_NEVER;
}

static void on_refund(struct flow_meter *meter, size_t bytes)
{
	struct metered *metered = CONTAINER_OF(meter, struct metered, meter);

	allowance_refund(&metered->allowed->use, metered->direction, bytes);
}

static const struct flow_meter_ops meter_ops = {.charge = on_charge, .refund = on_refund};

/* The quota was used up while the exchange went on: it is refused if its client has not been answered yet, else it breaks off. */
static void on_spent(struct loop_task *task)
{
	struct allowed *allowed = CONTAINER_OF(task, struct allowed, spent);
	struct proxy_exchange *p = allowed->p;
	struct allowance_time time = time_of(p);

	if (p->exchange->state == EXCHANGE_OVER || !allowed->use.allowance)
		return;
	struct error error = refusal(p, allowed->use.allowance, ALLOWANCE_QUOTA,
				     allowance_renewal_us(&allowed->use, &time));
	exchange_fail(p->exchange, &error);
}

static void start_meter(struct allowed *allowed, struct flow *flow, enum allowance_direction direction)
{
	struct metered *metered = &allowed->metered[direction];

	metered->allowed = allowed;
	metered->direction = direction;
	if (allowance_meters(&allowed->use, direction))
		flow_meter_start(flow, &metered->meter, &meter_ops,
				 allowance_portion(&allowed->use, direction));
}

static void start_meters(struct allowed *allowed)
{
	struct exchange *x = allowed->p->exchange;

	start_meter(allowed, &x->request_body, ALLOWANCE_UP);
	start_meter(allowed, &x->response_body, ALLOWANCE_DOWN);
}

/* ---- requests ---- */

static void on_delay_over(struct timer *timer)
{
	struct allowed *allowed = CONTAINER_OF(timer, struct allowed, delay);

	start_meters(allowed);
	phases_go_on(allowed->p->exchange, allowed->p);
}

/* `actions` NULL: of no rule in particular. */
static uint32_t index_of(const struct proxy_exchange *p, const struct rule_actions *actions)
{
	return actions && actions->allowance != RULE_NONE ? actions->allowance : p->listener->allowance;
}

/* Made, but not entered. NULL: out of memory. */
static struct allowed *allowed_new(struct exchange *x, struct proxy_exchange *p, uint32_t index)
{
	struct allowed *allowed = arena_zalloc(&x->arena, 1, sizeof(*allowed));

	if (!allowed)
		return NULL;
	allowed->p = p;
	allowed->index = index;
	allowed->next = p->forward.allowed;
	timer_init(&allowed->delay, on_delay_over);
	loop_task_init(&allowed->spent, on_spent);
	return allowed;
}

static enum allowance_answer enter(struct exchange *x, struct proxy_exchange *p, struct allowed *allowed,
				   bool held, uint64_t *wait_us)
{
	struct allowance *allowance = allowances_at(p->listener->allowances, allowed->index);
	struct allowance_asker asker = {.user = p->forward.user, .client = &x->client->address};
	struct allowance_time time = time_of(p);

	return allowance_enter(allowance, &asker, held, &time, &allowed->use, wait_us);
}

/* False: refused. True: it may go on in *wait_us µs. */
static bool begin(struct exchange *x, struct proxy_exchange *p, bool held, uint64_t *wait_us,
		  struct error *error)
{
	uint32_t index = index_of(p, p->forward.verdict.actions);

	*wait_us = 0;
	if (index == RULE_NONE || p->forward.allowed || p->explained)
		return true;
	struct allowed *allowed = allowed_new(x, p, index);
	if (!allowed) {
		*error = error_make(ERROR_MEMORY, NULL);
		return false;
	}
	enum allowance_answer answer = enter(x, p, allowed, held, wait_us);
	if (answer != ALLOWANCE_GRANTED) {
		*error = refusal(p, allowances_at(p->listener->allowances, index), answer, *wait_us);
		return false;
	}
	p->forward.allowed = allowed;
	if (*wait_us == 0)
		start_meters(allowed);
	return true;
}

enum phase_result forward_allowance(struct exchange *x, struct proxy_exchange *p)
{
	struct error error = ERROR_OK;
	uint64_t wait_us;

	/* Which rule it will be is known with the address alone: see forward_allowance_late. */
	if (p->forward.verdict.outcome == VERDICT_NEEDS_ADDRESS)
		return PHASE_NEXT;
	if (!begin(x, p, true, &wait_us, &error)) {
		exchange_fail(x, &error);
		return PHASE_DONE;
	}
	if (wait_us == 0)
		return PHASE_NEXT;
	loop_timer_start(&x->worker->loop, &p->forward.allowed->delay, (wait_us + 999) / 1000 + 1);
	return PHASE_WAIT;
}

bool forward_allowance_late(struct exchange *x, struct proxy_exchange *p, struct error *error)
{
	uint64_t wait_us;

	return begin(x, p, false, &wait_us, error);
}

/* ---- datagrams ---- */

/* One that is refused is kept for the next datagram, which asks anew. NULL: it is not granted. */
static struct allowed *allowed_for(struct exchange *x, struct proxy_exchange *p, uint32_t index)
{
	struct allowed *allowed = p->forward.allowed;
	uint64_t wait_us;

	while (allowed && allowed->index != index)
		allowed = allowed->next;
	if (!allowed) {
		allowed = allowed_new(x, p, index);
		if (!allowed)
			return NULL;
		p->forward.allowed = allowed;
	}
	if (!allowed->use.allowance && enter(x, p, allowed, false, &wait_us) != ALLOWANCE_GRANTED)
		return NULL;
	return allowed;
}

bool forward_allowance_datagram(struct exchange *x, struct proxy_exchange *p,
				const struct rule_actions *actions, bool down, size_t bytes)
{
	uint32_t index = index_of(p, actions);

	if (index == RULE_NONE)
		return true;
	struct allowed *allowed = allowed_for(x, p, index);
	struct allowance_time time = time_of(p);
	return allowed && allowance_pass(&allowed->use, down ? ALLOWANCE_DOWN : ALLOWANCE_UP, bytes, &time);
}

/* ---- the end ---- */

void forward_allowance_cancel(struct proxy_exchange *p)
{
	struct exchange *x = p->exchange;

	if (!p->forward.allowed)
		return;
	for (struct allowed *each = p->forward.allowed; each; each = each->next)
		loop_timer_stop(&x->worker->loop, &each->delay);
	flow_meter_stop(&x->request_body);
	flow_meter_stop(&x->response_body);
}

void forward_allowance_end(struct proxy_exchange *p)
{
	forward_allowance_cancel(p);
	for (struct allowed *each = p->forward.allowed; each; each = each->next)
		allowance_leave(&each->use);
}
