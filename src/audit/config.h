/*
 * The audit of a configuration on its real data path: the server runs as it would, in a network namespace in which every address is local, and everybody it would speak
 * to (servers, origins, name servers) is played by an observer. A report for each listener of the forward and the reverse face. Main thread, before any other
 * thread is started; the process stays in the namespace.
 */
#ifndef GUISE_AUDIT_CONFIG_H
#define GUISE_AUDIT_CONFIG_H

#include "audit/report.h"
#include "config/snapshot.h"

enum { CONFIG_AUDIT_REPORTS = 64 };

struct config_audit_options {
	struct snapshot *snapshot; /* as it was loaded; it is changed, and is of no other use afterwards */
	const char *users[2];      /* "NAME:PASSWORD" for forward listeners that ask, or NULL */
	const char *expect_forward, *expect_reverse; /* grades; NULL: the usual ones */
	uint64_t timeout;                            /* ms for one probe */
};

struct config_audit {
	struct audit_report *reports[CONFIG_AUDIT_REPORTS];
	unsigned count;
	const char *why, *advice; /* it could not be done */
};

/* False: ->why tells. All that is made is in the arena. */
WARN_UNUSED bool config_audit_run(const struct config_audit_options *options, struct arena *arena,
				  struct config_audit *audit);

#endif
