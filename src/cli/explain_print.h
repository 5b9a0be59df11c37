/*
 * The explanation for people, from the JSON that admin/explain.h writes.
 */
#ifndef GUISE_CLI_EXPLAIN_PRINT_H
#define GUISE_CLI_EXPLAIN_PRINT_H

#include "core/span.h"

#include <stdio.h>

/* `running`: it comes from a running Guise. False: it is not what was expected. */
WARN_UNUSED bool explain_print(FILE *out, struct span text, bool running, bool colour);

/* What the interface said instead. */
void explain_print_refusal(FILE *out, struct span text, unsigned status);

#endif
