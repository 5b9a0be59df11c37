/*
 * The list of the fields that a reverse mask knows, kept here once. What is done with one is a number; a field that no row has stays as it is. Immutable.
 */
#ifndef GUISE_MASK_REVERSE_MASK_LIST_H
#define GUISE_MASK_REVERSE_MASK_LIST_H

#include "core/base.h"

/* The values of a name_set. 0: nothing is done. */
enum reverse_treatment {
	TREAT_PASS = 1, /* an exception from a longer beginning */
	TREAT_DROP,
	TREAT_SERVER, /* dropped, or says what the configuration has */
	TREAT_LOCATION,
	TREAT_REFRESH,
	TREAT_LINK,
	TREAT_COOKIE,
	TREAT_WHOLE,
	TREAT_LIST,
	TREAT_POLICY,
	TREAT_PERMISSIONS,
	TREAT_FRAME,
	TREATMENTS,
};

struct reverse_mask_rows {
	enum reverse_treatment treatment;
	const char *why;
	const char *const *rows; /* for name_set_add_all */
};

extern const struct reverse_mask_rows reverse_mask_list[]; /* ends with rows == NULL */

#endif
