/*
 * See meter.h.
 */
#include "exchange/meter.h"

#include "exchange/flow.h"

static void meter_forget(struct flow_meter *meter)
{
	loop_timer_stop(&meter->flow->worker->loop, &meter->timer);
	meter->portion = 0;
}

/* The portion passes. */
static void meter_pass(struct flow_meter *meter)
{
	struct flow *flow = meter->flow;
	struct chunk_queue passed = {0};

	if (!chunk_queue_move(&flow->worker->buffers, &passed, &meter->held, meter->portion))
		chunk_queue_move_all(&passed,
				     &meter->held); /* no memory to cut a chunk with: the rest is a gift */
	meter->portion = 0;
	flow_pass(flow, &passed);
}

/* The loop's clock has ms and µs of the same moment: not before the first ms that is late enough. */
static void meter_wait(struct flow_meter *meter)
{
	struct loop *loop = &meter->flow->worker->loop;

	loop_timer_start(loop, &meter->timer, size_max((meter->due_us + 999) / 1000 - loop->now_us / 1000, 1));
}

void flow_meter_run(struct flow_meter *meter)
{
	struct flow *flow = meter->flow;

	while (meter->held.bytes && meter->portion == 0) {
		size_t bytes = size_min(meter->held.bytes, meter->most);
		uint64_t wait_us = meter->ops->charge(meter, bytes);

		if (wait_us == FLOW_METER_NEVER)
			break;
		meter->portion = bytes;
		meter->due_us = flow->worker->loop.now_us + wait_us;
		if (wait_us)
			meter_wait(meter);
		else
			meter_pass(meter);
	}
	flow->held = meter->held.bytes > 0;
	if (flow->held || !meter->ending)
		return;
	meter->ending = false;
	flow_pass_end(flow, meter->trailers);
}

static void meter_on_due(struct timer *timer)
{
	struct flow_meter *meter = CONTAINER_OF(timer, struct flow_meter, timer);

	if (meter->flow->worker->loop.now_us < meter->due_us) {
		meter_wait(meter);
		return;
	}
	meter_pass(meter);
	flow_meter_run(meter);
}

void flow_meter_start(struct flow *flow, struct flow_meter *meter, const struct flow_meter_ops *ops, size_t most)
{
	ENSURE(!flow->meter && most > 0);
	*meter = (struct flow_meter){.ops = ops, .most = most, .flow = flow};
	timer_init(&meter->timer, meter_on_due);
	flow->meter = meter;
	if (flow->queue.bytes == 0)
		return;
	flow->total -= flow->queue.bytes;
	chunk_queue_move_all(&meter->held, &flow->queue);
	if (flow->fin) {
		flow->fin = false;
		meter->ending = true;
		meter->trailers = flow->trailers;
	}
	flow_meter_run(meter);
}

void flow_meter_clear(struct flow_meter *meter)
{
	if (meter->portion)
		meter->ops->refund(meter, meter->portion);
	meter_forget(meter);
	chunk_queue_clear(&meter->flow->worker->buffers, &meter->held);
	meter->flow->held = meter->ending = false;
}

void flow_meter_stop(struct flow *flow)
{
	if (!flow->meter)
		return;
	flow_meter_clear(flow->meter);
	flow->meter = NULL;
}
