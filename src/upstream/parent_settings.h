/*
 * Parent proxies as the configuration describes them, and compiled: what connections of the forward face go through on their way. Part of a snapshot,
 * immutable; any thread.
 */
#ifndef GUISE_UPSTREAM_PARENT_SETTINGS_H
#define GUISE_UPSTREAM_PARENT_SETTINGS_H

#include "core/diagnostic.h"
#include "net/address.h"
#include "tls/settings.h"

struct tls_trust;

enum parent_kind { PARENT_HTTP, PARENT_HTTPS, PARENT_SOCKS4A, PARENT_SOCKS5 };

enum {
	PARENT_HOPS_MOST = 4,     /* in a row */
	PARENT_SERVERS_MOST = 16, /* of one parent */
};

#define PARENT_NONE UINT32_MAX
#define PARENT_DIRECT (UINT32_MAX - 1) /* in place of a parent: none. The same as RULE_DIRECT */

/* Active checks; there are any if `place` has a line. */
struct parent_health_settings {
	uint64_t interval, timeout; /* ms */
	struct setting_string target; /* "host:port" that is to be reached through it; empty: its own answer is enough */
	struct setting_place place;
};

struct parent_settings {
	struct setting_string name;     /* the key under `parents`; first, as SETTING_NAMED asks */
	struct setting_strings servers; /* URLs: alternatives */
	struct setting_string via;      /* the parent that its servers are reached through; empty: none */
	struct setting_string user, password;
	struct parent_health_settings health;
	struct tls_upstream_settings tls;
	struct setting_place place;
};

/* One server of one parent. */
struct parent_server {
	uint32_t index;  /* among the servers of all parents */
	uint32_t parent; /* whose it is */
	enum parent_kind kind;
	struct span text;       /* "socks5://tor.internal:9050": as written, without credentials; for logs */
	struct span place;      /* of that, "tor.internal:9050" */
	struct span host;       /* a name, or a literal address without brackets */
	struct address address; /* family ADDRESS_NONE: host is a name */
	uint16_t port;
	struct span user, password; /* empty: none */
	struct span authorization;  /* http, https: of Proxy-Authorization; empty: none is sent */
	struct span peer_name;      /* https: what its certificate must be for */
};

/* One parent. */
struct parent_plan {
	const struct parent_settings *settings;
	struct span name;
	struct parent_server *servers;
	uint32_t count;
	uint32_t via;                 /* an index, or PARENT_NONE */
	struct tls_trust *trust;      /* https; NULL: not verified */
	struct span certificate, key; /* https, PEM: our own; may be empty */
	/* of `health`: */
	struct span target;
	struct address target_address; /* family ADDRESS_NONE: a name */
	uint16_t target_port;          /* 0: none is to be reached */
};

/* All of them. */
struct parent_plans {
	struct parent_plan *items;
	uint32_t count;
	struct parent_server **servers; /* of all parents, by their index */
	uint32_t server_count;
	const char *const *names; /* of the parents, by their index; NULL behind the last */
};

extern const struct setting parent_rows[]; /* struct parent_settings */

/* A setting's `check`, for the names of parents. */
const char *parent_check_name(const char *text, size_t len);

/*
 * Reads "KIND://[USER[:PASSWORD]@]HOST[:PORT]" into kind, text, place, host, address, port, user and password; what has to be written anew is in the arena.
 * NULL, or why not (static text, which repeats nothing of the URL).
 */
const char *parent_url_parse(struct span url, struct arena *arena, struct parent_server *server);
/* From user and password, if there is a user: what its protocol says of them. NULL, or why it cannot (static text, which repeats nothing of them). */
const char *parent_login_prepare(struct parent_server *server, struct arena *arena);

/* Kinds to which Guise says what it wants over HTTP. */
static inline bool parent_speaks_http(const struct parent_server *server)
{
	return server->kind == PARENT_HTTP || server->kind == PARENT_HTTPS;
}

/*
 * Fills in all but what files have to be read for (trust, certificate, key). Mistakes go to the diagnostics, at their places. False: out of memory.
 */
WARN_UNUSED bool parents_compile(const struct setting_list *settings, struct arena *arena,
				 struct diagnostics *diagnostics, struct parent_plans *plans);

/* "office (https://a.proxy:3128, https://b.proxy:3128) via tor (socks5://127.0.0.1:9050)", or "direct". ->at is NULL: out of memory. */
struct span parent_describe(const struct parent_plans *plans, uint32_t parent, struct arena *arena);

#endif
