/*
 * What the room src/net keeps for each worker, in WORKER_SLOT_NET. Only its own files look inside.
 */
#ifndef GUISE_NET_ROOM_INTERNAL_H
#define GUISE_NET_ROOM_INTERNAL_H

#include "net/conn.h"

enum { NET_KEPT_PIPES = 16 };

struct net_pipe {
	int out, in; /* read from `out` what was written to `in`; -1: none */
	size_t size; /* bytes it can hold */
};

struct net_room {
	struct pool conns;
	size_t open;           /* connections, lingering ones too */
	struct link lingering; /* struct lingering, oldest first: nobody else knows them any more */
	unsigned lingering_count;
	struct net_pipe pipes[NET_KEPT_PIPES]; /* empty ones, for splice.c to use again */
	unsigned kept_pipes;
};

void net_pipe_close(struct net_pipe *pipe); /* splice.c */

static inline struct net_room *net_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_NET];
}

#endif
