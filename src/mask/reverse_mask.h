/*
 * The masks of reverse listeners: what clients learn of the servers. Compiled with the snapshot, immutable; applied on workers.
 */
#ifndef GUISE_MASK_REVERSE_MASK_H
#define GUISE_MASK_REVERSE_MASK_H

#include "core/diagnostic.h"
#include "mask/inside.h"
#include "mask/settings.h"

struct reverse_mask;

/* False after diagnostics. *mask is NULL where the settings switch it off. `settings` and `inside` live as long as the mask. */
WARN_UNUSED bool reverse_mask_compile(const struct reverse_mask_settings *settings,
				      const struct inside *inside, struct arena *arena,
				      struct diagnostics *diagnostics, const struct reverse_mask **mask);

#endif
