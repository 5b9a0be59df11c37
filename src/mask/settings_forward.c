/*
 * The rows of the masks of forward listeners. Immutable.
 */
#include "mask/settings.h"

static const char *const kinds[] = {"transparent", "anonymous", "elite", NULL};

const struct setting forward_mask_rows[] = {
	{
		.key = "kind",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct forward_mask_settings, kind),
		.fallback = "elite",
		.choices = kinds,
		.summary = "What servers learn: `transparent` who asks (Via, X-Forwarded-For, Forwarded), `anonymous` that there is a proxy "
			   "(Via) and not for whom, `elite` neither.",
		.example = "anonymous",
	},
	{.key = NULL},
};
