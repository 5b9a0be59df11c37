/*
 * Logins that were found to be good lately, so that they need no thread again. Kept is nothing but a MAC, under a key that the process makes at start,
 * of the name, the password and the hash that it was verified by: so what the file says anew is not answered from what it said before, and
 * what the memory shows is of no use to anybody. Bounded; shared by all threads, with a lock for each shard, held for a few instructions.
 */
#ifndef GUISE_ACCOUNT_CACHE_H
#define GUISE_ACCOUNT_CACHE_H

#include "core/memory.h"
#include "core/span.h"
#include "tls/digest.h"

struct login_cache;

/* Of a login. */
struct login_mac {
	uint8_t bytes[DIGEST_MAC];
};

/* `lifetime` in ms; 0: nothing is kept. NULL: out of memory. */
struct login_cache *login_cache_new(struct memory *memory, uint64_t lifetime);
void login_cache_free(struct login_cache *cache); /* NULL is fine */

/* False: out of memory. */
WARN_UNUSED bool login_cache_mac(const struct login_cache *cache, struct span hash, struct span name,
				 struct span password, struct login_mac *mac);
/* Takes as long whatever is kept. `now`: ms of the monotonic clock, as in what follows. */
bool login_cache_has(struct login_cache *cache, const struct login_mac *mac, uint64_t now);
void login_cache_add(struct login_cache *cache, const struct login_mac *mac, uint64_t now);

#endif
