/*
 * Names to addresses, asynchronously (c-ares), with a cache on each worker that honours TTLs (clamped to 1 s .. 1 day;
 * failures kept 1 s .. 5 s), one query in flight for each name however many ask. /etc/hosts was read at start and is handed in.
 */
#ifndef GUISE_NET_RESOLVER_H
#define GUISE_NET_RESOLVER_H

#include "core/arena.h"
#include "core/error.h"
#include "core/map.h"
#include "core/worker.h"
#include "net/address.h"

enum resolver_family { RESOLVER_ANY, RESOLVER_V4_ONLY, RESOLVER_V6_ONLY };

enum { RESOLVER_MAX_ADDRESSES = 16, RESOLVER_MAX_NAME = 253 };

struct resolver_settings {
	const char *servers; /* c-ares csv, "" = the system's */
	enum resolver_family family;
	uint64_t timeout_ms; /* for one try */
	unsigned attempts;
	const struct map *hosts; /* lower-case name -> struct resolver_answer *, immutable; may be NULL */
	size_t cache_entries;    /* bound on cached names, e.g. 4096 */
};

/*
 * Addresses without repetition, in the order in which they should be tried: IPv6 first where this machine has a route for it, IPv4
 * first where not, each family as the server gave it; dial interleaves them. (Not sorted by RFC 6724: that takes a
 * socket and a connect for each address of each answer.)
 */
struct resolver_answer {
	unsigned count;
	struct address addresses[RESOLVER_MAX_ADDRESSES]; /* port 0 */
};

struct resolver_query;
/* `answer` is lent for the call; NULL when *error tells (ERROR_DNS_FAILED or ERROR_DNS_TIMEOUT). */
typedef void resolver_fn(struct resolver_query *query, const struct resolver_answer *answer,
			 const struct error *error);

struct resolver_query {
	struct link link; /* waiting for the same name */
	resolver_fn *on_answer;
	void *lookup; /* the resolver's */
};

/*
 * Slot WORKER_SLOT_RESOLVER. Reads /etc/resolv.conf unless servers are given; no file is opened later. False: out of memory, or servers
 * that c-ares cannot read. The library's own init is not thread-safe: call these two on one thread at a time.
 */
WARN_UNUSED bool resolver_init(struct worker *worker, const struct resolver_settings *settings);
void resolver_fini(struct worker *worker); /* what still waits is dropped without a callback */

/*
 * The text of a hosts file (not its path) into `hosts`: lower-case name -> struct resolver_answer, both in the arena. Lines that make no
 * sense are skipped, as everybody does. False: out of memory.
 */
WARN_UNUSED bool resolver_hosts_parse(struct span text, struct arena *arena, struct map *hosts);

/*
 * The answer if it is known now (hosts file, cache, localhost): valid until the end of the turn. NULL: *error is set if the name is
 * known to fail (ERROR_DNS_FAILED for what is no host name, .invalid, .onion and .alt too), and ERROR_NONE if it is to be asked for.
 */
const struct resolver_answer *resolver_known(struct worker *worker, struct span name, struct error *error);
/*
 * Asks. on_answer is called exactly once, never before this returns, unless cancelled. `name`: a host name without trailing
 * dot, copied. False: *error tells (bad name, memory, too many queries).
 */
WARN_UNUSED bool resolver_ask(struct worker *worker, struct span name, struct resolver_query *query,
			      resolver_fn *on_answer, struct error *error);
void resolver_cancel(struct resolver_query *query); /* harmless when not waiting */

#endif
