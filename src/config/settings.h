/*
 * The whole configuration as it is written: the top of the table, whose parts belong to the rooms that use them. Part of a
 * snapshot, immutable.
 */
#ifndef GUISE_CONFIG_SETTINGS_H
#define GUISE_CONFIG_SETTINGS_H

#include "account/allowance_settings.h"
#include "admin/settings.h"
#include "exchange/settings.h"
#include "net/resolver_settings.h"
#include "proxy/secret_settings.h"
#include "proxy/settings.h"
#include "route/settings.h"
#include "upstream/parent_settings.h"
#include "upstream/exit_settings.h"
#include "upstream/settings.h"

struct settings {
	struct setting_string name; /* the pseudonym: a token */
	uint64_t workers;           /* 0 = auto */
	struct limits_settings limits;
	struct timeouts_settings timeouts;
	struct resolver_keys resolver;
	struct log_settings log;
	struct setting_list forward;    /* struct forward_settings */
	struct setting_list reverse;    /* struct reverse_settings */
	struct setting_list tcp;        /* struct tcp_settings */
	struct setting_list upstreams;  /* struct upstream_settings */
	struct setting_list lists;      /* struct list_settings */
	struct setting_list parents;    /* struct parent_settings */
	struct setting_list exits;      /* struct exit_settings */
	struct setting_list secrets;    /* struct secret_settings */
	struct setting_list allowances; /* struct allowance_settings */
	struct admin_settings admin;
};

extern const struct setting settings_rows[]; /* struct settings: the whole table */

#endif
