/*
 * What the files of the reverse mask share.
 */
#ifndef GUISE_MASK_REVERSE_MASK_INTERNAL_H
#define GUISE_MASK_REVERSE_MASK_INTERNAL_H

#include "mask/name_set.h"
#include "mask/reverse_mask.h"

struct reverse_mask {
	const struct inside *inside;
	const struct leak_guard *leaks; /* from settings->leaks; NULL: none */
	const struct sameness *same;    /* from settings->same; NULL: none */
	const struct name_set *list;    /* of enum reverse_treatment */
	const struct name_set *own; /* `keep` and `drop`, which come first: TREAT_PASS, TREAT_DROP; NULL: there are none */
	struct span server; /* that Server says; empty: nothing */
	bool reasons;
	struct span scheme, authority, host; /* of `public`; empty: it does not say */
};

/* reverse_mask_compile.c: all but leaks and same. False after diagnostics. */
WARN_UNUSED bool reverse_mask_compile_fields(struct reverse_mask *mask,
					     const struct reverse_mask_settings *settings,
					     struct arena *arena, struct diagnostics *diagnostics);

#endif
