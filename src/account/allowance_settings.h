/*
 * The allowances of the configuration, as they are written: how much a user or an address may have. Part of a snapshot, immutable.
 */
#ifndef GUISE_ACCOUNT_ALLOWANCE_SETTINGS_H
#define GUISE_ACCOUNT_ALLOWANCE_SETTINGS_H

#include "core/diagnostic.h"
#include "core/setting.h"

/* Who has one of their own. In the order of the choices. */
enum allowance_by {
	ALLOWANCE_BY_USER,    /* who has proved to be nobody: by address */
	ALLOWANCE_BY_ADDRESS, /* of IPv6 by the first 64 bits */
	ALLOWANCE_BY_NOBODY,  /* one for all together */
};

/* In the order of the choices. */
enum allowance_period { ALLOWANCE_HOUR, ALLOWANCE_DAY, ALLOWANCE_MONTH };

/* 0: without a bound. */
struct allowance_settings {
	struct setting_string name;           /* the key under `allowances`; first, as SETTING_NAMED asks */
	int by;                               /* enum allowance_by */
	uint64_t requests, per;               /* so many in so many ms */
	uint64_t burst;                       /* requests at once; 0: as many as `requests` */
	uint64_t delay;                       /* ms that a request may be held back; 0: refused at once */
	uint64_t bandwidth, upload, download; /* bytes per second */
	uint64_t connections;                 /* exchanges at a time */
	uint64_t quota;                       /* bytes in each period */
	int period;                           /* enum allowance_period */
	struct setting_place place, burst_place, delay_place, per_place, period_place;
};

/* More is a mistake, and would be too much for sums over years. */
#define ALLOWANCE_RATE_MOST (UINT64_C(64) << 30)

extern const struct setting allowance_rows[]; /* struct allowance_settings */

/* NULL, or why it is wrong. */
const char *allowance_check_name(const char *text, size_t len);

/* Keys that do not go together become diagnostics. */
void allowances_check(const struct setting_list *settings, struct diagnostics *diagnostics);

/* The index of the allowance of that name. False: there is none, which is a diagnostic now. */
WARN_UNUSED bool allowances_find(const struct setting_list *settings, const struct setting_string *name,
				 struct diagnostics *diagnostics, uint32_t *index);

#endif
