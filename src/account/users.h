/*
 * The users of a listener as the files say: names with hashes of passwords (htpasswd), and groups (Apache's htgroup). Filled once, then immutable
 * and shared by all threads; reference-counted.
 */
#ifndef GUISE_ACCOUNT_USERS_H
#define GUISE_ACCOUNT_USERS_H

#include "core/diagnostic.h"
#include "core/span.h"

struct users;

/* Empty, with one reference. NULL: out of memory. */
struct users *users_new(struct memory *memory);
struct users *users_retain(struct users *users);
void users_release(struct users *users); /* NULL is fine */

/*
 * Adds what the text of a file says; before anybody else sees the users. False: mistakes are in the diagnostics with places in this text (never
 * with a hash in it), and the users are not to be used. The text is borrowed no longer than the call.
 */
WARN_UNUSED bool users_add(struct users *users, struct span text, struct diagnostics *diagnostics);
WARN_UNUSED bool users_add_groups(struct users *users, struct span text, struct diagnostics *diagnostics);

size_t users_count(const struct users *users); /* that have a password */
/* NUL-terminated; NULL: no such user, or one without a password. */
const char *users_hash(const struct users *users, struct span name);
/*
 * For a name that is nobody's: the hash of somebody, always the same one for a name, so that to verify takes as long as for one who is there, and
 * names of each kind of hash are as frequent among the strangers as among the users. NULL: there is no user.
 */
const char *users_decoy(const struct users *users, struct span name);
bool users_in_group(const struct users *users, struct span name, struct span group);

#endif
