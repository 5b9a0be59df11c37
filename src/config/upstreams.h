/*
 * Upstream groups of a snapshot, with all that workers need to make them; the files that `tls` of a group names are read here. Start-up
 * and control thread.
 */
#ifndef GUISE_CONFIG_UPSTREAMS_H
#define GUISE_CONFIG_UPSTREAMS_H

#include "config/snapshot.h"

/*
 * Fills in snapshot->upstreams and snapshot->plans; relative paths start from `base` (NULL: the current directory). What is wrong becomes
 * diagnostics. False: out of memory.
 */
WARN_UNUSED bool upstreams_plan(struct snapshot *snapshot, const char *base, struct diagnostics *diagnostics);
/* Lets go of what the plans hold; private keys are wiped from memory. */
void upstreams_release(struct snapshot *snapshot);

#endif
