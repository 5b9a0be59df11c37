/*
 * The top of the table.
 */
#include "config/settings.h"

#include "core/span.h"
#include "http/field.h"

/* The pseudonym stands in Via as received-by (RFC 9110 7.6.3) and in Proxy-Status as a token (RFC 9209 2). */
static const char *check_name(const char *text, size_t len)
{
	if (len > 64)
		return "a name has at most 64 characters";
	if (!http_is_token(span_make(text, len)) || !(ascii_is_alpha((uint8_t)text[0]) || text[0] == '*'))
		return "a name begins with a letter, and has letters, digits and none of the signs that separate (RFC 9110 5.6.2)";
	return NULL;
}

static const char *check_group(const char *text, size_t len)
{
	if (len == 0)
		return "the name of a group is empty";
	return len > 128 ? "the name of a group is longer than 128 bytes" : NULL;
}

static const char *check_exit(const char *text, size_t len)
{
	if (len == 0)
		return "the name of an exit is empty";
	return len > 64 ? "the name of an exit is longer than 64 bytes" : NULL;
}

static const char *check_list(const char *text, size_t len)
{
	if (len == 0)
		return "the name of a list is empty";
	return len > 64 ? "the name of a list is longer than 64 bytes" : NULL;
}

const struct setting settings_rows[] = {
	{
		.key = "name",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct settings, name),
		.fallback = "guise",
		.check = check_name,
		.summary =
			"What this proxy calls itself in Proxy-Status and in Via: a token. In Via a tag follows that each "
			"listener gets at start (`edge-1-3fa9c1d2`): a request that comes with the listener's own tag "
			"has been here before and is refused as a loop, one of another Guise of the same name is not.",
		.example = "edge-1",
	},
	{
		.key = "workers",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct settings, workers),
		.fallback = "auto",
		.word = "auto",
		.word_value = 0,
		.min = 1,
		.max = 256,
		.summary = "Threads that do the work. `auto` is one for each core that the process may use.",
		.example = "4",
	},
	{
		.key = "limits",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct settings, limits),
		.rows = limits_rows,
		.summary = "What clients and exchanges may take.",
		.example = "{connections: 100000, body: 10 MiB}",
	},
	{
		.key = "timeouts",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct settings, timeouts),
		.rows = timeouts_rows,
		.summary = "How long things may take.",
		.example = "{header: 10s, idle: 75s}",
	},
	{
		.key = "resolver",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct settings, resolver),
		.rows = resolver_rows,
		.summary = "How host names become addresses.",
		.example = "{servers: [192.0.2.53], family: ipv4}",
	},
	{
		.key = "log",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct settings, log),
		.rows = log_rows,
		.summary = "What is written down, and where.",
		.example = "{access: /var/log/guise/access.log, format: combined}",
	},
	{
		.key = "forward",
		.kind = SETTING_LIST,
		.offset = offsetof(struct settings, forward),
		.rows = forward_rows,
		.item_size = sizeof(struct forward_settings),
		.place_offset = offsetof(struct forward_settings, place),
		.summary = "Listeners of the forward face, which asks on behalf of clients.",
		.example = "[{listen: 127.0.0.1:3128, mask: elite}]",
	},
	{
		.key = "reverse",
		.kind = SETTING_LIST,
		.offset = offsetof(struct settings, reverse),
		.rows = reverse_rows,
		.item_size = sizeof(struct reverse_settings),
		.place_offset = offsetof(struct reverse_settings, place),
		.summary = "Listeners of the reverse face, which answers on behalf of servers.",
		.example = "[{listen: \":8080\", routes: [{to: web}]}]",
	},
	{
		.key = "tcp",
		.kind = SETTING_LIST,
		.offset = offsetof(struct settings, tcp),
		.rows = tcp_rows,
		.item_size = sizeof(struct tcp_settings),
		.place_offset = offsetof(struct tcp_settings, place),
		.summary = "Listeners that hand on the bytes of connections as they come, whatever the protocol.",
		.example = "[{listen: \":5432\", to: database}]",
	},
	{
		.key = "upstreams",
		.kind = SETTING_NAMED,
		.offset = offsetof(struct settings, upstreams),
		.rows = upstream_rows,
		.item_size = sizeof(struct upstream_settings),
		.place_offset = offsetof(struct upstream_settings, place),
		.shorthand = "servers",
		.check = check_group,
		.summary = "Groups of servers by name, for `to` of routes. A list alone is the list of servers.",
		.example = "{web: [127.0.0.1:3000, 127.0.0.1:3001], api: {servers: [\"api.internal:8443\"], retries: 2}}",
	},
	{
		.key = "exits",
		.kind = SETTING_NAMED,
		.offset = offsetof(struct settings, exits),
		.rows = exit_rows,
		.item_size = sizeof(struct exit_settings),
		.place_offset = offsetof(struct exit_settings, place),
		.shorthand = "addresses",
		.check = check_exit,
		.summary = "Ways out of this machine by name, for `exit` of forward listeners and their rules ([exits.md](exits.md)). A list alone "
			   "is the list of addresses.",
		.example = "{pool: {addresses: [192.0.2.1, 192.0.2.2]}, own: {prefix: \"2001:db8:1::/64\"}, wire: {interface: eth1}}",
	},
	{
		.key = "lists",
		.kind = SETTING_NAMED,
		.offset = offsetof(struct settings, lists),
		.rows = list_rows,
		.item_size = sizeof(struct list_settings),
		.place_offset = offsetof(struct list_settings, place),
		.shorthand = "file",
		.check = check_list,
		.summary = "Long lists of names and networks by name, for `lists` of rules ([rules.md](rules.md)). A text alone is the file.",
		.example = "{ads: ads.txt, malware: {file: /etc/guise/malware.hosts, format: hosts}}",
	},
	{
		.key = "parents",
		.kind = SETTING_NAMED,
		.offset = offsetof(struct settings, parents),
		.rows = parent_rows,
		.item_size = sizeof(struct parent_settings),
		.place_offset = offsetof(struct parent_settings, place),
		.shorthand = "servers",
		.check = parent_check_name,
		.summary = "Parent proxies by name, for `proxy` of rules ([parents.md](parents.md)). A list alone is the list of servers.",
		.example = "{tor: \"socks5://127.0.0.1:9050\", office: {servers: [\"https://a.proxy:3128\"], via: tor, user: x, password: y}}",
	},
	{
		.key = "allowances",
		.kind = SETTING_NAMED,
		.offset = offsetof(struct settings, allowances),
		.rows = allowance_rows,
		.item_size = sizeof(struct allowance_settings),
		.place_offset = offsetof(struct allowance_settings, place),
		.check = allowance_check_name,
		.summary = "How much users or addresses may have, by name, for `allowance` of forward listeners and their rules "
			   "([allowances.md](allowances.md)).",
		.example = "{slow: {bandwidth: 1 MiB, connections: 20}, guests: {by: address, requests: 10, quota: 10 GiB}}",
	},
	{
		.key = "secrets",
		.kind = SETTING_NAMED,
		.offset = offsetof(struct settings, secrets),
		.rows = secret_rows,
		.item_size = sizeof(struct secret_settings),
		.place_offset = offsetof(struct secret_settings, place),
		.check = secret_check_name,
		.summary = "What requests to named hosts are given on their way out, so that clients never hold it ([agent-egress.md](agent-egress.md)). "
			   "Given to requests that a forward rule with `secrets` lets pass.",
		.example = "{shop: {hosts: [api.shop.example], prefix: \"Bearer \", value: \"s3cret\"}}",
	},
	{
		.key = "admin",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct settings, admin),
		.rows = admin_rows,
		.place_offset = offsetof(struct settings, admin.place),
		.shorthand = "listen",
		.summary = "The interface for the operator ([admin.md](admin.md)): what Guise does, what it would do with a request, "
			   "orders for servers. There is none unless this is there.",
		.example = "{listen: 127.0.0.1:9900}",
	},
	{.key = NULL},
};
