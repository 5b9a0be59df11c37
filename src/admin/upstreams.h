/*
 * Upstream groups as JSON: what they are by configuration and order, how they are, what they have done. Any thread.
 */
#ifndef GUISE_ADMIN_UPSTREAMS_H
#define GUISE_ADMIN_UPSTREAMS_H

#include "admin/json.h"
#include "upstream/fleet.h"

/* `now`: the loop clock of the caller, ms. `key`: as in json.h. */
void upstreams_write_group(struct json *json, const char *key, struct fleet_group *group, uint64_t now);

/* One server by its text. False: the group has none. */
WARN_UNUSED bool upstreams_write_server(struct json *json, const char *key, struct fleet_group *group,
					struct span text, uint64_t now);

#endif
