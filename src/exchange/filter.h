/*
 * A filter on a flow: a stage at its entry, before its meter, through which all that is pushed goes. It may change bytes, leave some out, add some, and hold a
 * bounded amount back; it ends with the flow. What it has not looked at yet counts as not taken: the source waits, as with any flow that is full.
 *
 * Part of an exchange, on its worker.
 */
#ifndef GUISE_EXCHANGE_FILTER_H
#define GUISE_EXCHANGE_FILTER_H

#include "core/chunk.h"
#include "core/loop.h"

struct flow;
struct flow_filter;
struct http_fields;

enum filter_result {
	FILTER_EMPTY,  /* all of the input has been used: there is no more to give without more of it */
	FILTER_MORE,   /* there is more to give, when there is room again; something was given */
	FILTER_BROKEN, /* nothing passes any more: on_broken follows, unless the flow ends first */
};

struct flow_filter_ops {
	/*
	 * Moves what it can from the front of `in` to the end of `out`, changed or not: about `room` bytes, and then answers FILTER_MORE. `end`: no input
	 * follows; FILTER_EMPTY is then the end. Called from within pushes: it leaves the exchange alone.
	 */
	enum filter_result (*run)(struct flow_filter *filter, struct chunk_queue *in, struct chunk_queue *out,
				  size_t room, bool end);
	/* Later in the same turn: the exchange must be aborted. */
	void (*on_broken)(struct flow_filter *filter);
	/* The flow has ended, or begins anew: the filter is off it, and gives back what it holds. Once. */
	void (*on_off)(struct flow_filter *filter);
};

enum flow_filter_state {
	FLOW_FILTER_OPEN,
	FLOW_FILTER_ENDING, /* the source has ended, the filter not yet */
	FLOW_FILTER_ENDED,
	FLOW_FILTER_BROKEN,
};

struct flow_filter {
	const struct flow_filter_ops *ops;

	/* the flow's */
	struct flow *flow;
	struct chunk_queue in; /* pushed, and not used */
	struct http_fields *trailers;
	struct loop_task broken;
	uint8_t state; /* enum flow_filter_state */
};

/* Puts a filter on the flow, until that ends or begins anew; what is queued passes it first. The flow has none yet, and its meter holds nothing back. */
void flow_filter_start(struct flow *flow, struct flow_filter *filter, const struct flow_filter_ops *ops);

/* ---- for the flow ---- */

/* Something was added to what it has not used, or there is room again. */
void flow_filter_run(struct flow_filter *filter);
/* The source has ended. */
void flow_filter_finish(struct flow_filter *filter, struct http_fields *trailers);
void flow_filter_off(struct flow_filter *filter);

/* It has something to give as soon as there is room. */
static inline bool flow_filter_waits(const struct flow_filter *filter)
{
	return filter->in.bytes > 0 || filter->state == FLOW_FILTER_ENDING;
}

#endif
