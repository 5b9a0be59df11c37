/*
 * What Guise does with an exchange: the phases of each face, and their ends. The server room makes a proxy_listener for each
 * listening address and hands its service to the codec; everything else happens through the exchange ops.
 */
#ifndef GUISE_PROXY_PROXY_H
#define GUISE_PROXY_PROXY_H

#include "exchange/exchange.h"
#include "mask/forward_mask.h"
#include "mask/forwarded.h"
#include "net/peers.h"
#include "proxy/settings.h"
#include "route/guard.h"
#include "route/router.h"
#include "route/tcp_route.h"
#include "route/settings.h"

struct allowances;
struct exits;
struct leak_tally;
struct pac;
struct secrets;
struct tls_server;
struct tls_trust;

enum proxy_face {
	PROXY_FORWARD,
	PROXY_REVERSE,
	PROXY_TCP,
	PROXY_ADMIN, /* its connections come in here, and no more: the service is the admin room's */
};

/* One listening address and its meaning. Immutable once workers run; shared by them. Borrows from the snapshot. */
struct proxy_listener {
	struct service service; /* .owner is this listener; of PROXY_ADMIN: the admin room's */
	struct service plain;   /* for who speaks plain HTTP to a port that speaks TLS: refuses */
	enum proxy_face face;
	struct span text;    /* the bound address, for logs */
	struct span written; /* as `listen` has it */
	struct span name;    /* of the proxy, in Proxy-Status and {name} */
	struct span via;     /* in Via: tells this process from others, so that loops are seen */
	enum log_format log_format;
	bool log_queries; /* whole; else they are redacted */

	/* before the first request */
	bool servers_ask;          /* some group is told where clients connected to (PROXY protocol) */
	struct tls_server **tls;   /* one for each worker, by its index; NULL: in clear */
	enum listener_http2 http2; /* with TLS it was told to tls_server_new */
	const struct peers *proxy_protocol; /* who sends a PROXY header first; NULL: nobody */
	struct span hsts;                   /* Strict-Transport-Security of every response; empty: none */

	/* reverse */
	const struct router *router;
	const struct forwarded_policy *forwarded;
	struct told_names *told;  /* fields that the mask has dropped, for the log; NULL: it says nothing */
	struct leak_tally *leaks; /* that its mask has found; NULL: nobody counts */
	bool pass_certificate;    /* a client's verified certificate, to the server (RFC 9440) */

	/* forward */
	const struct rules *rules;
	const struct guard_own *own;
	const struct pac *pac;   /* NULL: none is served */
	struct secrets *secrets; /* that rules may name; NULL: there are none */
	const struct forward_mask *mask;
	struct tls_trust *trust; /* by whom certificates of origins are signed; NULL: https targets are refused */
	struct exits *exits;     /* of the process */
	uint32_t exit;           /* by which connections leave where the rule names none; EXIT_NONE */
	struct allowances *allowances; /* of the process */
	uint32_t allowance;            /* where the rule names none; RULE_NONE */
	enum listener_intercept intercept;
	enum intercept_destination intercept_destination;

	/* tcp */
	const struct tcp_router *tcp;
};

/* For service.ops of every proxy_listener. */
extern const struct exchange_ops proxy_exchange_ops;

/* For plain.ops of those that speak TLS. */
extern const struct exchange_ops proxy_plain_ops;

#endif
