/*
 * A configuration at work without any network: listeners that are not bound, groups that nobody asks, a worker that does not run. For questions
 * about what a Guise with this configuration would do. Main thread.
 */
#ifndef GUISE_SERVER_OFFLINE_H
#define GUISE_SERVER_OFFLINE_H

#include "admin/admin.h"
#include "config/snapshot.h"

struct offline;

/* `snapshot` is borrowed. NULL: out of memory or descriptors. */
WARN_UNUSED struct offline *offline_new(struct snapshot *snapshot);
void offline_free(struct offline *offline); /* NULL is fine */

const struct admin *offline_admin(const struct offline *offline);
struct worker *offline_worker(struct offline *offline);

#endif
