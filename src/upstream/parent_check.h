/*
 * Active checks of the servers of all parents that have `health`, run once for the process, on the control thread (server/control.h). What they find out
 * stands where workers see it (parent_server_checked).
 */
#ifndef GUISE_UPSTREAM_PARENT_CHECK_H
#define GUISE_UPSTREAM_PARENT_CHECK_H

#include "upstream/parent.h"

struct parent_checks;

/* Of the parents that are attached to the worker. On the main thread, before the worker runs. NULL: out of memory. */
WARN_UNUSED struct parent_checks *parent_checks_start(struct worker *worker);
/* Cancels what is in progress; the memory goes at the end of the turn. When the worker's thread has ended, and before its rooms do. NULL is fine. */
void parent_checks_stop(struct parent_checks *checks);

#endif
