/*
 * See reverse_mask.h.
 */
#include "mask/reverse_mask_internal.h"

#include "mask/leak_guard.h"
#include "mask/sameness.h"

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
	if (!reverse_mask_compile_fields(made, settings, arena, diagnostics))
		return false;
	if (!leak_guard_compile(&settings->leaks, inside, arena, diagnostics, &made->leaks))
		return false;
	/* Last: it is what must be freed. */
	if (!sameness_compile(&settings->same, arena, diagnostics, &made->same))
		return false;
	*mask = made;
	return true;
}

void reverse_mask_free(const struct reverse_mask *mask)
{
	if (mask)
		sameness_free(mask->same);
}

const struct leak_guard *reverse_mask_leaks(const struct reverse_mask *mask)
{
	return mask ? mask->leaks : NULL;
}

const struct sameness *reverse_mask_same(const struct reverse_mask *mask)
{
	return mask ? mask->same : NULL;
}
