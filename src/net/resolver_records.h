/*
 * What a name server says of a name, with the time for which it says so, for those that keep it themselves: all addresses of one family, or SRV records
 * (RFC 2782). Nothing of it goes to the resolver's cache, nor comes from there. On the resolver's worker.
 */
#ifndef GUISE_NET_RESOLVER_RECORDS_H
#define GUISE_NET_RESOLVER_RECORDS_H

#include "net/resolver.h"

enum { RESOLVER_MOST_RECORDS = 256 }; /* of one answer; what is beyond is left out */

enum resolver_kind {
	RESOLVER_ASK_V4,
	RESOLVER_ASK_V6,
	RESOLVER_ASK_SEARCH, /* both families, through the search domains, so that both are of the same name */
	RESOLVER_ASK_SERVICES,
};

enum resolver_outcome {
	RESOLVER_FOUND,   /* there is a record at least, or "withdrawn" */
	RESOLVER_NOTHING, /* a name server says so: no such name, or no such record */
	RESOLVER_BROKEN,  /* nobody could say */
};

struct resolver_service {
	uint16_t priority, weight, port;
	uint8_t len;
	char target[RESOLVER_MAX_NAME]; /* lower case, no dot at the end */
};

/* Without repetition, as they came. */
struct resolver_records {
	enum resolver_outcome outcome;
	const char *why; /* static text, when nothing was found */
	uint64_t ttl;    /* s, the shortest of the chain; when something was found */
	unsigned count;
	bool cut;       /* there were more */
	bool withdrawn; /* services: the one target is ".", the service is decidedly not available (RFC 2782) */
	union {
		struct address addresses[RESOLVER_MOST_RECORDS]; /* port 0 */
		struct resolver_service services[RESOLVER_MOST_RECORDS];
	};
};

struct resolver_request;
/* Called once, in a turn after the one that asked, unless cancelled. `records` are lent for the call. */
typedef void resolver_records_fn(struct resolver_request *request, const struct resolver_records *records);

struct resolver_request {
	resolver_records_fn *on_records;
	struct resolver_question *question; /* the resolver's; NULL: nothing is asked */
};

/* `name`: a host name (services: with underscores) without trailing dot, copied. False: bad name, memory, too many questions. */
WARN_UNUSED bool resolver_request(struct worker *worker, enum resolver_kind kind, struct span name,
				  struct resolver_request *request, resolver_records_fn *on_records);
void resolver_request_cancel(struct resolver_request *request); /* harmless when nothing is asked */

/*
 * What is known without asking, and does not change: names of the hosts file, localhost. False: it is to be asked for. What must not be asked
 * for (.invalid, .onion, .alt, no host name) is RESOLVER_NOTHING. Only families that are wanted.
 */
bool resolver_fixed(struct worker *worker, struct span name, struct resolver_records *records);

/* The families that may be asked for, and whether there may be domains to search. */
enum resolver_family resolver_family(const struct worker *worker);
bool resolver_searches(const struct worker *worker);

/*
 * The SRV records of a DNS message: those of the name that was asked for, or that its aliases lead to. False: it is malformed. Pure.
 */
WARN_UNUSED bool resolver_services_parse(struct span message, struct resolver_records *records);

#endif
