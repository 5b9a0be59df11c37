/*
 * The rows of forward listeners and their rules. Immutable.
 */
#include "route/rule.h"
#include "route/settings_internal.h"

static const char *const mask_choices[] = {"transparent", "anonymous", "elite", NULL};

static const char *const intercept_choices[] = {"off", "redirect", "tproxy", NULL};
static const char *const destination_choices[] = {"name", "original", NULL};

static const char *check_network(const char *text, size_t len)
{
	struct network network;

	if (network_parse(span_make(text, len), &network))
		return NULL;
	return "not an address or network: write 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32, with the bits after the prefix zero";
}

static const char *check_ports(const char *text, size_t len)
{
	uint16_t first, last;

	return rule_ports_parse(span_make(text, len), &first, &last);
}

static const struct setting match_rows[] = {
	{
		.key = "domains",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct rule_match_settings, domains),
		.summary = "Names that are asked for: `shop.example` exactly, `*.shop.example` every name below it at any depth, "
			   "`.shop.example` both. Never compared with a target given as an address.",
		.example = "[ads.example, \"*.tracker.example\"]",
	},
	{
		.key = "addresses",
		.kind = SETTING_NETWORKS,
		.offset = offsetof(struct rule_match_settings, addresses),
		.check = check_network,
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
		.summary = "Request methods in their spelling; CONNECT is what tunnels are asked for with.",
		.example = "[CONNECT]",
	},
	{
		.key = "sources",
		.kind = SETTING_NETWORKS,
		.offset = offsetof(struct rule_match_settings, sources),
		.check = check_network,
		.summary = "Addresses or networks of clients.",
		.example = "[192.0.2.0/24]",
	},
	{.key = NULL},
};

const struct setting rule_rows[] = {
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
	{.key = NULL},
};

const struct setting forward_rows[] = {
	{
		.key = "listen",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct forward_settings, listen),
		.required = true,
		.summary = "Where to listen, or a list of such: `ADDRESS:PORT`, `[IPV6]:PORT`, `:PORT` for every address of the machine, "
			   "IPv4 and IPv6, or `unix:/path`. Port 0 takes a free one, which the banner names.",
		.example = "127.0.0.1:3128",
	},
	ROW_TLS(struct forward_settings),
	ROW_HTTP2(struct forward_settings),
	ROW_PROXY_PROTOCOL(struct forward_settings),
	{
		.key = "mask",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct forward_settings, mask),
		.fallback = "elite",
		.choices = mask_choices,
		.summary = "What servers learn: `transparent` who asks (Via, X-Forwarded-For, Forwarded), `anonymous` that there is a proxy "
			   "(Via) and not for whom, `elite` neither.",
		.example = "anonymous",
	},
	{
		.key = "socks",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct forward_settings, socks),
		.fallback = "true",
		.summary = "Speaks SOCKS 4, 4a and 5 on the same port as HTTP, told apart by a connection's first byte. The rules hold for "
			   "both alike.",
		.example = "false",
	},
	{
		.key = "open",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct forward_settings, open),
		.fallback = "false",
		.summary = "Lets a listener start that anybody may use: one beyond loopback which neither `sources`, nor rules with "
			   "`sources`, nor certificates that `tls` requires of clients, limit to known ones. Without it Guise refuses to "
			   "start one.",
		.example = "true",
	},
	{
		.key = "intercept",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct forward_settings, intercept),
		.fallback = "off",
		.choices = intercept_choices,
		.place_offset = offsetof(struct forward_settings, intercept_place),
		.summary =
			"Serves clients that know of no proxy, and whose connections the system sends here ([interception.md](interception.md)): "
			"by `redirect` (REDIRECT or DNAT of nftables) or by `tproxy` (which needs CAP_NET_ADMIN). Plain HTTP goes "
			"by its Host, TLS by the name in its ClientHello, as it is; anything else to where it was sent.",
		.example = "redirect",
	},
	{
		.key = "intercept_destination",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct forward_settings, intercept_destination),
		.fallback = "name",
		.choices = destination_choices,
		.place_offset = offsetof(struct forward_settings, intercept_destination_place),
		.summary =
			"Where intercepted connections go: to the `name` that the client gave, which is looked up here, so that a false one "
			"leads to its owner; or to the `original` address, where a name that does not stand for it is refused.",
		.example = "original",
	},
	{
		.key = "exit",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct forward_settings, exit),
		.summary = "Of `exits`: the way by which connections of this listener leave, where the rule that allows them names none.",
		.example = "pool",
	},
	{
		.key = "allowance",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct forward_settings, allowance),
		.summary = "Of `allowances`: how much clients of this listener may have, where the rule that allows them names none.",
		.example = "slow",
	},
	{
		.key = "sources",
		.kind = SETTING_NETWORKS,
		.offset = offsetof(struct forward_settings, sources),
		.check = check_network,
		.summary = "Addresses or networks of clients that may use this listener; others are answered with 403. Default: all.",
		.example = "[192.0.2.0/24, \"2001:db8:1::/48\"]",
	},
	{
		.key = "rules",
		.kind = SETTING_LIST,
		.offset = offsetof(struct forward_settings, rules),
		.rows = rule_rows,
		.item_size = sizeof(struct rule_settings),
		.place_offset = offsetof(struct rule_settings, place),
		.summary = "What clients may ask for, tried in this order: the first rule whose conditions all hold decides. When none does, a "
			   "list with an `allow` in it refuses, one without lets pass. Targets whose address is not public need, besides, "
			   "an `allow` that names their address or network. Default: everything public.",
		.example = "[{deny: {ports: [25]}}, {allow: {addresses: [10.20.0.0/16], ports: [443]}}, {allow: {ports: [80, 443]}}]",
	},
	{.key = NULL},
};
