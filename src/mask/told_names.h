/*
 * Names that the log has spoken of, so that it does so once: bounded, without locks; any thread.
 */
#ifndef GUISE_MASK_TOLD_NAMES_H
#define GUISE_MASK_TOLD_NAMES_H

#include "core/pace.h"
#include "core/span.h"

enum {
	TOLD_NAMES = 128,   /* so many are spoken of, and no more */
	TOLD_A_SECOND = 16, /* and so many within a second; others another time */
};

/* Zero: none. */
struct told_names {
	atomic_uint_fast64_t names[TOLD_NAMES]; /* hashes; 0: free */
	struct pace pace;
};

/* Whether the name (in any case) is to be spoken of now: then it is not again. */
bool told_names_first(struct told_names *told, struct span name, uint64_t now_ms);

#endif
