/*
 * A meter on a flow: bytes that are pushed pass by portions, each paid for before it reaches the sink. What is not paid for yet is held back; the
 * source stops reading meanwhile, as with any flow that is full. Who is paid, and at what rate, is known to the owner alone.
 *
 * A portion is ordered (charge) once the one before it has passed, and passes when its time has come. So flows that draw on the same supply take
 * turns by themselves: each has at most one portion in line, and no later order delays it.
 *
 * Part of an exchange, on its worker.
 */
#ifndef GUISE_EXCHANGE_METER_H
#define GUISE_EXCHANGE_METER_H

#include "core/chunk.h"
#include "core/loop.h"

struct flow;
struct flow_meter;
struct http_fields;

/* Nothing passes any more. */
#define FLOW_METER_NEVER UINT64_MAX

struct flow_meter_ops {
	/*
	 * Pays for `bytes`. The answer says in how many µs of the loop's clock they may pass; FLOW_METER_NEVER: not at all, and not paid. Called from
	 * within pushes: it leaves the exchange alone.
	 */
	uint64_t (*charge)(struct flow_meter *meter, size_t bytes);
	/* What was paid for does not pass. */
	void (*refund)(struct flow_meter *meter, size_t bytes);
};

struct flow_meter {
	const struct flow_meter_ops *ops;
	size_t most; /* bytes of a portion, > 0 */

	/* the flow's */
	struct flow *flow;
	struct chunk_queue held; /* pushed, not passed */
	size_t portion;          /* of it, paid for; 0: none */
	uint64_t due_us;         /* when the portion passes */
	struct timer timer;
	struct http_fields *trailers;
	bool ending; /* the end of the flow is held back too */
};

/* Puts a meter on the flow, where it stays through flow_reset; what is queued passes it first. The flow has none yet. */
void flow_meter_start(struct flow *flow, struct flow_meter *meter, const struct flow_meter_ops *ops,
		      size_t most);
/* Takes the flow's meter off, if it has one: what was held back is dropped, and its end with it. */
void flow_meter_stop(struct flow *flow);

/* ---- for the flow ---- */

/* Something was added to what is held. */
void flow_meter_run(struct flow_meter *meter);
/* Drops what is held. */
void flow_meter_clear(struct flow_meter *meter);

#endif
