/*
 * A configuration that is tried out with somebody else in its servers' place. Before the snapshot is used.
 */
#ifndef GUISE_CONFIG_BELIEVE_H
#define GUISE_CONFIG_BELIEVE_H

#include "config/snapshot.h"

/* Wherever certificates of servers, parents or origins are verified, those that this authority (PEM) signs are good as well. False: *why tells. */
WARN_UNUSED bool snapshot_believe(struct snapshot *snapshot, struct span pem, const char **why);

#endif
