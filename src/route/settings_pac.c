/*
 * The rows of `pac` of forward listeners. Immutable.
 */
#include "route/settings.h"

const struct setting pac_rows[] = {
	{
		.key = "enabled",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct pac_settings, enabled),
		.fallback = "true",
		.summary = "Answers `GET /proxy.pac` and `GET /wpad.dat` with a script for browsers.",
		.example = "true",
	},
	{
		.key = "address",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct pac_settings, address),
		.summary = "How browsers reach this listener: `HOST:PORT`. Default: as they asked for the script.",
		.example = "\"proxy.shop.example:3128\"",
	},
	{
		.key = "direct",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct pac_settings, direct),
		.summary = "What browsers go to without the proxy, whatever the rules say: names and patterns of names as in `domains` of rules, "
			   "addresses and networks (compared with hosts that are given as addresses).",
		.example = "[\"*.corp.example\", 10.0.0.0/8]",
	},
	{.key = NULL},
};
