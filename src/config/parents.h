/*
 * Parents of a snapshot, with the files that their `tls` names. Start-up and control thread.
 */
#ifndef GUISE_CONFIG_PARENTS_H
#define GUISE_CONFIG_PARENTS_H

#include "config/snapshot.h"

/* Fills in snapshot->parents; relative paths start from `base`. What is wrong becomes diagnostics. False: out of memory. */
WARN_UNUSED bool parents_plan(struct snapshot *snapshot, const char *base, struct diagnostics *diagnostics);
/* Lets go of what they hold; private keys are wiped from memory. */
void parents_release(struct snapshot *snapshot);

#endif
