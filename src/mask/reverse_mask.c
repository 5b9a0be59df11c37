/*
 * See reverse_mask.h.
 */
#include "mask/reverse_mask.h"

struct reverse_mask {
	const struct inside *inside;
	const struct leak_guard *leaks; /* from settings->leaks; NULL: none */
	const struct sameness *same;    /* from settings->same; NULL: none */
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

const struct leak_guard *reverse_mask_leaks(const struct reverse_mask *mask)
{
	return mask ? mask->leaks : NULL;
}

const struct sameness *reverse_mask_same(const struct reverse_mask *mask)
{
	return mask ? mask->same : NULL;
}
