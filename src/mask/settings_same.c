/*
 * The rows of what makes servers indistinguishable. Immutable.
 */
#include "mask/settings.h"

static const char *check_key(const char *text, size_t len)
{
	return len < 16 ? "a key has at least 16 bytes" : NULL;
}

static const char *const errors[] = {"false", "5xx", "all", NULL};

const struct setting sameness_rows[] = {
	{
		.key = "etags",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct sameness_settings, etags),
		.fallback = "false",
		.summary = "`true`: entity tags are sealed on their way to clients, and opened in If-None-Match, If-Match and If-Range "
			   "([sameness.md](sameness.md)). Tags of over 191 bytes are dropped.",
		.example = "true",
	},
	{
		.key = "key",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct sameness_settings, key),
		.file_ok = true,
		.check = check_key,
		.summary = "What tags are sealed with, at least 16 bytes, or `file:PATH`. Nodes that share it give a file the same tag. Default: made "
			   "at start, so that after a restart clients ask for everything once more.",
		.example = "\"a long secret nobody can guess\"",
	},
	{
		.key = "date",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct sameness_settings, date),
		.fallback = "false",
		.summary = "`true`: Date of answers is by Guise's clock, whatever the server's shows.",
		.example = "true",
	},
	{
		.key = "order",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct sameness_settings, order),
		.fallback = "false",
		.summary = "`true`: fields of answers are sorted by name, and names are spelt in one way.",
		.example = "true",
	},
	{
		.key = "errors",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct sameness_settings, errors),
		.fallback = "false",
		.choices = errors,
		.summary = "Servers' answers with these statuses keep the status and what a client has to know to act on it, and get Guise's own content: "
			   "`5xx`, `all` (4xx too), or none (`false`).",
		.example = "5xx",
	},
	{.key = NULL},
};
