/*
 * Where a configuration makes Guise deviate from an RFC, on purpose. docs/deviations.md says why.
 */
#ifndef GUISE_CONFIG_DEVIATION_H
#define GUISE_CONFIG_DEVIATION_H

#include "config/snapshot.h"

struct deviation {
	const char *section; /* "RFC 9110 7.6.3" */
	const char *text;    /* what Guise does instead */
	const char *restore; /* the setting that restores the rule, or NULL */
	bool (*applies)(const struct snapshot_listener *listener);
};

extern const struct deviation deviations[]; /* ends with section == NULL */

/* Whether it is in force for one of the snapshot's listeners at least. */
bool deviation_in_force(const struct deviation *deviation, const struct snapshot *snapshot);

#endif
