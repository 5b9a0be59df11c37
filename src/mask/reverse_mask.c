/*
 * See reverse_mask.h.
 */
#include "mask/reverse_mask.h"

struct reverse_mask {
	const struct inside *inside;
};

bool reverse_mask_compile(const struct reverse_mask_settings *settings, const struct inside *inside,
			  struct arena *arena, struct diagnostics *diagnostics,
			  const struct reverse_mask **mask)
{
	struct reverse_mask *made;

	*mask = NULL;
	if (!settings->enabled)
		return true;
	made = arena_zalloc(arena, 1, sizeof(*made));
	if (!made) {
		diagnostics_error(diagnostics, settings->place, "out of memory");
		return false;
	}
	made->inside = inside;
	*mask = made;
	return true;
}
