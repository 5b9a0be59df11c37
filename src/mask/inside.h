/*
 * What is inside: the names, addresses and networks of servers, of which nobody outside is to learn. Gathered from the configuration
 * while a snapshot is built, immutable afterwards; any thread.
 */
#ifndef GUISE_MASK_INSIDE_H
#define GUISE_MASK_INSIDE_H

#include "core/arena.h"
#include "net/address.h"

struct inside;
struct inside_host;

/* Addresses that servers have now, by DNS or by a file: whoever hands over knows them. */
struct inside_now {
	bool (*has)(const void *owner, const struct address *address); /* NULL: there are none */
	const void *owner;
};

static inline bool inside_now_has(const struct inside_now *now, const struct address *address)
{
	return now->has && now->has(now->owner, address);
}

/* Empty. NULL: out of memory. */
WARN_UNUSED struct inside *inside_new(struct arena *arena);
void inside_free(struct inside *inside); /* maps; the rest is the arena's. NULL is fine */

/* A server as it was written: a name or an address, without port and brackets. Borrowed. False: out of memory. */
WARN_UNUSED bool inside_add(struct inside *inside, struct span host, uint16_t port);

/* Whether a reference to this host (without brackets, any case, a trailing dot or none) leads to one of the servers, whatever the port. */
bool inside_has(const struct inside *inside, struct span host);

/* Walks all hosts, each once: NULL behind the last. */
const struct inside_host *inside_first(const struct inside *inside);
const struct inside_host *inside_next(const struct inside_host *host);
/* A name in lower case, without a dot at its end, or an address as RFC 5952 writes it. Lives as long as `inside`. */
struct span inside_host(const struct inside_host *host);

#endif
