/*
 * What the configuration says of masks, as it was written. All memory is the snapshot's.
 */
#ifndef GUISE_MASK_SETTINGS_H
#define GUISE_MASK_SETTINGS_H

#include "core/setting.h"

/* `mask` of a forward listener. */
struct forward_mask_settings {
	int kind;    /* enum forward_mask_kind of mask/forward_mask.h: transparent anonymous elite */
	int unknown; /* enum forward_unknown: pass allowlist */
	int referer; /* enum forward_referer: full origin same_origin none */
	struct setting_strings keep, drop;
	struct setting_string user_agent, accept_language; /* text NULL: as the client's */
	bool client_address, order, cookies, alt_svc, dnt, gpc;
	struct setting_place place;
};

/* `leaks` of a reverse mask. */
struct leak_settings {
	int heads, body; /* enum leak_policy of mask/leak_guard.h */
	struct setting_strings words, networks, types;
	bool encoded;
	uint64_t window; /* bytes */
	struct setting_place place;
};

/* In the order of the choices of same.errors. */
enum sameness_errors { SAMENESS_ERRORS_OFF, SAMENESS_ERRORS_5XX, SAMENESS_ERRORS_ALL };

/* `same` of a reverse mask: what makes servers indistinguishable. */
struct sameness_settings {
	bool etags, date, order;
	struct setting_string key;
	int errors; /* enum sameness_errors */
	struct setting_place place;
};

/* `mask` of a reverse listener or of one of its routes, where it stands in place of the listener's. */
struct reverse_mask_settings {
	bool enabled;
	struct setting_strings drop, keep; /* field names, and beginnings of such with "*" */
	struct setting_string server;      /* what Server says; empty: it is dropped */
	bool reasons, references;          /* canonical reason phrases; references are rewritten */
	struct setting_string public;      /* [scheme://]host[:port]; empty: the route's host */
	struct leak_settings leaks;
	struct sameness_settings same;
	struct setting_place place; /* line 0: not given */
};

extern const struct setting forward_mask_rows[]; /* settings_forward.c */
extern const struct setting reverse_mask_rows[]; /* settings_reverse.c */
extern const struct setting leak_rows[];         /* settings_leaks.c */
extern const struct setting sameness_rows[];     /* settings_same.c */

#endif
