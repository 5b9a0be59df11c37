/*
 * What the configuration says of listeners, routes and forward rules, as it was written: the structs that the config
 * room fills by the rows below, and that router_compile and rules_compile turn into immutable forms. All memory is
 * the snapshot's.
 *
 * Places: a row's place_offset is an offset in the same struct as the row's own offset. A nested mapping is there
 * when its place has a line; what makes settings without a file (the command line) sets the line to 1. The `place` of
 * a list's item is noted by the `place_offset` of the LIST row, as an offset in the item (a struct setting_list has a
 * place of its own).
 */
#ifndef GUISE_ROUTE_SETTINGS_H
#define GUISE_ROUTE_SETTINGS_H

#include "account/settings.h"
#include "mask/settings.h"
#include "tls/settings.h"

/* What a listener's `http2` says, in the order of the choices. */
enum listener_http2 {
	HTTP2_TLS,   /* on TLS, by ALPN */
	HTTP2_CLEAR, /* in clear, by prior knowledge (RFC 9113 3.3) */
	HTTP2_OFF,
};

/* Whether a listener's clients know that they speak to a proxy, in the order of the choices. */
enum listener_intercept {
	INTERCEPT_OFF,
	INTERCEPT_REDIRECT, /* no: the system's REDIRECT or DNAT sent them here */
	INTERCEPT_TPROXY,   /* no: the system's TPROXY did */
};

/* Where what they sent goes, in the order of the choices. */
enum intercept_destination {
	INTERCEPT_BY_NAME, /* to whom they named, looked up by us; who named nobody: where they connected to */
	INTERCEPT_ORIGINAL, /* where they connected to; a name that is not there is refused */
};

/* What listeners of both faces have besides `listen`. */
struct entrance_settings {
	struct tls_listener_settings tls;
	int http2;                             /* enum listener_http2 */
	struct setting_strings proxy_protocol; /* networks, or "unix:" */
	struct setting_place http2_place;
};

/* Field edits: names and values (templates) in file order. */
struct edit_settings {
	struct setting_pairs set, add;
	struct setting_strings remove;
	struct setting_place place;
};

struct respond_settings {
	uint64_t status;
	struct setting_string body; /* may hold any bytes */
	const char *type;
	struct setting_pairs fields;
	struct setting_place place, type_place;
};

struct rewrite_settings {
	const char *from, *to;
	struct setting_place place, from_place, to_place;
};

struct route_limit_settings {
	uint64_t body; /* bytes; 0 = not set; UINT64_MAX = unlimited */
	struct setting_place place;
};

/* One group of a split. */
struct share_settings {
	struct setting_string group;
	uint64_t weight;
	struct setting_place place;
};

/* Which groups requests or connections go to. */
struct destination_settings {
	struct setting_list to;         /* struct share_settings; items NULL: not given */
	struct setting_string split_by; /* see request_key_parse; empty: by lot */
};

/* A second group that requests are sent to as well, without its answers meaning anything; there is one if `to` is not NULL. */
struct mirror_settings {
	const char *to;
	uint64_t percent; /* of the route's requests */
	struct setting_place place, to_place;
};

struct route_settings {
	struct setting_strings host, path, method;
	struct setting_pairs fields, cookies;
	struct destination_settings destination;
	struct respond_settings respond;
	const char *redirect;
	uint64_t redirect_status;
	struct rewrite_settings rewrite;
	const char *set_host;
	struct edit_settings request, response;
	struct route_limit_settings limits;
	struct mirror_settings mirror;
	struct reverse_mask_settings mask; /* its own; place.line 0: the listener's */
	struct setting_place place, redirect_place, set_host_place;
};

struct reverse_settings {
	struct setting_strings listen;
	struct entrance_settings entrance;
	struct setting_strings trusted; /* networks, or "unix:" for peers on a unix socket */
	int forwarded; /* enum forwarded_style of mask/forwarded.h: both x_forwarded rfc7239 off */
	struct reverse_mask_settings mask;
	struct setting_list routes; /* struct route_settings */
	struct setting_place place;
};

/* The conditions of one rule: every one that is given must hold; of its members one is enough. */
struct rule_match_settings {
	struct setting_strings users, groups, sources, domains, regex, lists, addresses, ports, methods,
		schemes, times, listeners;
};

/* What `pac` of a rule says: how browsers that were given the proxy.pac of the listener go to what it allows. */
enum rule_pac {
	RULE_PAC_PROXY,  /* through this proxy */
	RULE_PAC_DIRECT, /* without it */
};

/* Exactly one of allow and deny; `allow: {}` matches everything. */
struct rule_settings {
	struct setting_string name;   /* in logs; empty: by its number */
	struct setting_string reason; /* that a client is told; empty: none */
	struct rule_match_settings allow, deny;
	struct setting_strings proxy;    /* of `parents`, or "direct" */
	struct setting_string exit;      /* of `exits` */
	struct setting_string allowance; /* of `allowances` */
	struct setting_strings secrets;  /* of `secrets` */
	int pac;                         /* enum rule_pac */
	struct setting_place place, allow_place, deny_place, pac_place;
};

/* One item of `lists`: names and networks in a file of their own. */
struct list_settings {
	struct setting_string name; /* the key; first, as SETTING_NAMED asks */
	struct setting_string file;
	int format; /* enum list_format of route/list_file.h: auto plain hosts */
	struct setting_place place;
};

/* `pac` of a forward listener: there when its place has a line. */
struct pac_settings {
	bool enabled;
	struct setting_string address; /* "host:port"; empty: as browsers ask */
	struct setting_strings direct; /* patterns of names, networks */
	struct setting_place place;
};

struct forward_settings {
	struct setting_strings listen;
	struct entrance_settings entrance;
	struct forward_mask_settings mask;
	bool open;
	bool socks; /* SOCKS is spoken beside HTTP */
	struct users_settings users;
	struct setting_strings sources;
	struct setting_list rules; /* struct rule_settings */
	struct pac_settings pac;
	struct setting_string trust; /* PEM: by whom certificates of origins are signed; empty: the system's store */
	struct setting_string allowance; /* of `allowances`, where a rule names none; empty: without a bound */
	struct setting_string exit; /* of `exits`, where a rule names none; empty: as the system chooses */
	int intercept;              /* enum listener_intercept */
	int intercept_destination;  /* enum intercept_destination */
	struct setting_place intercept_place, intercept_destination_place;
	struct setting_place place;
};

/* The first route that has the client's name decides. */
struct tcp_route_settings {
	struct setting_strings sni; /* none: any */
	struct destination_settings destination;
	struct setting_place place;
};

/* Either `to` or `routes`. */
struct tcp_settings {
	struct setting_strings listen;
	struct setting_strings proxy_protocol; /* for peers_compile */
	struct destination_settings destination;
	struct setting_list routes; /* struct tcp_route_settings */
	struct setting_place place;
};

/* One item of the lists `reverse`, `forward` and `tcp`; each ends with key == NULL. */
extern const struct setting reverse_rows[];
extern const struct setting forward_rows[];
extern const struct setting tcp_rows[];
extern const struct setting route_rows[]; /* one item of reverse[].routes */
extern const struct setting pac_rows[];   /* struct pac_settings */
extern const struct setting rule_rows[];  /* one item of forward[].rules */
extern const struct setting list_rows[];  /* one item of `lists` */
extern const struct setting share_rows[]; /* one item of `to` */

#endif
