/*
 * What the room src/net keeps for each worker, in WORKER_SLOT_NET. Only its own files look inside.
 */
#ifndef GUISE_NET_ROOM_INTERNAL_H
#define GUISE_NET_ROOM_INTERNAL_H

#include "net/conn.h"

struct net_pipe {
	int out, in;   /* read from `out` what was written to `in` */
	unsigned size; /* bytes it can hold */
};

struct net_room {
	struct pool conns;
	size_t open;           /* connections, lingering ones too */
	struct link lingering; /* struct lingering, oldest first: nobody else knows them any more */
	unsigned lingering_count;
	struct net_pipe pipes[16]; /* empty ones, to be used again */
	unsigned pipes_kept, pipes_open;
};

/* pipe.c */
WARN_UNUSED bool net_pipe_take(struct net_room *room,
			       struct net_pipe *pipe); /* an empty one; false: there is none */
void net_pipe_give(struct net_room *room, const struct net_pipe *pipe, bool empty);
void net_pipes_fini(struct net_room *room);

void net_conn_on_event(struct loop_source *source,
		       uint32_t events); /* conn.c: what a connection's events come to */

static inline struct net_room *net_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_NET];
}

#endif
