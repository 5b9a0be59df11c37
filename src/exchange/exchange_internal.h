/*
 * What the files of this room share: what a worker has of it.
 */
#ifndef GUISE_EXCHANGE_EXCHANGE_INTERNAL_H
#define GUISE_EXCHANGE_EXCHANGE_INTERNAL_H

#include "exchange/exchange.h"

struct exchange_room {
	size_t alive;          /* exchanges */
	struct link idle_pins; /* of all clients, the one that is idle for longest first */
	uint32_t idle_pin_count;
};

static inline struct exchange_room *exchange_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_EXCHANGE];
}

#endif
