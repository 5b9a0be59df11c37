/*
 * The masks of reverse listeners: what clients learn of the servers. Compiled with the snapshot, immutable; applied on workers.
 */
#ifndef GUISE_MASK_REVERSE_MASK_H
#define GUISE_MASK_REVERSE_MASK_H

#include "core/diagnostic.h"
#include "mask/inside.h"
#include "mask/settings.h"

struct leak_guard;
struct reverse_mask;
struct sameness;

/* False after diagnostics. *mask is NULL where the settings switch it off. `settings` and `inside` live as long as the mask. */
WARN_UNUSED bool reverse_mask_compile(const struct reverse_mask_settings *settings,
				      const struct inside *inside, struct arena *arena,
				      struct diagnostics *diagnostics, const struct reverse_mask **mask);

/* Of a mask; NULL: it has none, or `mask` itself is NULL. */
const struct leak_guard *reverse_mask_leaks(const struct reverse_mask *mask);
const struct sameness *reverse_mask_same(const struct reverse_mask *mask);

#endif
