/*
 * What is logged, where to and how: `log` of the configuration. Part of a snapshot, immutable.
 */
#ifndef GUISE_PROXY_SETTINGS_H
#define GUISE_PROXY_SETTINGS_H

#include "core/setting.h"

/* In the order of the choices. log.level is an enum log_level (core/log.h). */
enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_COMBINED };
enum log_addresses {
	LOG_ADDRESSES_AUTO, /* truncated on forward listeners, full on reverse listeners */
	LOG_ADDRESSES_FULL,
	LOG_ADDRESSES_TRUNCATED, /* /24 and /48 */
	LOG_ADDRESSES_NONE,
};

struct log_settings {
	struct setting_string access, error; /* "stdout", "stderr", "off" or a path */
	int format;                          /* enum log_format */
	int level;                           /* enum log_level */
	int addresses;                       /* enum log_addresses */
};

extern const struct setting log_rows[]; /* struct log_settings */

#endif
