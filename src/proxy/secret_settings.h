/*
 * Secrets as the configuration describes them: what requests to named hosts are given on their way out, so that clients never hold it. Part of a
 * snapshot, immutable.
 */
#ifndef GUISE_PROXY_SECRET_SETTINGS_H
#define GUISE_PROXY_SECRET_SETTINGS_H

#include "core/setting.h"

struct secret_settings {
	struct setting_string name;   /* the key under `secrets`; first, as SETTING_NAMED asks */
	struct setting_strings hosts; /* "name", "name:port" */
	struct setting_string field;
	struct setting_string prefix;
	struct setting_string value; /* as written: "file:PATH" is read later (config/secrets.h), and again when it changes */
	bool tls;                    /* what was asked for as http leaves as https */
	bool clear;                  /* goes out in clear, too */
	struct setting_place place;
};

extern const struct setting secret_rows[]; /* struct secret_settings */

/* NULL, or why a secret may not have this name (static text). A setting's `check`. */
const char *secret_check_name(const char *text, size_t len);

#endif
