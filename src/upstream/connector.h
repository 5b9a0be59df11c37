/*
 * From a name and a port to an established connection: resolve, let a filter judge the addresses, dial. What was judged is what is
 * connected to; nothing is resolved twice. Embedded in whoever waits for it; one worker's own.
 */
#ifndef GUISE_UPSTREAM_CONNECTOR_H
#define GUISE_UPSTREAM_CONNECTOR_H

#include "net/dial.h"
#include "net/resolver.h"

struct connector;

struct connector_ops {
	/*
	 * Drops addresses that must not be connected to, in place, and returns how many are left; with none left *error says why.
	 * They have the port set. NULL: all are fine.
	 */
	unsigned (*filter)(struct connector *connector, struct address *addresses, unsigned count,
			   struct error *error);
	/*
	 * `conn` is connected and the callee's (no ops yet); NULL: *error tells, and the server has seen nothing of the request. Exactly
	 * once, never before connector_start returns, unless cancelled.
	 */
	void (*on_connected)(struct connector *connector, struct conn *conn, const struct error *error);
};

struct connector {
	struct worker *worker;
	const struct connector_ops *ops;
	struct resolver_query query;
	struct dial *dial;
	struct loop_task fail; /* soon: tells an error that was known at once */
	struct error error;
	const struct net_way *way;
	uint64_t timeout; /* ms, for all addresses */
	uint16_t port;
	bool waiting;
};

/*
 * Starts towards a literal or unix `address`, or, when its family is ADDRESS_NONE, towards the name `host`. `port` goes with names. `way` (NULL: as
 * the system chooses) is borrowed until the end. The connector
 * must stay where it is until it is done or cancelled.
 */
void connector_start(struct connector *connector, struct worker *worker, const struct connector_ops *ops,
		     const struct address *address, struct span host, uint16_t port,
		     const struct net_way *way, uint64_t timeout_ms);
void connector_cancel(struct connector *connector); /* harmless when it is done, or was never started but is zero */

#endif
