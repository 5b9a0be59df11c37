/*
 * Secrets of a snapshot: checked, and their values read. Main thread.
 */
#ifndef GUISE_CONFIG_SECRETS_H
#define GUISE_CONFIG_SECRETS_H

#include "config/snapshot.h"

/* Fills in snapshot->secrets; relative paths start from `base`. What is wrong becomes diagnostics. False: out of memory. */
WARN_UNUSED bool secrets_plan(struct snapshot *snapshot, const char *base, struct diagnostics *diagnostics);
void secrets_release(struct snapshot *snapshot); /* wipes the values */

/* What the file says now; in the arena, whose bytes the caller wipes. NULL, or why not. */
const char *secret_file_read(const struct secret_plan *plan, struct arena *arena, struct span *value);

#endif
