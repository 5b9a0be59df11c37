/*
 * The egress guard, the second gate of a forward listener: judges the very address that will be connected to. One
 * that is not public (IANA special-purpose registries), or where this process itself listens or sends to as a reverse
 * proxy, passes only when the rule that decides is an allow which names the address or a network it is in. Pure;
 * immutable; any thread.
 */
#ifndef GUISE_ROUTE_GUARD_H
#define GUISE_ROUTE_GUARD_H

#include "core/arena.h"
#include "route/rule.h"

/*
 * The addresses of this process's own listeners. The caller gives the listeners, with real ports, and every address
 * of the machine's interfaces (ports 0); a listener on a wildcard address counts as on each of them and on all of
 * 127.0.0.0/8 and ::1.
 */
struct guard_own {
	const struct address *listeners;
	size_t listener_count;
	const struct address *interfaces;
	size_t interface_count;
	const struct address *servers; /* of the upstream groups, as far as they are known by address; with port */
	size_t server_count;
};

bool guard_is_own(const struct guard_own *own, const struct address *target); /* a listener: address and port */
bool guard_is_server(const struct guard_own *own, const struct address *target); /* an upstream server */

enum guard_outcome {
	GUARD_ALLOW,
	GUARD_RULE,    /* the rules deny it: ERROR_DENIED */
	GUARD_SPECIAL, /* not a public address: ERROR_TARGET_PROHIBITED */
	GUARD_OWN,     /* one of our own listeners: ERROR_TARGET_PROHIBITED */
	GUARD_SERVER,  /* one of our upstream servers: ERROR_TARGET_PROHIBITED */
};

enum { GUARD_TEXT = 288 };

struct guard_verdict {
	enum guard_outcome outcome;
	struct verdict verdict;              /* of the rules */
	const struct special_range *special; /* GUARD_SPECIAL */
	/* Why, and the rule that would open it, for the log (never for the peer): "10.1.2.3 is not public (Private-Use, RFC 1918);
	 * to open it, add a rule: allow: {addresses: [10.1.2.3]}". Empty for ALLOW. */
	char text[GUARD_TEXT];
};

/* query->address must be set; the target is that address with query->port. `own` may be NULL. */
struct guard_verdict guard_judge(const struct rules *rules, const struct guard_own *own,
				 const struct rule_query *query);

/*
 * Of `count` resolved addresses keeps, in order, those that may be connected to, and returns how many; they get
 * query->port. query->address is not read. When none is left, *refused (may be NULL) is the verdict on the first.
 */
size_t guard_filter(const struct rules *rules, const struct guard_own *own, const struct rule_query *query,
		    struct address *addresses, size_t count, struct guard_verdict *refused);

#endif
