/*
 * The rows of the leak guard. Immutable.
 */
#include "mask/leak_terms.h"
#include "mask/settings.h"
#include "net/peers.h"

static const char *const policies[] = {"off", "report", "remove", "rewrite", "block", NULL};

static const char *check_word(const char *text, size_t len)
{
	if (len < 3)
		return "a word has at least three bytes: shorter ones would be found everywhere";
	return len > LEAK_WORD_MOST ? "a word has at most 256 bytes" : NULL;
}

static const char *check_network(const char *text, size_t len)
{
	struct network network;

	if (!network_parse(span_make(text, len), &network))
		return "not a network such as 10.0.0.0/8, or an address";
	return network.prefix == 0 ? "all addresses would be secret" : NULL;
}

static const char *check_type(const char *text, size_t len)
{
	const char *star = memchr(text, '*', len);

	if (!memchr(text, '/', len))
		return "not a media type such as text/html or text/*";
	return star && memchr(star + 1, '*', (size_t)(text + len - star - 1)) ? "one \"*\" is enough" : NULL;
}

const struct setting leak_rows[] = {
	{
		.key = "heads",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct leak_settings, heads),
		.choices = policies,
		.fallback = "rewrite",
		.summary = "What becomes of a server's name or address in a field of a response (or of its trailers): `report` only says so in the "
			   "log, `remove` drops the field, `rewrite` puts the public name in its place and drops the field where that "
			   "cannot be done, `block` answers 502 instead.",
		.example = "remove",
	},
	{
		.key = "body",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct leak_settings, body),
		.choices = policies,
		.fallback = "off",
		.summary = "The same for content of the types in `types`: `remove` cuts it out, `rewrite` puts the public name in its place, "
			   "`block` breaks the response off.",
		.example = "report",
	},
	{
		.key = "words",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct leak_settings, words),
		.place_offset = offsetof(struct leak_settings, words.place),
		.check = check_word,
		.summary = "Words that are secret too, in any case, where no letter or digit stands beside them.",
		.example = "[falcon, \"build-host 7\"]",
	},
	{
		.key = "networks",
		.kind = SETTING_NETWORKS,
		.offset = offsetof(struct leak_settings, networks),
		.place_offset = offsetof(struct leak_settings, networks.place),
		.check = check_network,
		.summary = "Networks all addresses of which are secret, beside the addresses of servers.",
		.example = "[10.0.0.0/8, \"fd00::/8\"]",
	},
	{
		.key = "types",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct leak_settings, types),
		.place_offset = offsetof(struct leak_settings, types.place),
		.check = check_type,
		.summary = "Media types of content that `body` is for, `*` standing for anything. Without this key: text, JSON, JavaScript, "
			   "XML and SVG.",
		.example = "[text/html, application/json]",
	},
	{
		.key = "encoded",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct leak_settings, encoded),
		.fallback = "false",
		.summary = "Whether servers' addresses are found in percent-encoding and base64 too.",
		.example = "true",
	},
	{
		.key = "window",
		.kind = SETTING_SIZE,
		.offset = offsetof(struct leak_settings, window),
		.fallback = "64 KiB",
		.min = 8 * 1024,
		.max = 1024 * 1024,
		.summary = "How much of the content of one response is looked at a time, and held at most.",
		.example = "16 KiB",
	},
	{.key = NULL},
};
