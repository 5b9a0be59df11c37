/*
 * Flows: bounded queues between a source and a sink. Owned by exchanges, used by streams, on one worker.
 */
#include "exchange/flow.h"

#include "exchange/filter.h"
#include "exchange/meter.h"
#include "exchange/stream.h"

/*
 * Windows that must be emptied in a row, without the sink ever stalling, before a window doubles: more than the kernel's buffers swallow of
 * a reader that does not read.
 */
enum { STREAK_TO_GROW = 256 };

static void flow_announce(struct loop_task *task)
{
	struct flow *flow = CONTAINER_OF(task, struct flow, ready);
	if (flow->sink)
		flow->sink->ops->on_readable(flow->sink);
}

static void flow_schedule(struct flow *flow)
{
	if (flow->sink && !loop_task_queued(&flow->ready))
		loop_soon(&flow->worker->loop, &flow->ready);
}

void flow_init(struct flow *flow, struct worker *worker, size_t window)
{
	*flow = (struct flow){.worker = worker, .high = window, .start = window};
	loop_task_init(&flow->ready, flow_announce);
}

void flow_fini(struct flow *flow)
{
	flow->source = flow->sink = NULL;
	flow_forget(flow);
	if (flow->filter)
		flow_filter_off(flow->filter);
	if (flow->meter)
		flow_meter_clear(flow->meter);
	chunk_queue_clear(&flow->worker->buffers, &flow->queue);
}

void flow_reset(struct flow *flow)
{
	struct loop_task ready = flow->ready; /* may be queued in this turn: it must stay what it is */
	struct worker *worker = flow->worker;
	struct flow_meter *meter = flow->meter;
	size_t start = flow->start;

	flow_fini(flow);
	*flow = (struct flow){.worker = worker, .high = start, .start = start, .meter = meter, .ready = ready};
}

void flow_set_source(struct flow *flow, struct stream *source)
{
	flow->source = source;
}

void flow_set_sink(struct flow *flow, struct stream *sink)
{
	flow->sink = sink;
	flow->lent = 0;
	if (!chunk_queue_empty(&flow->queue) || flow->fin)
		flow_schedule(flow);
	else if (sink && flow->filter && flow_filter_waits(flow->filter))
		flow_filter_run(
			flow->filter); /* there is room again: what the last sink had is not settled any more */
}

static inline void flow_show(const struct flow *flow, struct block *block, struct span bytes)
{
	if (flow->tap)
		flow->tap->ops->on_bytes(flow->tap, block, bytes);
}

/* Less room than this is not worth a receive, which would bring a block more. */
static inline bool flow_has_room(const struct flow *flow)
{
	return flow_room(flow) > flow->high / 16;
}

/* The same through a filter or a meter: while it holds bytes back, the source waits. */
static enum flow_room flow_staged(struct flow *flow)
{
	if (flow->filter)
		flow_filter_run(flow->filter);
	else
		flow_meter_run(flow->meter);
	if (!flow->held && !(flow->filter && flow_filter_waits(flow->filter)) && flow_has_room(flow))
		return FLOW_ROOM;
	flow->full = true;
	return FLOW_FULL;
}

/* Where pushed bytes go. */
static inline struct chunk_queue *flow_entry(struct flow *flow)
{
	if (flow->filter)
		return &flow->filter->in;
	return flow->meter ? &flow->meter->held : &flow->queue;
}

static enum flow_room flow_pushed(struct flow *flow, size_t bytes)
{
	if (flow->filter || flow->meter)
		return flow_staged(flow);
	flow->total += bytes;
	flow_schedule(flow);
	if (flow_has_room(flow))
		return FLOW_ROOM;
	flow->full = true;
	return FLOW_FULL;
}

enum flow_room flow_push(struct flow *flow, struct block *block, struct span bytes)
{
	if (!chunk_queue_add(&flow->worker->buffers, flow_entry(flow), block, bytes))
		return FLOW_NO_MEMORY;
	flow_show(flow, block, bytes);
	return flow_pushed(flow, bytes.len);
}

enum flow_room flow_push_static(struct flow *flow, struct span bytes)
{
	if (!chunk_queue_static(&flow->worker->buffers, flow_entry(flow), bytes))
		return FLOW_NO_MEMORY;
	flow_show(flow, NULL, bytes);
	return flow_pushed(flow, bytes.len);
}

enum flow_room flow_push_queue(struct flow *flow, struct chunk_queue *queue)
{
	size_t bytes = queue->bytes;

	for (const struct chunk *chunk = queue->first; chunk; chunk = chunk->next)
		flow_show(flow, chunk->block, span_make(chunk->at, chunk->len));
	chunk_queue_move_all(flow_entry(flow), queue);
	return flow_pushed(flow, bytes);
}

