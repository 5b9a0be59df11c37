/*
 * Between the file that compiles forward masks and the one that applies them.
 */
#ifndef GUISE_MASK_FORWARD_MASK_INTERNAL_H
#define GUISE_MASK_FORWARD_MASK_INTERNAL_H

#include "mask/forward_mask.h"
#include "mask/name_set.h"

/* The values of the sets. 0: no list knows the field. */
enum forward_treatment { FIELD_PASS = 1, FIELD_DROP };

struct forward_set {
	struct span name, value;
};

enum { FORWARD_SETS = 4 };

struct forward_mask {
	enum forward_mask_kind kind;
	enum forward_referer referer;
	bool allowlist, client_address, order;
	bool steps; /* there are a referer to trim, or fields to set */
	const struct name_set *requests, *responses;
	struct forward_set set[FORWARD_SETS];
	unsigned set_count;
};

#endif
