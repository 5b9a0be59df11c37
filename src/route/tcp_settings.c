/*
 * The rows of `tcp`: listeners that hand on bytes as they come. Immutable.
 */
#include "core/span.h"
#include "net/peers.h"
#include "route/settings.h"

/* Of a connection nothing else is known. */
static const char *check_split(const char *text, size_t len)
{
	return span_equal(span_make(text, len), SPAN("client")) ?
		       NULL :
		       "connections can be split by lot (say nothing) or by \"client\"";
}

static const char split_summary[] =
	"`client` keeps all connections from one address on their side where `to` is a list. Default: by lot.";

static const struct setting tcp_route_rows[] = {
	{
		.key = "sni",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct tcp_route_settings, sni),
		.summary = "The name that the client asks for in its ClientHello (RFC 6066 3), or a list of names: `shop.example` "
			   "exactly, `*.shop.example` every name below it at any depth, `.shop.example` both. Default: any name, no "
			   "name, and whatever is not TLS.",
		.example = "[shop.example, \"*.shop.example\"]",
	},
	{
		.key = "to",
		.kind = SETTING_LIST,
		.offset = offsetof(struct tcp_route_settings, destination.to),
		.rows = share_rows,
		.item_size = sizeof(struct share_settings),
		.place_offset = offsetof(struct share_settings, place),
		.shorthand = "group",
		.required = true,
		.summary = "The name of the upstream group that connections go to, a key of `upstreams`; or a list of groups, each of "
			   "which gets its share.",
		.example = "web",
	},
	{
		.key = "split_by",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct tcp_route_settings, destination.split_by),
		.check = check_split,
		.summary = split_summary,
		.example = "client",
	},
	{.key = NULL},
};

const struct setting tcp_rows[] = {
	{
		.key = "listen",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct tcp_settings, listen),
		.required = true,
		.summary = "Where to listen, or a list of such: `ADDRESS:PORT`, `[IPV6]:PORT`, `:PORT` for every address of the machine, "
			   "IPv4 and IPv6, or `unix:/path`. Port 0 takes a free one, which the banner names.",
		.example = "\":5432\"",
	},
	{
		.key = "proxy_protocol",
		.kind = SETTING_NETWORKS,
		.offset = offsetof(struct tcp_settings, proxy_protocol),
		.check = peers_check,
		.summary = "Networks of proxies in front of Guise that send a PROXY header (version 1 or 2) before anything else; `unix:` "
			   "stands for all peers on a unix socket. They must send one, and what it says of the client is believed; a "
			   "header from anyone else is not one, but bytes of the client. Default: nobody.",
		.example = "[10.0.0.0/8]",
	},
	{
		.key = "to",
		.kind = SETTING_LIST,
		.offset = offsetof(struct tcp_settings, destination.to),
		.rows = share_rows,
		.item_size = sizeof(struct share_settings),
		.place_offset = offsetof(struct share_settings, place),
		.shorthand = "group",
		.summary = "The name of the upstream group that every connection goes to, a key of `upstreams`; or a list of groups, each "
			   "of which gets its share. A listener has either `to` or `routes`.",
		.example = "database",
	},
	{
		.key = "split_by",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct tcp_settings, destination.split_by),
		.check = check_split,
		.summary = split_summary,
		.example = "client",
	},
	{
		.key = "routes",
		.kind = SETTING_LIST,
		.offset = offsetof(struct tcp_settings, routes),
		.rows = tcp_route_rows,
		.item_size = sizeof(struct tcp_route_settings),
		.place_offset = offsetof(struct tcp_route_settings, place),
		.summary = "Where connections go by the name in the client's ClientHello, which is looked at and passed on as it is: the first "
			   "route that has the name decides. A connection that none takes is closed.",
		.example = "[{sni: shop.example, to: shop}, {to: web}]",
	},
	{.key = NULL},
};
