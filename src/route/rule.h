/*
 * The rules of one forward listener, compiled: who may ask for what. Immutable; built with the snapshot, judged on
 * all workers at once.
 *
 * The first rule whose conditions all hold decides. When none does, a list with an allow in it ends in deny and one
 * without in allow. Domains are compared with the name that was asked for, never with an answer of the DNS; addresses
 * with the address that will be connected to, so that a rule with addresses can be decided only when that is known (a
 * literal, or after the look-up).
 */
#ifndef GUISE_ROUTE_RULE_H
#define GUISE_ROUTE_RULE_H

#include "core/diagnostic.h"
#include "net/address.h"
#include "route/settings.h"

struct accounts;
struct lists;
struct rules;

/* How the target is to be reached, as rules name it. */
enum rule_scheme {
	RULE_HTTP,  /* a request for http */
	RULE_HTTPS, /* a request for https, which Guise itself makes over TLS; an intercepted TLS connection */
	RULE_TUNNEL, /* CONNECT: the client's own bytes */
	RULE_SOCKS,  /* the same by SOCKS, either way (CONNECT, BIND) */
	RULE_UDP,    /* datagrams, by SOCKS */
};

struct rule_query {
	const struct address *source; /* the client's; port ignored */
	struct span user;             /* who has proved to be it; empty: nobody */
	/* Whether that user is in a group (accounts_in_group of account/login.h), and of which accounts. NULL: nobody is in any. */
	bool (*in_group)(const struct accounts *accounts, struct span user, struct span group);
	const struct accounts *accounts;
	struct span method; /* case-sensitive (RFC 9110 9.1); of SOCKS: CONNECT, BIND, UDP */
	enum rule_scheme scheme;
	struct span host; /* as asked for: name or literal without brackets */
	uint16_t port;
	const struct address *address; /* resolved or literal; NULL = not known yet. Its port is ignored: `port` counts */
	struct span listener; /* where the client came in: the address as it was written under `listen` */
	int64_t wall_ms;      /* the time, since 1970 */
};

/* What an allow says besides yes. Indexes are those of the snapshot's lists of that name. */
struct rule_actions {
	const uint32_t *parents; /* to be tried in this order; RULE_DIRECT: none. Without any: direct */
	const uint32_t *secrets; /* that its requests may be given */
	uint32_t parent_count, secret_count;
	uint32_t exit;      /* how connections leave this machine; RULE_NONE: as the system chooses */
	uint32_t allowance; /* how much of it; RULE_NONE: without a bound */
};

#define RULE_NONE UINT32_MAX
#define RULE_DIRECT (UINT32_MAX - 1)

enum verdict_outcome {
	VERDICT_DENY,
	VERDICT_ALLOW,
	VERDICT_NEEDS_ADDRESS, /* depends on the address: ask again with one */
};

enum verdict_reason {
	VERDICT_BY_RULE,
	VERDICT_BY_DEFAULT, /* no rule matched */
	VERDICT_BY_SOURCE,  /* the client is not in the listener's `sources` */
	VERDICT_BY_EFFORT,  /* a pattern of the rule took too many steps: nobody knows, so it is denied */
};

enum { VERDICT_NO_RULE = -1 };

struct verdict {
	enum verdict_outcome outcome;
	enum verdict_reason reason;
	int rule;                   /* index from 0, or VERDICT_NO_RULE */
	struct setting_place place; /* the rule's */
	struct span name; /* as it is called in logs: its `name`, or "rule N (line L)"; empty without a rule */
	struct span client_reason; /* that the client is told; empty: none was given */
	struct span list; /* the list that has what was asked for, if the rule goes by lists; else empty */
	const struct rule_actions *actions; /* ALLOW: never NULL */
	bool by_address; /* ALLOW by a rule that names the target's address or network: opens one that is not public */
	bool by_method; /* ALLOW by a rule that names the method: what is off unless somebody asks for it (BIND) */
};

/* What compiling needs from the rest of the snapshot. Names are NULL-terminated; NULL: there are none. Indexes of actions are positions in them. */
struct rule_context {
	struct arena *arena; /* the snapshot's */
	struct diagnostics *diagnostics;
	const char *const *parents, *const *exits, *const *allowances, *const *secrets;
	const struct lists *lists; /* NULL: there are none */
};

/*
 * NULL after errors in the diagnostics. `settings` have to live as long as the rules. rules_free gives maps and patterns back, the rest is the arena's; NULL
 * is fine there.
 */
WARN_UNUSED struct rules *rules_compile(const struct forward_settings *settings,
					const struct rule_context *context);
void rules_free(struct rules *rules);

/*
 * Judges one request. Without an address the answer is ALLOW or DENY only when every address would lead to it, and ALLOW only when to the same actions, too
 * (then `by_address` is false and `rule` the one that decides at the latest); an ALLOW still has to pass guard_judge with the address, if it is this
 * process that connects to it.
 */
struct verdict rules_judge(const struct rules *rules, const struct rule_query *query);

/*
 * Judges a client that will name its targets later, one by one (UDP ASSOCIATE): DENY when the rules leave nothing that it could be allowed, else ALLOW by the
 * first rule that may allow it something. Conditions on targets are not looked at; each target still has to be judged.
 */
struct verdict rules_judge_client(const struct rules *rules, const struct rule_query *query);

enum { VERDICT_TEXT = 288 };

/*
 * What decided, for logs: "no-ads (lists: ads)", "rule 3 (line 20)", "no rule allows it". Returns the length, less than VERDICT_TEXT; a NUL follows.
 */
size_t verdict_describe(const struct verdict *verdict, char out[VERDICT_TEXT]);

/* "80" or "6000-6100" (1 to 65535, first <= last); NULL, or why not (static text). */
const char *rule_ports_parse(struct span text, uint16_t *first, uint16_t *last);

/* "http", "https", "tunnel", "socks", "udp"; false: something else. */
bool rule_scheme_parse(struct span text, enum rule_scheme *scheme);

/* May a client with this address use the listener at all (`sources`)? For CONNECT and SOCKS before anything is read. */
bool rules_source_allowed(const struct rules *rules, const struct address *source);

/*
 * Whether a listener on this address is an open proxy: it takes clients from beyond this machine (not loopback, not
 * unix), and neither `sources` nor the rules limit them to networks, users or groups. Refused at start unless `open: true`.
 */
bool rules_listener_exposed(const struct rules *rules, const struct address *listen);

#endif
