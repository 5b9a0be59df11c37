/*
 * Passive detection: servers that fail while they work are left out for a while (`outliers`). What happens in a row is judged by the worker that
 * sees it; rates and latencies by the control thread, at intervals. All by atomics.
 */
#ifndef GUISE_UPSTREAM_OUTLIER_H
#define GUISE_UPSTREAM_OUTLIER_H

#include "core/error.h"
#include "upstream/fleet.h"

/* An answer came, whatever its status. Any worker. */
void outlier_on_answer(struct fleet_group *group, struct fleet_server *server, unsigned status,
		       uint64_t now_ms);
/* None came. Any worker. */
void outlier_on_failure(struct fleet_group *group, struct fleet_server *server, const struct error *error,
			uint64_t now_ms);

#endif
