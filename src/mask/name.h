/*
 * Field names as servers may read them: some put them into environment variables (CGI, WSGI), where "X_Forwarded_For"
 * and "X-Forwarded-For" are the same. Pure.
 */
#ifndef GUISE_MASK_NAME_H
#define GUISE_MASK_NAME_H

#include "core/span.h"

/* Compared without case, '_' as '-'. `lower` is written in lower case with '-'. */
bool mask_name_is(struct span name, struct span lower);
bool mask_name_begins(struct span name, struct span lower);
/* The same for two names as they were written. */
bool mask_name_same(struct span one, struct span other);

#endif
