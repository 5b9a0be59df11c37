/*
 * Who may use a listener: a name and a password, asked for by whatever protocol brought them (Basic of RFC 7617, SOCKS of RFC 1929).
 *
 * The accounts of a listener are shared by all workers. What is known to be good is answered at once; other passwords are verified by
 * threads of their own, so that a hash that is dear by design stops no event loop, and the answer comes to the worker by letter.
 */
#ifndef GUISE_ACCOUNT_LOGIN_H
#define GUISE_ACCOUNT_LOGIN_H

#include "core/worker.h"
#include "net/address.h"

struct accounts; /* of one listener */

enum login_result {
	LOGIN_GOOD,
	LOGIN_WRONG,
	LOGIN_BRAKED, /* too many failures lately, of this address or for this user: not even looked at */
	LOGIN_BUSY,   /* too many are being verified */
	LOGIN_WAIT,   /* on_done follows */
};

struct login;
struct login_job; /* what a thread works at; outlives a cancelled login */

/* Called once, on the worker, from its loop; never with LOGIN_WAIT. The login is over: it may be freed or started again inside. */
typedef void login_fn(struct login *login, enum login_result result);

/* Embedded in who waits; all zero: does not wait. */
struct login {
	struct worker *worker;
	login_fn *on_done;
	struct login_job *job; /* NULL: does not wait */
	uint32_t retry;        /* LOGIN_BRAKED at once: in so many seconds it may be tried again */
};

/*
 * Is this the user's password? Name and password are copied where they are needed, and wiped. `client` is who is braked when they are
 * wrong too often. LOGIN_WAIT: on_done follows, never before this returns, unless it is cancelled. Out of memory is LOGIN_BUSY.
 */
WARN_UNUSED enum login_result login_start(struct login *login, struct worker *worker,
					  struct accounts *accounts, struct span name, struct span password,
					  const struct address *client, login_fn *on_done);
/* on_done will not be called; harmless when it does not wait. What a thread has begun it ends, and counts it. */
void login_cancel(struct login *login);

/* An empty user is in no group, and without accounts (NULL) nobody is. On a worker's thread. */
bool accounts_in_group(const struct accounts *accounts, struct span user, struct span group);

#endif
