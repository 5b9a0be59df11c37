/*
 * What the configuration says of masks, as it was written. All memory is the snapshot's.
 */
#ifndef GUISE_MASK_SETTINGS_H
#define GUISE_MASK_SETTINGS_H

#include "core/setting.h"

/* `mask` of a forward listener. */
struct forward_mask_settings {
	int kind; /* enum forward_mask_kind of mask/forward_mask.h: transparent anonymous elite */
	struct setting_place place;
};

/* `leaks` of a reverse mask. */
struct leak_settings {
	struct setting_place place;
};

/* `same` of a reverse mask: what makes servers indistinguishable. */
struct sameness_settings {
	struct setting_place place;
};

/* `mask` of a reverse listener or of one of its routes, where it stands in place of the listener's. */
struct reverse_mask_settings {
	bool enabled;
	struct leak_settings leaks;
	struct sameness_settings same;
	struct setting_place place; /* line 0: not given */
};

extern const struct setting forward_mask_rows[]; /* settings_forward.c */
extern const struct setting reverse_mask_rows[]; /* settings_reverse.c */
extern const struct setting leak_rows[];         /* settings_leaks.c */
extern const struct setting sameness_rows[];     /* settings_same.c */

#endif
