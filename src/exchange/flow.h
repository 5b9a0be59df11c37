/*
 * The bytes of one direction between two streams, bounded. The source pushes, the sink takes and tells (flow_settle) when the
 * bytes have really left; between the two stands at most `high` bytes and what one receive brings.
 *
 * A full flow goes on when it is empty, and not before: a half-sent block is held whole, and what came behind it would be held as well.
 * Meanwhile the kernel's buffers keep both peers busy.
 *
 * A push never calls the sink: it puts the flow on the worker's ready list, drained in the same turn, so that the stack stays flat
 * and writes leave in batches.
 */
#ifndef GUISE_EXCHANGE_FLOW_H
#define GUISE_EXCHANGE_FLOW_H

#include "core/chunk.h"
#include "core/worker.h"
#include "http/field.h"

struct stream;

enum { FLOW_WINDOW_MOST = 1024 * 1024 };

/* What a sink took, for as long as another sink may have to begin anew. */
struct flow_kept {
	struct chunk_queue bytes;
	size_t most; /* bytes; with more, nothing is kept */
};

struct flow_filter;
struct flow_meter;
struct flow_tap;

struct flow_tap_ops {
	/* As with flow_push; `block` NULL: to be copied. */
	void (*on_bytes)(struct flow_tap *tap, struct block *block, struct span bytes);
	void (*on_finish)(struct flow_tap *tap, const struct http_fields *trailers);
};

/*
 * Sees what is pushed into a flow, as it is pushed. Put into flow->tap, and taken out of it, by its owner; stays where it is until then, or until the
 * flow is reset. Inside its calls it may be taken out, and the flow is left alone.
 */
struct flow_tap {
	const struct flow_tap_ops *ops;
};

struct flow {
	struct chunk_queue queue; /* pushed, not yet taken */
	size_t lent;              /* taken, and not settled yet */
	size_t high, start;       /* the window now, and where it began */
	uint64_t total;           /* pushed so far; with a filter or a meter, passed */
	struct worker *worker;
	struct stream *source, *sink; /* borrowed; NULL when that end is not there (yet, or any more) */
	struct http_fields *trailers; /* set by flow_finish; may be NULL */
	struct flow_kept *kept;       /* NULL: nothing is */
	struct flow_tap *tap;         /* NULL: nobody looks */
	struct flow_filter *filter;   /* see filter.h; NULL: bytes stay what they are */
	struct flow_meter *meter;     /* see meter.h; NULL: bytes pass as they are pushed */
	struct loop_task ready;
	bool fin;        /* the source has pushed its last byte */
	bool full;       /* the source was told to wait */
	bool held;       /* the meter holds bytes back */
	uint16_t streak; /* windows in a row that the sink emptied while the source waited */
};

void flow_init(struct flow *flow, struct worker *worker, size_t window);
/* Drops what is queued; no call to either end follows. */
void flow_fini(struct flow *flow);
/* As after flow_init, both ends unset: the same flow begins anew (tunnels, another try); its filter is off, its meter stays, and holds nothing. */
void flow_reset(struct flow *flow);

void flow_set_source(struct flow *flow, struct stream *source);
/* What is queued already is announced to the new sink. */
void flow_set_sink(struct flow *flow, struct stream *sink);

enum flow_room { FLOW_ROOM, FLOW_FULL, FLOW_NO_MEMORY };

/*
 * Adds bytes that lie inside `block`. FLOW_FULL: taken, but the source must stop until on_credit. FLOW_NO_MEMORY: not taken; the
 * exchange must be aborted.
 */
WARN_UNUSED enum flow_room flow_push(struct flow *flow, struct block *block, struct span bytes);
WARN_UNUSED enum flow_room flow_push_static(struct flow *flow, struct span bytes);
WARN_UNUSED enum flow_room flow_push_queue(struct flow *flow, struct chunk_queue *queue); /* takes all */
/* The last byte has been pushed; trailers (may be NULL) live as long as the exchange. */
void flow_finish(struct flow *flow, struct http_fields *trailers);

/* Bytes that may still be pushed before the flow is full. */
static inline size_t flow_room(const struct flow *flow)
{
	size_t used = flow->queue.bytes + flow->lent;
	return used < flow->high ? flow->high - used : 0;
}

/* Nothing held back, nothing queued and nothing lent. */
static inline bool flow_idle(const struct flow *flow)
{
	return flow->queue.bytes == 0 && flow->lent == 0 && !flow->held;
}

/* Appends all that is queued to `to`; the sink must settle for it. Afterwards flow->fin tells whether that was all. */
void flow_take(struct flow *flow, struct chunk_queue *to);
/*
 * Of what the sink took, it still holds `held` bytes: the rest has left and makes room. May call source->on_credit. A sink that holds
 * something back cannot keep up: the window then goes back to where it began.
 */
void flow_settle(struct flow *flow, size_t held);

/*
 * For a sink that takes by portions, as many bytes as its peer allows: moves the first `bytes` (at most what is queued) to the end of `to`, which
 * counts as settled. May call source->on_credit. False: out of memory, nothing moved.
 */
WARN_UNUSED bool flow_take_part(struct flow *flow, struct chunk_queue *to, size_t bytes);

/*
 * From the beginning of the flow on, what is taken is kept too (in `kept`, which lives as long as the flow), until it is more than
 * `most` bytes or flow_forget: another sink can then be given all of it. A flow that keeps already goes on with it.
 */
void flow_keep(struct flow *flow, struct flow_kept *kept, size_t most);
void flow_forget(struct flow *flow);
/* Nothing has been taken, or all that has is kept. */
bool flow_can_rewind(const struct flow *flow);
/* Puts what was taken back; the flow has no sink now. Only if it can. */
void flow_rewind(struct flow *flow);

/* For a source that grants its peer credit (RFC 9113 5.2): on_credit is to come when the flow is empty, although it is not full. */
static inline void flow_want_credit(struct flow *flow)
{
	flow->full = true;
}

/* ---- for the filter ---- */

/* What it has made of what was pushed; then, once, its end. */
void flow_filtered(struct flow *flow, struct chunk_queue *bytes);
void flow_ended(struct flow *flow, struct http_fields *trailers);

/* ---- for the meter ---- */

/* What was held back goes on to the sink. */
void flow_pass(struct flow *flow, struct chunk_queue *bytes);
void flow_pass_end(struct flow *flow, struct http_fields *trailers);

#endif
