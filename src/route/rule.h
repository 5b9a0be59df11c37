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

struct rules;

struct rule_query {
	const struct address *source; /* the client's; port ignored */
	struct span method;           /* case-sensitive (RFC 9110 9.1) */
	struct span host;             /* as asked for: name or literal without brackets */
	uint16_t port;
	const struct address *address; /* resolved or literal; NULL = not known yet. Its port is ignored: `port` counts */
};

enum verdict_outcome {
	VERDICT_DENY,
	VERDICT_ALLOW,
	VERDICT_NEEDS_ADDRESS, /* depends on the address: ask again with one */
};

enum verdict_reason {
	VERDICT_BY_RULE,
	VERDICT_BY_DEFAULT, /* no rule matched */
	VERDICT_BY_SOURCE,  /* the client is not in the listener's `sources` */
};

enum { VERDICT_NO_RULE = -1 };

struct verdict {
	enum verdict_outcome outcome;
	enum verdict_reason reason;
	int rule;                   /* index from 0, or VERDICT_NO_RULE */
	struct setting_place place; /* the rule's */
	bool by_address; /* ALLOW by a rule that names the target's address or network: opens one that is not public */
};

/* NULL after errors in the diagnostics. rules_free gives the maps back, the rest is the arena's; NULL is fine there. */
WARN_UNUSED struct rules *rules_compile(const struct forward_settings *settings, struct arena *arena,
					struct diagnostics *diagnostics);
void rules_free(struct rules *rules);

/*
 * Judges one request. Without an address the answer is ALLOW or DENY only when every address would lead to it (then
 * `by_address` is false and `rule` the one that decides at the latest); an ALLOW still has to pass guard_judge with
 * the address.
 */
struct verdict rules_judge(const struct rules *rules, const struct rule_query *query);

/* "80" or "6000-6100" (1 to 65535, first <= last); NULL, or why not (static text). */
const char *rule_ports_parse(struct span text, uint16_t *first, uint16_t *last);

/* May a client with this address use the listener at all (`sources`)? For CONNECT and SOCKS before anything is read. */
bool rules_source_allowed(const struct rules *rules, const struct address *source);

/*
 * Whether a listener on this address is an open proxy: it takes clients from beyond this machine (not loopback, not
 * unix), and neither `sources` nor the rules limit them. Refused at start unless `open: true`.
 */
bool rules_listener_exposed(const struct rules *rules, const struct address *listen);

#endif
