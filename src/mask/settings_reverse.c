/*
 * The rows of the masks of reverse listeners and their routes. Immutable.
 */
#include "mask/settings.h"

#include "mask/name_set.h"

static const char *check_server(const char *text, size_t len)
{
	if (len == 0 || !http_is_field_value(span_make(text, len)))
		return "a value of a field has at least one character, and no control characters";
	return NULL;
}

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
		.key = "drop",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct reverse_mask_settings, drop),
		.check = name_set_check_row,
		.summary = "Fields of responses that are dropped beside those of the list ([reverse-mask.md](reverse-mask.md)); a name that ends in "
			   "`*` stands for all that begin so.",
		.example = "[X-Build, X-Internal-*]",
	},
	{
		.key = "keep",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct reverse_mask_settings, keep),
		.check = name_set_check_row,
		.summary = "Fields that pass as servers send them, although they are on the list; the log names a dropped field once, with this "
			   "key.",
		.example = "[X-Runtime]",
	},
	{
		.key = "server",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct reverse_mask_settings, server),
		.check = check_server,
		.summary = "What Server says in every response. Default: the field is dropped.",
		.example = "shop",
	},
	{
		.key = "reasons",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct reverse_mask_settings, reasons),
		.fallback = "true",
		.summary = "The reason phrase is the one that belongs to the status, whatever the server calls it.",
		.example = "false",
	},
	{
		.key = "references",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct reverse_mask_settings, references),
		.fallback = "true",
		.summary = "Location, Content-Location, Refresh, Link and Set-Cookie lead to the public name where they would lead to a server, and "
			   "what grants something to one is taken out.",
		.example = "false",
	},
	{
		.key = "public",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct reverse_mask_settings, public),
		.summary =
			"What clients know the servers by: `https://host`, with a port if wanted, or a host alone. Default: the host of the "
			"route, as the client asked for it; for a route without `host` references become relative.",
		.example = "https://shop.example",
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
