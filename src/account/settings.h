/*
 * Who may use a forward listener, as the configuration says it. Part of a snapshot, immutable.
 */
#ifndef GUISE_ACCOUNT_SETTINGS_H
#define GUISE_ACCOUNT_SETTINGS_H

#include "core/setting.h"

/* What slows down who guesses passwords. All times in ms. */
struct brake_settings {
	uint64_t failures; /* so many are free; 0: there is no brake */
	uint64_t delay;    /* after these, doubled with each further one */
	uint64_t longest;  /* that a delay grows to */
	uint64_t forget;   /* failures count no more when so long none has followed */
	struct setting_place place;
};

/* Clients of these networks are this user. */
struct user_network_settings {
	struct setting_string name;
	struct setting_strings networks;
	struct setting_place place;
};

/* `users` of a forward listener: there when its place has a line. */
struct users_settings {
	struct setting_string file, groups; /* paths; empty: none */
	struct setting_string realm;
	uint64_t cache; /* ms; 0: every login is verified */
	bool certificates;
	struct setting_list networks; /* struct user_network_settings */
	uint64_t threads, queue;
	struct brake_settings brake;
	struct setting_place place, certificates_place;
};

enum {
	USER_NAME_MOST = 255,     /* bytes, as in SOCKS (RFC 1929 2) */
	USER_PASSWORD_MOST = 511, /* bytes: what crypt(3) takes */
};

extern const struct setting users_rows[]; /* struct users_settings */

/* Why a text cannot be the name of a user, of whatever origin, or NULL (static text). */
const char *user_check_name(const char *text, size_t len);

#endif
