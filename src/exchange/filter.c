/*
 * See filter.h.
 */
#include "exchange/filter.h"

#include "exchange/flow.h"

/* What may follow each state, as bits. */
static const uint8_t filter_moves[] = {
	[FLOW_FILTER_OPEN] = 1 << FLOW_FILTER_ENDING | 1 << FLOW_FILTER_BROKEN,
	[FLOW_FILTER_ENDING] = 1 << FLOW_FILTER_ENDED | 1 << FLOW_FILTER_BROKEN,
	[FLOW_FILTER_ENDED] = 0,
	[FLOW_FILTER_BROKEN] = 0,
};

static void filter_set_state(struct flow_filter *filter, enum flow_filter_state state)
{
	ENSURE(filter_moves[filter->state] & 1 << state);
	filter->state = (uint8_t)state;
}

static void filter_on_broken(struct loop_task *task)
{
	struct flow_filter *filter = CONTAINER_OF(task, struct flow_filter, broken);

	if (filter->flow)
		filter->ops->on_broken(filter);
}

void flow_filter_start(struct flow *flow, struct flow_filter *filter, const struct flow_filter_ops *ops)
{
	ENSURE(!flow->filter && !flow->held);
	*filter = (struct flow_filter){.ops = ops, .flow = flow};
	loop_task_init(&filter->broken, filter_on_broken);
	flow->filter = filter;
	flow->total -= flow->queue.bytes;
	chunk_queue_move_all(&filter->in, &flow->queue);
	if (flow->fin) {
		flow->fin = false;
		flow_filter_finish(filter, flow->trailers);
	} else if (filter->in.bytes) {
		flow_filter_run(filter);
	}
}

static void filter_break(struct flow_filter *filter)
{
	struct flow *flow = filter->flow;

	filter_set_state(filter, FLOW_FILTER_BROKEN);
	chunk_queue_clear(&flow->worker->buffers, &filter->in);
	loop_soon(&flow->worker->loop, &filter->broken);
}

void flow_filter_run(struct flow_filter *filter)
{
	struct flow *flow = filter->flow;

	if (filter->state == FLOW_FILTER_BROKEN) {
		chunk_queue_clear(&flow->worker->buffers, &filter->in);
		return;
	}
	while (flow_filter_waits(filter) && flow_room(flow) > 0 && !flow->held) {
		struct chunk_queue out = {0};
		bool end = filter->state == FLOW_FILTER_ENDING;
		enum filter_result result = filter->ops->run(filter, &filter->in, &out, flow_room(flow), end);
		if (out.bytes)
			flow_filtered(flow, &out);
		if (result == FILTER_BROKEN) {
			filter_break(filter);
		} else if (result == FILTER_EMPTY) {
			ENSURE(chunk_queue_empty(&filter->in));
			if (end) {
				filter_set_state(filter, FLOW_FILTER_ENDED);
				flow_ended(flow, filter->trailers);
			}
		}
	}
}

void flow_filter_finish(struct flow_filter *filter, struct http_fields *trailers)
{
	filter_set_state(filter, FLOW_FILTER_ENDING);
	filter->trailers = trailers;
	flow_filter_run(filter);
}

void flow_filter_off(struct flow_filter *filter)
{
	struct flow *flow = filter->flow;

	chunk_queue_clear(&flow->worker->buffers, &filter->in);
	flow->filter = NULL;
	filter->flow = NULL;
	filter->ops->on_off(filter);
}
