/*
 * Mistakes and warnings on their way to a person.
 */
#ifndef GUISE_CONFIG_REPORT_H
#define GUISE_CONFIG_REPORT_H

#include "core/diagnostic.h"

#include <stdio.h>

enum { REPORT_MOST = 200 }; /* lines; more are counted */

/*
 * One line each, by place: "FILE:LINE:COLUMN: text", "FILE: text" without a place, "guise: text" without a file; a warning says so.
 * `colour`: with escape sequences for a terminal. `warnings`: these too.
 */
void report_print(FILE *out, const struct diagnostics *diagnostics, bool warnings, bool colour);

#endif
