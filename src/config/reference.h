/*
 * The table as a page for people (docs/configuration.md) and as a JSON Schema for editors. Both for `guise schema`.
 */
#ifndef GUISE_CONFIG_REFERENCE_H
#define GUISE_CONFIG_REFERENCE_H

#include "core/setting.h"

#include <stdio.h>

void reference_markdown(FILE *out);

/* JSON Schema, draft 2020-12. NULL: out of memory. The caller frees. */
WARN_UNUSED char *reference_schema(void);

#endif
