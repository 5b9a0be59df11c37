/*
 * What forward listeners say of exits and of interception, checked. While a snapshot is built.
 */
#ifndef GUISE_CONFIG_EXITS_H
#define GUISE_CONFIG_EXITS_H

#include "config/snapshot.h"

/* The index of an exit's name in settings.exits, or RULE_NONE: there is none, and that has been said. */
uint32_t exits_find(const struct snapshot *snapshot, const struct setting_string *name,
		    struct diagnostics *diagnostics);

/* listener->exit. */
void exits_bind(const struct snapshot *snapshot, struct snapshot_listener *listener,
		const struct forward_settings *settings, struct diagnostics *diagnostics);

/* What does not go with `intercept`. */
void intercept_check(const struct forward_settings *settings, struct diagnostics *diagnostics);

#endif
