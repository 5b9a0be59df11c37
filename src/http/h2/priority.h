/*
 * The Priority field (RFC 9218 4): a dictionary of which u (urgency, 0 to 7) and i (incremental) are ours.
 */
#ifndef GUISE_HTTP_H2_PRIORITY_H
#define GUISE_HTTP_H2_PRIORITY_H

#include "core/span.h"

#include <nghttp2/nghttp2.h>

/* Members that are unknown or out of range are ignored. False: not a dictionary; *priority is then as before. */
WARN_UNUSED bool h2_priority_parse(struct span value, nghttp2_extpri *priority);

#endif
