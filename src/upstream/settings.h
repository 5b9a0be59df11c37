/*
 * Upstream groups as the configuration describes them. Part of a snapshot, immutable; read by workers.
 */
#ifndef GUISE_UPSTREAM_SETTINGS_H
#define GUISE_UPSTREAM_SETTINGS_H

#include "tls/settings.h"

/* Which HTTP a group's servers speak. In the order of the choices. */
enum upstream_http {
	UPSTREAM_HTTP_AUTO, /* over TLS what ALPN says, else 1 */
	UPSTREAM_HTTP_1,
	UPSTREAM_HTTP_2, /* in clear by prior knowledge (RFC 9113 3.3) */
};

/* What becomes of a name with several addresses. In the order of the choices. */
enum upstream_resolve {
	UPSTREAM_RESOLVE_EACH, /* each is a server of its own; they come and go as the name server says */
	UPSTREAM_RESOLVE_ONE,  /* they are ways to one server, tried at each connect (RFC 8305) */
};

/* One server. `address` has been checked: see upstream_check_address. */
struct upstream_server_settings {
	struct setting_string address; /* "host:port", "1.2.3.4:80", "[::1]:80", "unix:/path" or "srv:name", as written */
	uint64_t weight;               /* 1..256 */
	uint64_t max_connections; /* requests (or raw connections) at a time, of all workers; 0 = any number */
	uint64_t priority;        /* tier: lower ones first */
	bool backup;              /* after all others */
	int resolve;              /* enum upstream_resolve */
	struct setting_place place;
};

/* Milliseconds; 0 = as `timeouts` of the whole configuration says, but for the last two. */
struct upstream_timeouts {
	uint64_t connect, handshake, response, pool;
	uint64_t try_;  /* until the response's head, of one try; 0 = response alone counts */
	uint64_t queue; /* for a server with room */
};

/* In the order of the choices. */
enum health_kind { HEALTH_HTTP, HEALTH_TCP, HEALTH_TLS };

/* Active checks; there are any if `place` has a line. */
struct health_settings {
	int kind; /* enum health_kind */
	struct setting_string path, host, body;
	struct setting_strings status; /* "200", "2xx", "200-399": see status_set_parse */
	uint64_t port;                 /* 0 = the server's own */
	uint64_t interval, timeout;    /* ms */
	uint64_t jitter;               /* percent of the interval */
	uint64_t rise, fall;
	struct setting_place place;
};

/* Passive detection: what is seen of a server while it works. A number that is 0 is not looked at. */
struct outlier_settings {
	uint64_t connects; /* failures to connect, in a row */
	uint64_t failures; /* requests in a row without an answer: not connected, broken, too late, malformed */
	uint64_t errors;   /* answers in a row with a status from 500 to 599 */
	uint64_t error_rate; /* of a server's answers in an interval, percentage points above the others' */
	uint64_t latency;    /* a server's mean in an interval, percent of the others' */
	uint64_t requests;   /* in an interval at least, for the last two */
	uint64_t interval;   /* ms */
	uint64_t eject, eject_most; /* ms */
	uint64_t share;             /* percent of the group's servers that may be ejected at a time */
};

/* Second tries are paid for with what first tries bring. */
struct retry_budget_settings {
	uint64_t percent;    /* of requests */
	uint64_t per_second; /* beside that */
	uint64_t burst;      /* saved up at most */
};

/* A second try while the first goes on; there is any if `percentile` is not 0. */
struct hedge_settings {
	uint64_t percentile; /* of the group's latencies: after so long */
	uint64_t minimum;    /* ms, at least */
};

/* Circuit breakers, of all workers; 0 = any number (pending: none). */
struct upstream_limits {
	uint64_t connections, requests, pending, retries;
};

/* Stickiness by cookie; there is any if `cookie` is not empty. */
struct sticky_settings {
	struct setting_string cookie; /* its name */
	struct setting_string secret; /* empty: one is made at start */
	uint64_t max_age;             /* ms; 0 = until the browser ends */
};

struct upstream_settings {
	struct setting_string name;  /* the key under `upstreams`; first, as SETTING_NAMED asks */
	struct setting_list servers; /* struct upstream_server_settings */
	struct setting_string file;  /* a watched list of more servers; empty: none */
	int balance;                 /* index in balance_algorithms (balance/balance.h) */
	struct setting_string hash;  /* what keyed algorithms look at: see request_key_parse */
	uint64_t bound;              /* percent, for `hash` */
	struct sticky_settings sticky;
	uint64_t slow_start; /* ms */
	uint64_t panic;      /* percent of servers: with fewer that are well, all are used; 0 = never */
	struct health_settings health;
	struct outlier_settings outliers;
	uint64_t keepalive;              /* idle connections kept, for each worker and server */
	uint64_t retries;                /* other servers tried */
	struct setting_strings retry_on; /* statuses: see status_set_parse */
	struct retry_budget_settings retry_budget;
	struct hedge_settings hedge;
	struct upstream_limits limits;
	struct tls_upstream_settings tls;
	int http;           /* enum upstream_http */
	uint64_t streams;   /* exchanges at a time on one HTTP/2 connection */
	int proxy_protocol; /* enum proxy_protocol (net/proxy_protocol.h) */
	struct upstream_timeouts timeouts;
	struct setting_place http_place, proxy_protocol_place;
	struct setting_place place;
};

extern const struct setting upstream_rows[]; /* struct upstream_settings */

/* Parts of it. settings_health.c, settings_retry.c */
extern const struct setting health_rows[];         /* struct health_settings */
extern const struct setting outlier_rows[];        /* struct outlier_settings */
extern const struct setting retry_budget_rows[];   /* struct retry_budget_settings */
extern const struct setting hedge_rows[];          /* struct hedge_settings */
extern const struct setting upstream_limit_rows[]; /* struct upstream_limits */
extern const struct setting sticky_rows[];         /* struct sticky_settings */
extern const struct setting server_rows[];         /* struct upstream_server_settings: also items of `file` */

/* NULL, or why the text is not an address of a server (static text). A setting's `check`. */
const char *upstream_check_address(const char *text, size_t len);

#endif
