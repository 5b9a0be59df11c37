/*
 * Waiting with an end, for what blocks: the command-line tools and their threads. A worker never comes here; its loop has timers.
 *
 * A deadline is milliseconds of CLOCK_MONOTONIC.
 */
#ifndef GUISE_CORE_DEADLINE_H
#define GUISE_CORE_DEADLINE_H

#include "core/base.h"

uint64_t deadline_now(void);

/* Until the descriptor is ready for the events (poll.h). False: errno tells; ETIMEDOUT: the deadline. */
WARN_UNUSED bool deadline_wait(int fd, short events, uint64_t deadline);

#endif
