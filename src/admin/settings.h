/*
 * Where the operator's interface listens: `admin` of the configuration. Part of a snapshot, immutable.
 */
#ifndef GUISE_ADMIN_SETTINGS_H
#define GUISE_ADMIN_SETTINGS_H

#include "core/setting.h"

struct admin_settings {
	struct setting_strings listen; /* none: there is no such interface */
	struct setting_place place;
};

extern const struct setting admin_rows[]; /* struct admin_settings */

#endif
