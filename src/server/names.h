/*
 * The names of a configuration, asked for once without starting anything. Main thread.
 */
#ifndef GUISE_SERVER_NAMES_H
#define GUISE_SERVER_NAMES_H

#include "config/snapshot.h"

/*
 * Adds a warning for each server of a group whose name has no address, or whose service has no record, now. All at the same time, and within a few
 * seconds, whatever the name servers do; nothing is sent where there is no name. Before any other thread is started.
 */
void names_check(struct snapshot *snapshot, struct diagnostics *diagnostics);

#endif
