/*
 * What would become of a request: the phases of its listener run on it, all but the last one, which reaches out; the request goes nowhere. What is shown is so
 * what would happen, and no second opinion of it. On a worker.
 */
#ifndef GUISE_PROXY_EXPLAIN_H
#define GUISE_PROXY_EXPLAIN_H

#include "proxy/proxy.h"
#include "tls/info.h"
#include "upstream/pick.h"

struct proxy_exchange;

enum explain_end {
	EXPLAIN_REFUSED,  /* `error` tells why */
	EXPLAIN_ANSWERED, /* by Guise itself: x->response, body */
	EXPLAIN_GOES_ON,  /* to a server */
};

/* Stays where it is from explain_begin to explain_end. */
struct explain {
	/* before explain_begin */
	struct worker *worker;
	const struct proxy_listener *listener;
	struct client client; /* who asks, `user` too, who is then taken to have logged in; `tls` is set by explain_begin */
	/* Of a request, as HTTP/1.1 has it, with its empty line; of a raw connection the name that its ClientHello has (empty: none). Borrowed. */
	struct span head;

	/* after it */
	struct exchange *x;
	enum explain_end end;
	const char *phase; /* the last one that looked at it; "read": none did */
	struct error error;
	struct span detail; /* of the error, for logs; may be empty */
	struct span body;
	struct http_head before; /* as it came; x->request is as servers would get it, but for Host (explain_host) */
	struct span client_text; /* who that is taken for */
	struct span user;        /* forward: and by which name; empty: by none */

	struct route_match match;          /* reverse; ->route is NULL where none was found, or looked for */
	const struct tcp_route *tcp_route; /* tcp */
	bool by_lot;                       /* the group was drawn: another time it is another one */

	bool judged; /* forward: by the rules, and the egress guard if the address is known */
	bool guarded;
	struct guard_verdict verdict;

	/* Where the request goes on to a group; */
	struct upstream_group *group; /* NULL: it does not */
	enum upstream_pick pick;
	bool keyed;                     /* the algorithm goes by a key */
	bool by_key;                    /* and the request has it */
	bool sticky;                    /* the server is the one that the request sticks to */
	unsigned tier;                  /* that is picked from; PICKED and FULL */
	struct upstream_server *server; /* that would be picked; NULL: it depends */

	struct service service;
	struct tls_info tls;
};

/* False: out of memory; there is nothing to end. */
WARN_UNUSED bool explain_begin(struct explain *explain);
void explain_end(struct explain *explain);

/* forward, judged: what the rules were asked. *literal is where its address is kept. */
struct rule_query explain_query(const struct explain *explain, struct address *literal);

/* What Host (:authority) would say to this server of the group. */
struct span explain_host(const struct explain *explain, const struct fleet_server *server);

#endif
