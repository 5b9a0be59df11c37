/*
 * The rows of forward listeners and their rules. Immutable.
 */
#include "route/rule.h"
#include "route/settings_internal.h"

static const char *const intercept_choices[] = {"off", "redirect", "tproxy", NULL};
static const char *const destination_choices[] = {"name", "original", NULL};

const char *settings_check_network(const char *text, size_t len)
{
	struct network network;

	if (network_parse(span_make(text, len), &network))
		return NULL;
	return "not an address or network: write 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32, with the bits after the prefix zero";
}

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
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct forward_settings, mask),
		.rows = forward_mask_rows,
		.place_offset = offsetof(struct forward_settings, mask.place),
		.shorthand = "kind",
		.summary = "What servers learn of clients. A word alone is its `kind`.",
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
			"by `redirect` (REDIRECT or DNAT of nftables) or by `tproxy` (which needs CAP_NET_ADMIN or CAP_NET_RAW). Plain HTTP goes "
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
		.key = "users",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct forward_settings, users),
		.rows = users_rows,
		.place_offset = offsetof(struct forward_settings, users.place),
		.shorthand = "file",
		.summary =
			"Who may use this listener ([users.md](users.md)): by password, by certificate, by network. With it, whoever is none of "
			"them is answered with 407 and asked for a password. A path alone is the file of passwords.",
		.example = "{file: users.htpasswd, groups: groups.txt, networks: {printers: 10.1.7.0/24}}",
	},
	{
		.key = "sources",
		.kind = SETTING_NETWORKS,
		.offset = offsetof(struct forward_settings, sources),
		.check = settings_check_network,
		.summary = "Addresses or networks of clients that may use this listener; others are answered with 403. Default: all.",
		.example = "[192.0.2.0/24, \"2001:db8:1::/48\"]",
	},
	{
		.key = "trust",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct forward_settings, trust),
		.summary =
			"A PEM file with the authorities that may sign certificates of origins, where Guise itself speaks TLS with them: for "
			"`https` targets in absolute-form, and for secrets that ask for TLS. Without it, the system's store.",
		.example = "ca.pem",
	},
	{
		.key = "pac",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct forward_settings, pac),
		.rows = pac_rows,
		.place_offset = offsetof(struct forward_settings, pac.place),
		.shorthand = "enabled",
		.summary = "Serves browsers a script that tells them what to ask this proxy for ([pac.md](pac.md)), at `/proxy.pac` and `/wpad.dat`, "
			   "made from the rules. Nobody has to log in for it; `sources` holds.",
		.example = "true",
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
