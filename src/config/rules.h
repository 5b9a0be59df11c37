/*
 * Rules of forward listeners, compiled with what the rest of the configuration calls by name. Start-up and control thread.
 */
#ifndef GUISE_CONFIG_RULES_H
#define GUISE_CONFIG_RULES_H

#include "config/snapshot.h"

/* Into listener->rules; the lists are loaded. What is wrong becomes diagnostics; then there are no rules. */
void rules_bind(const struct snapshot *snapshot, struct snapshot_listener *listener,
		const struct forward_settings *settings, struct arena *arena, struct diagnostics *diagnostics);

#endif
