/*
 * The users of forward listeners: what their settings and files say, checked. Main thread.
 */
#ifndef GUISE_CONFIG_USERS_H
#define GUISE_CONFIG_USERS_H

#include "account/accounts.h"
#include "config/snapshot.h"

/* listener->users, if the listener has any. Mistakes are in the diagnostics. */
void users_bind(struct snapshot *snapshot, struct snapshot_listener *listener, const char *base,
		struct diagnostics *diagnostics);
void users_unbind(struct snapshot_listener *listener);

/* What the files say now. NULL: the mistakes are in `diagnostics`, those in the files with their file. */
struct users *users_read(const struct accounts_plan *plan, struct memory *memory,
			 struct diagnostics *diagnostics);

/* Changes when one of the files does, see files_signature. 0: one of them cannot be looked at. `node`: which ones they are alone. */
uint64_t users_signature(const struct accounts_plan *plan, uint64_t *node);

#endif
