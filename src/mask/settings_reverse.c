/*
 * The rows of the masks of reverse listeners and their routes. Immutable.
 */
#include "mask/settings.h"

const struct setting reverse_mask_rows[] = {
	{
		.key = "enabled",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct reverse_mask_settings, enabled),
		.fallback = "true",
		.summary = "`false` lets through whatever servers say of themselves.",
		.example = "false",
	},
	{
		.key = "leaks",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct reverse_mask_settings, leaks),
		.rows = leak_rows,
		.place_offset = offsetof(struct reverse_mask_settings, leaks.place),
		.summary = "What becomes of servers' names and addresses wherever they turn up.",
		.example = "{}",
	},
	{
		.key = "same",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct reverse_mask_settings, same),
		.rows = sameness_rows,
		.place_offset = offsetof(struct reverse_mask_settings, same.place),
		.summary = "What makes the servers behind a route indistinguishable.",
		.example = "{}",
	},
	{.key = NULL},
};
