/*
 * What slows down who guesses passwords: wrong logins are counted for each address (IPv6: each /64) and for each name, whether there is such a user or
 * not; after some free ones no login is looked at for a while that doubles with each further one. The same wrong password again counts
 * no more: a program that has an old one teaches nobody anything, and shuts nobody out.
 *
 * A user who has logged in from an address before is known there: what strangers do wrong from elsewhere with that name, or from that address with
 * other names, is nothing to the two together, which have a count of their own.
 *
 * One for the process, shared by all threads, with a lock for each shard, held for a few instructions. Bounded: what has been quiet for longest makes room.
 */
#ifndef GUISE_ACCOUNT_BRAKE_H
#define GUISE_ACCOUNT_BRAKE_H

#include "account/settings.h"
#include "core/memory.h"
#include "net/address.h"

struct brake;

/* Who tries to log in, as the brake counts it. */
struct brake_keys {
	uint64_t address, user, both;
	uint64_t what; /* tells name and password from others */
	bool known;    /* the user there; brake_look finds out */
};

enum brake_outcome {
	BRAKE_GOOD,
	BRAKE_WRONG,
	BRAKE_UNSEEN, /* nobody has looked at the login */
};

struct brake *brake_new(struct memory *memory); /* NULL: out of memory */
void brake_free(struct brake *brake);           /* NULL is fine */

struct brake_keys brake_keys(const struct brake *brake, const struct address *address, struct span user,
			     uint64_t what);

enum brake_state {
	BRAKE_FREE,
	BRAKE_HELD,
	BRAKE_REPEATED, /* what was wrong the last time: it still is */
};

/*
 * Before anything is said of a login, even of one that is known to be good: else who is held could guess on by what is known. `now`: ms of the
 * monotonic clock; *wait: HELD: for so many ms.
 */
enum brake_state brake_look(struct brake *brake, const struct brake_settings *settings,
			    struct brake_keys *keys, uint64_t now, uint64_t *wait);

/* Before the password is verified, after brake_look. 0: brake_leave must follow; else how many ms to wait. */
WARN_UNUSED uint64_t brake_enter(struct brake *brake, const struct brake_settings *settings,
				 const struct brake_keys *keys, uint64_t now);
void brake_leave(struct brake *brake, const struct brake_settings *settings, const struct brake_keys *keys,
		 enum brake_outcome outcome, uint64_t now);

/* It was known to be good. */
void brake_pass(struct brake *brake, const struct brake_settings *settings, const struct brake_keys *keys,
		uint64_t now);

#endif
