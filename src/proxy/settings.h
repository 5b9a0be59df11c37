/*
 * What is logged, where to and how: `log` of the configuration. Part of a snapshot, immutable.
 */
#ifndef GUISE_PROXY_SETTINGS_H
#define GUISE_PROXY_SETTINGS_H

#include "core/setting.h"

/* In the order of the choices. log.level is an enum log_level (core/log.h). */
enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_COMBINED };
enum log_queries {
	LOG_QUERIES_AUTO, /* redacted, on every face */
	LOG_QUERIES_FULL,
	LOG_QUERIES_REDACTED,
};

struct log_settings {
	struct setting_string access, error; /* "stdout", "stderr", "off" or a path */
	int format;                          /* enum log_format */
	int level;                           /* enum log_level */
	int addresses;                       /* enum log_addresses (exchange/client_log.h) */
	uint64_t hash_rotation;              /* ms */
	int queries;                         /* enum log_queries */
};

extern const struct setting log_rows[]; /* struct log_settings */

#endif