void flow_finish(struct flow *flow, struct http_fields *trailers)
{
	if (flow->fin || (flow->filter && flow->filter->state != FLOW_FILTER_OPEN) ||
	    (flow->held && flow->meter->ending))
		return;
	if (flow->tap)
		flow->tap->ops->on_finish(flow->tap, trailers);
	if (flow->filter)
		flow_filter_finish(flow->filter, trailers);
	else
		flow_ended(flow, trailers);
}

void flow_filtered(struct flow *flow, struct chunk_queue *bytes)
{
	if (!flow->meter) {
		flow_pass(flow, bytes);
		return;
	}
	chunk_queue_move_all(&flow->meter->held, bytes);
	flow_meter_run(flow->meter);
}

void flow_ended(struct flow *flow, struct http_fields *trailers)
{
	if (!flow->held) {
		flow_pass_end(flow, trailers);
		return;
	}
	flow->meter->ending = true;
	flow->meter->trailers = trailers;
}

void flow_pass(struct flow *flow, struct chunk_queue *bytes)
{
	flow->total += bytes->bytes;
	chunk_queue_move_all(&flow->queue, bytes);
	flow_schedule(flow);
}

void flow_pass_end(struct flow *flow, struct http_fields *trailers)
{
	flow->fin = true;
	flow->trailers = trailers;
	flow_schedule(flow);
}

/* ---- beginning anew ---- */

void flow_keep(struct flow *flow, struct flow_kept *kept, size_t most)
{
	if (flow->kept || flow->total > flow->queue.bytes)
		return;
	*kept = (struct flow_kept){.most = most};
	flow->kept = kept;
}

void flow_forget(struct flow *flow)
{
	if (!flow->kept)
		return;
	chunk_queue_clear(&flow->worker->buffers, &flow->kept->bytes);
	flow->kept = NULL;
}

bool flow_can_rewind(const struct flow *flow)
{
	size_t kept = flow->kept ? flow->kept->bytes.bytes : 0;

	return flow->total == flow->queue.bytes + kept;
}

void flow_rewind(struct flow *flow)
{
	struct chunk_queue rest = {0};

	ENSURE(flow_can_rewind(flow) && !flow->sink);
	if (!flow->kept)
		return;
	chunk_queue_move_all(&rest, &flow->queue);
	chunk_queue_move_all(&flow->queue, &flow->kept->bytes);
	chunk_queue_move_all(&flow->queue, &rest);
}

/* The first `bytes` of the queue are about to be taken. */
static void flow_keep_part(struct flow *flow, size_t bytes)
{
	struct flow_kept *kept = flow->kept;
	bool good = kept->bytes.bytes + bytes <= kept->most;

	for (const struct chunk *chunk = flow->queue.first; good && chunk && bytes; chunk = chunk->next) {
		struct span part = span_make(chunk->at, size_min(chunk->len, bytes));
		good = chunk_queue_add(&flow->worker->buffers, &kept->bytes, chunk->block, part);
		bytes -= part.len;
	}
	if (!good)
		flow_forget(flow);
}

void flow_take(struct flow *flow, struct chunk_queue *to)
{
	if (flow->kept)
		flow_keep_part(flow, flow->queue.bytes);
	flow->lent += flow->queue.bytes;
	chunk_queue_move_all(to, &flow->queue);
}

bool flow_take_part(struct flow *flow, struct chunk_queue *to, size_t bytes)
{
	if (flow->kept)
		flow_keep_part(flow, bytes);
	if (!chunk_queue_move(&flow->worker->buffers, to, &flow->queue, bytes))
		return false;
	if (!chunk_queue_empty(&flow->queue))
		flow->streak = 0; /* it does not keep up, or takes turns with others: no reason to queue more */
	flow_settle(flow, 0);
	return true;
}

/* The sink has emptied a full window at once: if it does so again and again, a larger one saves turns. */
static void flow_consider_growth(struct flow *flow)
{
	if (++flow->streak < STREAK_TO_GROW)
		return;
	flow->streak = 0;
	if (flow->high >= FLOW_WINDOW_MOST || memory_pressure(flow->worker->memory) != MEMORY_EASY)
		return;
	flow->high = size_min(flow->high * 2, FLOW_WINDOW_MOST);
}

void flow_settle(struct flow *flow, size_t held)
{
	if (flow->lent > held)
		flow->lent = held;
	if (held) {
		flow->streak = 0;
		flow->high = flow->start;
	}
	if (!flow_idle(flow))
		return;
	if (flow->filter && flow_filter_waits(flow->filter)) {
		flow_filter_run(flow->filter);
		if (!flow_idle(flow))
			return;
	}
	if (!flow->full)
		return;
	flow_consider_growth(flow);
	flow->full = false;
	if (flow->source)
		flow->source->ops->on_credit(flow->source);
}
