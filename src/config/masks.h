/*
 * What masks need to know of the whole configuration.
 */
#ifndef GUISE_CONFIG_MASKS_H
#define GUISE_CONFIG_MASKS_H

#include "config/snapshot.h"

/* snapshot->inside, from the upstreams: their servers are known. False: out of memory. */
WARN_UNUSED bool masks_gather(struct snapshot *snapshot);

#endif
