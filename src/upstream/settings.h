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

/* One server. `address` has been checked: see upstream_check_address. */
struct upstream_server_settings {
	struct setting_string address; /* "host:port", "1.2.3.4:80", "[::1]:80" or "unix:/path", as written */
	uint64_t weight;               /* 1..256 */
	struct setting_place place;
};

/* Milliseconds; 0 = as `timeouts` of the whole configuration says. */
struct upstream_timeouts {
	uint64_t connect, handshake, response, pool;
};

struct upstream_settings {
	struct setting_string name;  /* the key under `upstreams`; first, as SETTING_NAMED asks */
	struct setting_list servers; /* struct upstream_server_settings, at least one */
	int balance;                 /* index in balance_algorithms (balance/balance.h) */
	uint64_t keepalive;          /* idle connections kept, for each worker and server */
	uint64_t retries;            /* other servers tried when nothing was processed */
	struct tls_upstream_settings tls;
	int http;           /* enum upstream_http */
	uint64_t streams;   /* exchanges at a time on one HTTP/2 connection */
	int proxy_protocol; /* enum proxy_protocol (net/proxy_protocol.h) */
	struct upstream_timeouts timeouts;
	struct setting_place http_place, proxy_protocol_place;
	struct setting_place place;
};

extern const struct setting upstream_rows[]; /* struct upstream_settings */

/* NULL, or why the text is not an address of a server (static text). A setting's `check`. */
const char *upstream_check_address(const char *text, size_t len);

#endif
