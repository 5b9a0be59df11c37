/*
 * Picking a server of a group for one try, what a try holds of it until it is over, and waiting for a server with room. On one worker.
 */
#ifndef GUISE_UPSTREAM_PICK_H
#define GUISE_UPSTREAM_PICK_H

#include "core/error.h"
#include "upstream/group.h"

struct upstream_ticket;

/* What one try holds of its server. Zero holds nothing. Stays where it is. */
struct upstream_ticket {
	struct upstream_server *server; /* NULL: none */
	struct link link;               /* server->waiting; empty once it has answered */
	uint64_t began_us;              /* loop clock */
	bool counted;                   /* in in_flight */
	/* The server was found to be down while its answer is waited for. The ticket may be released, and another taken. May be NULL. */
	void (*on_down)(struct upstream_ticket *ticket);
};

struct upstream_query {
	struct upstream_server *const *tried; /* not these ones */
	unsigned tried_count;
	uint64_t hash;   /* for keyed algorithms */
	uint64_t sticky; /* fleet_server.id that is preferred; 0: none */
	uint64_t pinned; /* the one before that: the client has a connection of its own there (pinned.h); 0: none */
};

enum { UPSTREAM_TRIED_MOST = 18 }; /* retries and a hedge */

enum upstream_pick {
	UPSTREAM_PICKED,
	UPSTREAM_FULL, /* all that may be picked have as much to do as they may */
	UPSTREAM_NONE, /* there is none, or all were tried */
};

/* Fills the ticket (which holds nothing yet; its on_down is kept) if there is a server. */
WARN_UNUSED enum upstream_pick upstream_pick(struct upstream_group *group, const struct upstream_query *query,
					     struct upstream_ticket *ticket);

/* Whether another server than this one, not tried yet, may be picked now and has room. */
bool upstream_has_another(struct upstream_group *group, const struct upstream_query *query,
			  const struct upstream_server *this);

/* The head of a final response has come. Once for each ticket, like the next one, or neither if the client went away. */
void upstream_on_answer(struct upstream_ticket *ticket, unsigned status);
/* The server failed: could not be reached, broke, was late. What is not its fault is not held against it. */
void upstream_on_failure(struct upstream_ticket *ticket, const struct error *error);
/* Is waited for no longer, or has answered: on_down does not come any more. */
void upstream_ticket_settle(struct upstream_ticket *ticket);
/* What one holds, the other one (which holds nothing, and keeps its on_down) has from now on. */
void upstream_ticket_move(struct upstream_ticket *to, struct upstream_ticket *from);
/* Gives the server back. Harmless when it holds none. */
void upstream_release(struct upstream_ticket *ticket);

/* ---- waiting for room ---- */

struct upstream_wait;

struct upstream_wait_ops {
	/* There may be room: pick. False: there is none, and it goes on waiting. Else upstream_wait_cancel before anything else. */
	bool (*on_room)(struct upstream_wait *wait);
	void (*on_late)(struct upstream_wait *wait); /* timeouts.queue has passed */
};

/* Zero waits for nothing. Stays where it is. */
struct upstream_wait {
	const struct upstream_wait_ops *ops;
	struct upstream_group *group; /* NULL: does not wait */
	bool choosy; /* not every server will do: others are asked when this one finds no room */
	struct link link;
	struct timer timer;
};

/* False: as many wait as may. `choosy`: see above. */
WARN_UNUSED bool upstream_wait_start(struct upstream_wait *wait, struct upstream_group *group,
				     const struct upstream_wait_ops *ops, bool choosy);
/* Others of this worker wait already: who comes now waits behind them. */
static inline bool upstream_has_queue(const struct upstream_group *group)
{
	return !list_empty(&group->queue);
}
void upstream_wait_cancel(struct upstream_wait *wait); /* harmless when it does not wait */

#endif
