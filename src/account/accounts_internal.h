/*
 * What the accounts of a listener are made of.
 */
#ifndef GUISE_ACCOUNT_ACCOUNTS_INTERNAL_H
#define GUISE_ACCOUNT_ACCOUNTS_INTERNAL_H

#include "account/accounts.h"
#include "account/verifier.h"

#include <stdatomic.h>

struct accounts {
	struct memory *memory;
	struct arena arena;
	const struct accounts_plan *plan;
	struct brake *brake;
	struct span challenge;
	_Atomic(struct users *) users; /* NULL: no file is named. Workers look at it within a turn, and keep nothing of it */
	struct login_cache *cache;
	struct verifier *verifier;
	bool started;
};

/* login.c: what becomes of a verified password. The owner is the accounts. */
extern const struct verifier_ops login_verifier_ops;

#endif
