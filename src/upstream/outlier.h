/*
 * Passive detection: servers that fail while they work are left out for a while (`outliers`). What happens in a row is judged by the worker that
 * sees it (outlier.c); rates and latencies by the control thread, at intervals (outlier_rates.c).
 */
#ifndef GUISE_UPSTREAM_OUTLIER_H
#define GUISE_UPSTREAM_OUTLIER_H

#include "core/error.h"
#include "upstream/fleet.h"

/*
 * Whether an error is the server's fault: it could not be reached, broke, gave nonsense, was late. Not: what the client did, what we lack, a name server
 * that is silent, a stream refused by a server that is alive (RFC 9113 8.7).
 */
bool outlier_is_failure(const struct error *error);

/* An answer came, whatever its status. On any worker: its clock, its log. */
void outlier_on_answer(struct fleet_group *group, struct fleet_server *server, unsigned status,
		       const struct worker *worker);
/* None came, and it is the server's fault. On any worker. */
void outlier_on_failure(struct fleet_group *group, struct fleet_server *server, const struct error *error,
			const struct worker *worker);

/* ---- on the control thread: see server/control.h for when each is called ---- */

struct outliers;

/* Looks at each group that has passive detection every `outliers.interval`. NULL: out of memory. */
WARN_UNUSED struct outliers *outliers_start(struct worker *worker);
void outliers_stop(struct outliers *outliers); /* NULL is fine */

#endif
