/*
 * What the files of passive detection share.
 */
#ifndef GUISE_UPSTREAM_OUTLIER_INTERNAL_H
#define GUISE_UPSTREAM_OUTLIER_INTERNAL_H

#include "upstream/outlier.h"

/*
 * Leaves the server out, if it is not already, and if not too many are. True: it is left out from now on, and was not before. `why` is for the log.
 */
bool outlier_eject(struct fleet_group *group, struct fleet_server *server, const struct worker *worker,
		   const char *why);

#endif
