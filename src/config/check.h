/*
 * What is right in each part of a configuration and wrong in the whole. Start-up and control thread.
 */
#ifndef GUISE_CONFIG_CHECK_H
#define GUISE_CONFIG_CHECK_H

#include "config/snapshot.h"

enum { CHECK_MAX_ADDRESSES = 1024 }; /* to listen on, in all */

/*
 * Parses the listen addresses of the snapshot's listeners, which are there but for their addresses, and adds what is wrong to the
 * diagnostics. False: out of memory.
 */
WARN_UNUSED bool check_snapshot(struct snapshot *snapshot, struct diagnostics *diagnostics);

#endif
