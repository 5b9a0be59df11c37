/*
 * What the files of wire.h share.
 */
#ifndef GUISE_AUDIT_WIRE_INTERNAL_H
#define GUISE_AUDIT_WIRE_INTERNAL_H

#include "audit/wire.h"

/* Into wire->why; false. */
bool wire_fail(struct wire *wire, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
