/*
 * The egress guard, the second gate of a forward listener: judges the very address that will be connected to. One
 * that is not public (IANA special-purpose registries), or where this process itself listens or which it uses as an upstream
 * server or a parent proxy, passes only when the rule that decides is an allow which names the address or a network it is in. Any thread.
 */
#ifndef GUISE_ROUTE_GUARD_H
#define GUISE_ROUTE_GUARD_H

#include "core/arena.h"
#include "net/address_set.h"
#include "route/rule.h"

/* A server that the configuration knows by a name, in lower case. */
struct guard_name {
	struct span host;
	uint16_t port;
};

/*
 * What belongs to this process. The sets change while it runs; any of them may be NULL. A listener on a wildcard address counts as on each address of
 * the interfaces and on all of 127.0.0.0/8 and ::1.
 */
struct guard_own {
	const struct address *listeners; /* with real ports */
	size_t listener_count;
	struct address_set *interfaces; /* every address of the machine's interfaces, with port 0 */
	struct address_set *broadcasts; /* those of its networks, with port 0 */
	struct address_set *servers; /* of upstream groups, and parent proxies, as far as their addresses are known */
	const struct guard_name *names; /* of both; sorted by guard_names_sort */
	size_t name_count;
};

void guard_names_sort(struct guard_name *names, size_t count);

bool guard_is_own(const struct guard_own *own, const struct address *target); /* a listener: address and port */
/* An upstream server or a parent, by its address or by the name that was asked for. */
bool guard_is_server(const struct guard_own *own, const struct address *target, struct span host);

enum guard_outcome {
	GUARD_ALLOW,
	GUARD_RULE,      /* the rules deny it: ERROR_DENIED */
	GUARD_SPECIAL,   /* not a public address: ERROR_TARGET_PROHIBITED */
	GUARD_OWN,       /* one of our own listeners: ERROR_TARGET_PROHIBITED */
	GUARD_SERVER,    /* one of our upstream servers or parents: ERROR_TARGET_PROHIBITED */
	GUARD_BROADCAST, /* of a network of this machine: ERROR_TARGET_PROHIBITED */
};

enum { GUARD_TEXT = VERDICT_TEXT };

struct guard_verdict {
	enum guard_outcome outcome;
	struct verdict verdict;              /* of the rules */
	const struct special_range *special; /* GUARD_SPECIAL */
	/* Why, and the rule that would open it, for the log (never for the peer): "10.1.2.3 is not public (Private-Use, RFC 1918);
	 * to open it, add a rule: allow: {addresses: [10.1.2.3]}", or what denies it, as verdict_describe has it. Empty for ALLOW. */
	char text[GUARD_TEXT];
};

/* query->address must be set; the target is that address with query->port. `own` may be NULL. */
struct guard_verdict guard_judge(const struct rules *rules, const struct guard_own *own,
				 const struct rule_query *query);

/*
 * Of `count` resolved addresses keeps, in order, those that may be connected to, and returns how many; they get
 * query->port. query->address is not read. All that are kept are allowed by the same rule, that of the first, so that what it says of the
 * way holds for each. *verdict (may be NULL) is the one on the first that is kept, or, when none is left, on the first of all.
 */
size_t guard_filter(const struct rules *rules, const struct guard_own *own, const struct rule_query *query,
		    struct address *addresses, size_t count, struct guard_verdict *verdict);

#endif
