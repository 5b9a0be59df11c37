/*
 * A network of this process's own in which every address is local: no packet leaves the machine, whatever the process and its children do, and whoever they want
 * to reach may be played by them. Linux. Before any thread is started.
 */
#ifndef GUISE_AUDIT_NAMESPACE_H
#define GUISE_AUDIT_NAMESPACE_H

#include "core/base.h"

/* False: *why tells, and *advice what to do about it (static texts). The process is in no state to go on then. */
WARN_UNUSED bool audit_namespace_enter(const char **why, const char **advice);

/* From now on nobody in it reaches the file, a socket say, that is at this path. False: errno tells; ENOENT: there is none. */
WARN_UNUSED bool audit_namespace_cover(const char *path);

#endif
