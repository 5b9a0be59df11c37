/*
 * The rows of `admin`.
 */
#include "admin/settings.h"

const struct setting admin_rows[] = {
	{
		.key = "listen",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct admin_settings, listen),
		.required = true,
		.summary = "Where to listen, or a list of such: an address of this machine alone (127.0.0.0/8, `[::1]`) with a port, or "
			   "`unix:/path`, which only the user that Guise runs as can open (its mode is 0600). Anything else is "
			   "refused: whoever reaches it can take servers out of use.",
		.example = "127.0.0.1:9900",
	},
	{.key = NULL},
};
