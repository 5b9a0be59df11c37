/*
 * Hashes of passwords, as crypt(3) of the system knows them. Pure but for the time it takes; any thread.
 */
#ifndef GUISE_ACCOUNT_HASH_H
#define GUISE_ACCOUNT_HASH_H

#include "core/span.h"

enum { HASH_TEXT_MOST = 384 }; /* bytes of one, without a NUL: what crypt(3) writes */

/*
 * NULL: a whole hash of a strong method that this system knows, and of a cost that can be paid. Else why not, and what to do (static text). The
 * text needs no NUL.
 */
const char *hash_check(struct span text);

/* What hash_matches works in: as large as crypt(3) wants it (32 KiB). NULL: out of memory. */
struct hash_workspace;
struct hash_workspace *hash_workspace_new(void);
void hash_workspace_free(struct hash_workspace *workspace); /* NULL is fine */

/* Takes long, by design. Compares in constant time, and leaves nothing of the password in the workspace. */
bool hash_matches(struct hash_workspace *workspace, const char *hash, const char *password);

#endif
