/*
 * Upstream groups of a snapshot, with all that workers need to make them. Start-up and control thread.
 */
#ifndef GUISE_CONFIG_UPSTREAMS_H
#define GUISE_CONFIG_UPSTREAMS_H

#include "config/snapshot.h"

/* Fills in snapshot->upstreams and snapshot->plans. False: out of memory. */
WARN_UNUSED bool upstreams_plan(struct snapshot *snapshot);

#endif
