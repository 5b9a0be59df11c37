/*
 * The parts of the resolver among themselves: names, the cache, lookups. One resolver for each worker, on its thread.
 */
#ifndef GUISE_NET_RESOLVER_INTERNAL_H
#define GUISE_NET_RESOLVER_INTERNAL_H

#include "net/resolver.h"

#include <ares.h>

struct resolver_cache {
	struct worker *worker;
	struct map names;   /* struct resolver_entry */
	struct link recent; /* the least recently used first */
	size_t most;
};

struct resolver {
	struct worker *worker;
	struct resolver_settings settings;
	struct resolver_cache cache;
	ares_channel channel;
	bool library; /* ares_library_init was called */
	bool ending;
	bool searches; /* there may be search domains */
	bool prefers_v6;
	uint64_t probed;       /* loop clock, of prefers_v6; 0 = never */
	struct timer timeout;  /* the next thing that c-ares waits for */
	struct link sockets;   /* struct resolver_socket */
	struct map asked;      /* name -> struct lookup */
	struct link lookups;   /* all of them */
	size_t waiting;        /* queries */
	struct link questions; /* struct resolver_question: see resolver_records.h */
	size_t question_count;
};

/* Whether the address is of a family that may be used. */
bool resolver_wants(const struct resolver *resolver, const struct address *address);

/* --- resolver_records.c --- */

/* What is still asked ends without a callback; c-ares has ended. */
void resolver_records_fini(struct resolver *resolver);

/* --- resolver_names.c --- */

/* A host name as lower case into `out` (RESOLVER_MAX_NAME bytes). False: not a host name. */
WARN_UNUSED bool resolver_name_check(struct span name, char *out);
/* Names that are never asked for: localhost and below it, .invalid, .onion. NULL and ERROR_NONE: not such a name. */
const struct resolver_answer *resolver_name_special(struct span name, enum resolver_family family,
						    struct error *error);
/* Appends unless it is there or there is no room. */
void resolver_answer_add(struct resolver_answer *answer, const struct address *address);
/* Moves one family in front; the order within each stays. */
void resolver_answer_order(struct resolver_answer *answer, bool v6_first);

/* --- resolver_cache.c --- */

void resolver_cache_init(struct resolver_cache *cache, struct worker *worker, size_t most);
void resolver_cache_fini(struct resolver_cache *cache);
/* What is kept for the name, valid until the end of the turn. False: nothing. A failure has *answer NULL. */
bool resolver_cache_get(struct resolver_cache *cache, struct span name, const struct resolver_answer **answer,
			struct error *error);
/* Keeps a copy for `seconds`; without memory it does not. `answer` NULL: a failure. */
void resolver_cache_put(struct resolver_cache *cache, struct span name, const struct resolver_answer *answer,
			struct error error, uint64_t seconds);

/* --- resolver_channel.c --- */

/* The address that c-ares found, without port and scope. False: it is none that is wanted. */
bool resolver_node_address(const struct resolver *resolver, const struct ares_addrinfo_node *node,
			   struct address *address);
WARN_UNUSED bool resolver_channel_open(struct resolver *resolver);
void resolver_channel_close(struct resolver *resolver); /* calls back every question with ARES_EDESTRUCTION */
void resolver_channel_arm(struct resolver *resolver); /* after every call into c-ares that may have changed its timeouts */
bool resolver_channel_v6_routed(void);

#endif
