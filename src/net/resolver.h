/*
 * Names to addresses, asynchronously (c-ares), with a cache on each worker that honours TTLs (clamped to 1 s .. 1 day;
 * failures kept 1 s .. 5 s), one query in flight for each name however many ask. /etc/hosts was read at start and is handed in.
 */
#ifndef GUISE_NET_RESOLVER_H
#define GUISE_NET_RESOLVER_H

#include "core/error.h"
#include "core/map.h"
#include "core/worker.h"
#include "net/address.h"

enum resolver_family { RESOLVER_ANY, RESOLVER_V4_ONLY, RESOLVER_V6_ONLY };

enum { RESOLVER_MAX_ADDRESSES = 16, RESOLVER_MAX_NAME = 253 };

struct resolver_settings {
	const char *servers;       /* c-ares csv, "" = the system's */
	enum resolver_family family;
	uint64_t timeout_ms;       /* for one try */
	unsigned attempts;
	const struct map *hosts;   /* lower-case name -> struct resolver_answer *, immutable; may be NULL */
	size_t cache_entries;      /* bound on cached names, e.g. 4096 */
};

/* Addresses in the order in which they should be tried (RFC 6724 as c-ares sorts them, families interleaved by dial). */
struct resolver_answer {
	unsigned count;
	struct address addresses[RESOLVER_MAX_ADDRESSES]; /* port 0 */
};

struct resolver_query;
/* `answer` is lent for the call; NULL when *error tells (ERROR_DNS_FAILED or ERROR_DNS_TIMEOUT). */
typedef void resolver_fn(struct resolver_query *query, const struct resolver_answer *answer, const struct error *error);

struct resolver_query {
	struct link link;    /* waiting for the same name */
	resolver_fn *on_answer;
	void *lookup;        /* the resolver's */
};

WARN_UNUSED bool resolver_init(struct worker *worker, const struct resolver_settings *settings); /* slot WORKER_SLOT_RESOLVER */
void resolver_fini(struct worker *worker);

/* The answer if it is known now (hosts file or cache): valid until the end of the turn. NULL: ask. *error set: known to fail. */
const struct resolver_answer *resolver_known(struct worker *worker, struct span name, struct error *error);
/*
 * Asks. on_answer is called exactly once, never before this returns, unless cancelled. `name`: a host name without trailing
 * dot, copied. False: *error tells (bad name, memory, too many queries).
 */
WARN_UNUSED bool resolver_ask(struct worker *worker, struct span name, struct resolver_query *query, resolver_fn *on_answer,
			      struct error *error);
void resolver_cancel(struct resolver_query *query); /* harmless when not waiting */

#endif
