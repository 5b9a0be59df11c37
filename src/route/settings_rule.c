/*
 * The rows of forward rules and of the lists that they name. Immutable.
 */
#include "route/rule.h"
#include "route/settings_internal.h"
#include "route/times.h"

enum { NAME_MOST = 64, REASON_MOST = 200 };

static const char *const pac_choices[] = {"proxy", "direct", NULL};
static const char *const format_choices[] = {"auto", "plain", "hosts", NULL};

static const char *check_ports(const char *text, size_t len)
{
	uint16_t first, last;

	return rule_ports_parse(span_make(text, len), &first, &last);
}

static const char *check_time(const char *text, size_t len)
{
	struct week_time time;

	return week_time_parse(span_make(text, len), &time);
}

/* What is written on one line of a log. */
static const char *check_line(const char *text, size_t len, size_t most, const char *too_long)
{
	if (len == 0)
		return "it is empty";
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f)
			return "it has a control byte";
	return len > most ? too_long : NULL;
}

static const char *check_name(const char *text, size_t len)
{
	return check_line(text, len, NAME_MOST, "a rule's name has at most 64 bytes");
}

static const char *check_reason(const char *text, size_t len)
{
	return check_line(text, len, REASON_MOST, "a reason has at most 200 bytes");
}

static const struct setting match_rows[] = {
	{
		.key = "users",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_match_settings, users),
		.summary = "Users that the client has proved to be one of. Nobody, where the listener knows no users.",
		.example = "[ann, bob]",
	},
	{
		.key = "groups",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_match_settings, groups),
		.summary = "Groups of users (`users.groups` of the listener), one of which the client's user is in.",
		.example = "[staff]",
	},
	{
		.key = "sources",
		.kind = SETTING_NETWORKS,
		.offset = offsetof(struct rule_match_settings, sources),
		.check = settings_check_network,
		.summary = "Addresses or networks of clients.",
		.example = "[192.0.2.0/24]",
	},
	{
		.key = "domains",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_match_settings, domains),
		.summary = "Names that are asked for: `shop.example` exactly, `*.shop.example` every name below it at any depth, "
			   "`.shop.example` both; `*` elsewhere stands for any part of one label: `cdn*.shop.example`. Never compared with "
			   "a target given as an address.",
		.example = "[ads.example, \"*.tracker.example\", \"cdn*.shop.example\"]",
	},
	{
		.key = "regex",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_match_settings, regex),
		.summary =
			"PCRE2 patterns for the host that is asked for, in lower case and without the dot at its end; an address is compared as "
			"it is usually written. A pattern has to match all of it: `.*ads.*` finds ads anywhere.",
		.example = "['ads[0-9]+\\.shop\\.example', '[0-9.]+']",
	},
	{
		.key = "lists",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_match_settings, lists),
		.summary = "Keys of `lists`: one of them has the name that is asked for, a name above it, or the address that is connected to.",
		.example = "[ads]",
	},
	{
		.key = "addresses",
		.kind = SETTING_NETWORKS,
		.offset = offsetof(struct rule_match_settings, addresses),
		.check = settings_check_network,
		.summary = "Addresses or networks of targets, compared with the address that is then connected to. In an `allow` they also "
			   "open addresses that are not public; nothing else does.",
		.example = "[10.20.0.0/16, \"fd00::/8\"]",
	},
	{
		.key = "ports",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_match_settings, ports),
		.check = check_ports,
		.summary = "Ports of targets, or ranges of ports.",
		.example = "[80, 443, \"6000-6100\"]",
	},
	{
		.key = "methods",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_match_settings, methods),
		.check = settings_check_token,
		.summary = "Request methods in their spelling; CONNECT is what tunnels are asked for with, by SOCKS too, which also has BIND and "
			   "UDP. BIND is refused unless the `allow` that decides names it.",
		.example = "[CONNECT]",
	},
	{
		.key = "schemes",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_match_settings, schemes),
		.summary = "How it is asked for: `http` and `https` requests, a `tunnel` (CONNECT), `socks`, `udp` by SOCKS.",
		.example = "[http, tunnel]",
	},
	{
		.key = "times",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_match_settings, times),
		.check = check_time,
		.summary = "Days and hours of the local time, one of which it is: `mon-fri 08:00-18:00`, `sat,sun`, `22:00-06:00` (over midnight; "
			   "days before it are those on which it begins).",
		.example = "[\"mon-fri 08:00-18:00\", sat]",
	},
	{
		.key = "listeners",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_match_settings, listeners),
		.summary = "Where the client came in: addresses of this listener, as `listen` has them.",
		.example = "[\"127.0.0.1:3128\"]",
	},
	{.key = NULL},
};

const struct setting rule_rows[] = {
	{
		.key = "name",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct rule_settings, name),
		.check = check_name,
		.summary = "What the rule is called in logs and explanations. Default: its number and line.",
		.example = "no-ads",
	},
	{
		.key = "allow",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct rule_settings, allow),
		.rows = match_rows,
		.place_offset = offsetof(struct rule_settings, allow_place),
		.summary = "Lets requests pass for which all of the given conditions hold; `{}` holds for every request. A rule has "
			   "either `allow` or `deny`.",
		.example = "{domains: [\"*.shop.example\"], ports: [80, 443]}",
	},
	{
		.key = "deny",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct rule_settings, deny),
		.rows = match_rows,
		.place_offset = offsetof(struct rule_settings, deny_place),
		.summary = "Refuses, with 403, requests for which all of the given conditions hold.",
		.example = "{ports: [25]}",
	},
	{
		.key = "reason",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct rule_settings, reason),
		.check = check_reason,
		.summary = "What a client is told that this `deny` refuses, one line; the rule's name is for the log alone. Default: that a rule denies "
			   "it.",
		.example = "\"Advertisements are blocked here; ask it@office.example\"",
	},
	{
		.key = "proxy",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_settings, proxy),
		.summary = "Keys of `parents`, or `direct`: the way for what this `allow` lets pass; where one fails, the next is taken. Through a "
			   "parent, names are looked up by it. Default: direct.",
		.example = "[office, direct]",
	},
	{
		.key = "exit",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct rule_settings, exit),
		.summary = "Of `exits`: by which address or interface its connections leave. Default: the listener's.",
		.example = "pool",
	},
	{
		.key = "allowance",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct rule_settings, allowance),
		.summary = "Of `allowances`: how much of it anybody may have. Default: the listener's.",
		.example = "slow",
	},
	{
		.key = "secrets",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_settings, secrets),
		.summary = "Keys of `secrets` that its requests are given.",
		.example = "[openai]",
	},
	{
		.key = "pac",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct rule_settings, pac),
		.fallback = "proxy",
		.choices = pac_choices,
		.place_offset = offsetof(struct rule_settings, pac_place),
		.summary = "How browsers that have the listener's proxy.pac go to what this `allow` lets pass: through the `proxy`, or `direct`, "
			   "without it.",
		.example = "direct",
	},
	{.key = NULL},
};

const struct setting list_rows[] = {
	{
		.key = "file",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct list_settings, file),
		.required = true,
		.summary = "The file with the list, one entry a line. It is read again when it has changed; one that is of no use leaves the old list.",
		.example = "/etc/guise/ads.txt",
	},
	{
		.key = "format",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct list_settings, format),
		.fallback = "auto",
		.choices = format_choices,
		.summary =
			"`plain`: a name, which stands for all names below it too (`=name` for itself alone), an address or a network; `hosts`: an "
			"address, which means nothing, and names, as in /etc/hosts; `auto`: each line as it looks.",
		.example = "hosts",
	},
	{.key = NULL},
};
