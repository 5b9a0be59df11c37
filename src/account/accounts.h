/*
 * The accounts of a listener, for who makes them and for who asks without a password: see login.h for logins.
 *
 * Made on the main thread, before workers run. Afterwards workers ask; new users, read on the main thread, take the place of the old ones at once, and
 * the old ones stay where they are until every worker has ended the turn in which it may look at them (accounts_replace).
 */
#ifndef GUISE_ACCOUNT_ACCOUNTS_H
#define GUISE_ACCOUNT_ACCOUNTS_H

#include "account/brake.h"
#include "account/login.h"
#include "account/users.h"
#include "exchange/exchange.h"

/* A network whose clients are one user. */
struct account_network {
	struct network network;
	struct span user;
};

/* What the configuration says, checked; the snapshot's, immutable. */
struct accounts_plan {
	const struct users_settings *settings;
	const struct account_network *networks; /* the smaller before the larger */
	size_t network_count;
	const char *base;    /* the directory of relative paths; NULL: no files are read */
	struct users *users; /* as the files had them; NULL: none is named */
	uint64_t signature;  /* of the files when they were read */
	bool open;           /* some network is everybody */
};

/* From the settings: checks and sorts the networks. False: out of memory; mistakes are in the diagnostics. */
WARN_UNUSED bool accounts_plan_networks(struct accounts_plan *plan, struct arena *arena,
					struct diagnostics *diagnostics);

/* The plan and the brake are borrowed. NULL: out of memory. */
struct accounts *accounts_new(struct memory *memory, const struct accounts_plan *plan, struct brake *brake);
WARN_UNUSED bool accounts_start(struct accounts *accounts); /* the threads; false: out of something */
/* After the workers have ended, before their mailboxes go; harmless without threads. */
void accounts_stop(struct accounts *accounts);
void accounts_free(struct accounts *accounts); /* stopped; NULL is fine */

/*
 * The users of now, which are the accounts' to release; answers the old ones, which are the caller's to release when no worker can be looking
 * at them any more.
 */
WARN_UNUSED struct users *accounts_replace(struct accounts *accounts, struct users *users);

/* Somebody could log in with a password. */
bool accounts_take_passwords(const struct accounts *accounts);
/* Who the client is without a password: by its certificate, or by its network. Empty: nobody. Lives as long as the connection. */
struct span accounts_name(const struct accounts *accounts, const struct client *client);
/* On a worker's thread: there is a password for this name. */
bool accounts_have(const struct accounts *accounts, struct span user);
/* Proxy-Authenticate (RFC 9110 11.7.1): Basic with the realm (RFC 7617 2). */
struct span accounts_challenge(const struct accounts *accounts);

#endif
