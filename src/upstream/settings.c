/*
 * The rows of one upstream group, and what the address of a server may look like. Read by the config room while a
 * snapshot is built.
 */
#include "upstream/settings.h"

#include "balance/balance.h"
#include "http/request_key.h"
#include "http/status_set.h"
#include "net/address.h"

#define DAY UINT64_C(86400000)

static const char *const resolves[] = {"each", "one", NULL}; /* enum upstream_resolve */

const struct setting server_rows[] = {
	{
		.key = "address",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct upstream_server_settings, address),
		.required = true,
		.check = upstream_check_address,
		.summary =
			"Where the server listens: `HOST:PORT`, `[IPV6]:PORT` or `unix:/path`; or `srv:NAME`, which asks for "
			"SRV records (RFC 2782): each target is a server with the record's port, priority and weight, and what its "
			"certificate must be for, and Host says, is the target's name. A name is looked up again whenever its time "
			"to live has passed (at least 1 s, at most 1 h); while that fails, or the name has nothing any more, the "
			"last good answer stays in use.",
		.example = "\"api.internal:8443\"",
	},
	{
		.key = "weight",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct upstream_server_settings, weight),
		.fallback = "1",
		.min = 1,
		.max = 256,
		.summary = "Its share of the requests, relative to the other servers of the group.",
		.example = "2",
	},
	{
		.key = "max_connections",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct upstream_server_settings, max_connections),
		.fallback = "unlimited",
		.min = 1,
		.max = 1000000,
		.word = "unlimited",
		.word_value = 0,
		.summary = "Requests (connections of `tcp` listeners) at a time on this server, of all workers. More wait: see "
			   "`limits.pending` and `timeouts.queue`.",
		.example = "100",
	},
	{
		.key = "priority",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct upstream_server_settings, priority),
		.fallback = "0",
		.max = 65535,
		.summary = "Servers of a higher number are used only when none of a lower number is there. A record of SRV has its own.",
		.example = "10",
	},
	{
		.key = "backup",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct upstream_server_settings, backup),
		.fallback = "false",
		.summary = "Used only when none of the others is there, whatever their priority.",
		.example = "true",
	},
	{
		.key = "resolve",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct upstream_server_settings, resolve),
		.fallback = "each",
		.choices = resolves,
		.summary = "A name with several addresses: `each` is a server of its own, which comes and goes with the name server's "
			   "answers (where there are both, IPv6 addresses stand by for the IPv4 ones); or they are ways to `one` "
			   "server, tried at each connect (RFC 8305).",
		.example = "one",
	},
	{.key = NULL},
};

#define TIMEOUT(name, text, shown)                                                                           \
	{                                                                                                    \
		.key = #name, .kind = SETTING_TIME, .offset = offsetof(struct upstream_timeouts, name),      \
		.min = 1, .max = 30 * DAY, .summary = text, .example = shown,                                \
	}

static const struct setting timeout_rows[] = {
	TIMEOUT(connect, "Instead of `timeouts.connect`.", "2s"),
	TIMEOUT(handshake, "Instead of `timeouts.handshake`, for TLS with the servers.", "3s"),
	TIMEOUT(response, "Instead of `timeouts.response`.", "5m"),
	TIMEOUT(pool, "Instead of `timeouts.pool`.", "20s"),
	{
		.key = "try",
		.kind = SETTING_TIME,
		.offset = offsetof(struct upstream_timeouts, try_),
		.fallback = "off",
		.min = 1,
		.max = 30 * DAY,
		.word = "off",
		.word_value = 0,
		.summary = "How long one try waits for the head of a response, from when a server is picked; then another server is "
			   "tried if that is safe.",
		.example = "2s",
	},
	{
		.key = "queue",
		.kind = SETTING_TIME,
		.offset = offsetof(struct upstream_timeouts, queue),
		.fallback = "5s",
		.min = 1,
		.max = 30 * DAY,
		.summary = "How long a request waits for a server that has room (`max_connections`) before it is answered 503.",
		.example = "1s",
	},
	{.key = NULL},
};

static const char *const https[] = {"auto", "1", "2", NULL};            /* enum upstream_http */
static const char *const proxy_protocols[] = {"off", "v1", "v2", NULL}; /* enum proxy_protocol */

const struct setting upstream_rows[] = {
	{
		.key = "servers",
		.kind = SETTING_LIST,
		.offset = offsetof(struct upstream_settings, servers),
		.rows = server_rows,
		.item_size = sizeof(struct upstream_server_settings),
		.place_offset = offsetof(struct upstream_server_settings, place),
		.shorthand = "address",
		.summary = "The servers of the group.",
		.example = "[{address: \"api.internal:8443\", weight: 2}, 10.0.0.7:8443, \"unix:/run/api.sock\"]",
	},
	{
		.key = "balance",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct upstream_settings, balance),
		.fallback = "round_robin",
		.choices = balance_names,
		.summary =
			"How a server is picked for a request. `round_robin`: each in turn. `least_conn`: the one with the fewest "
			"requests in flight. `random`. `p2c`: of two drawn by lot, the one with fewer in flight. `ewma`: of two, the "
			"one that answered faster lately. `hash`, `maglev`: the same one for the same key, see `hash`. All by weight.",
		.example = "p2c",
	},
	{
		.key = "file",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct upstream_settings, file),
		.summary =
			"A file with more servers, YAML or JSON: a list as in `servers`, of at most 10,000 (4 MiB). It is looked at every "
			"second. A new file in the place of the old one (`mv`) counts at once, one that is written in place when it has "
			"stayed the same for a second. One with a mistake changes nothing, and is complained about once; `[]` means that "
			"there are no servers.",
		.example = "servers.yaml",
	},
	{
		.key = "hash",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct upstream_settings, hash),
		.fallback = "client",
		.check = request_key_check,
		.summary = "What `balance: hash` and `balance: maglev` stick to: `client` (its address), `path`, `field:NAME`, "
			   "`cookie:NAME` or `query:NAME`. A request without it goes anywhere.",
		.example = "\"cookie:session\"",
	},
	{
		.key = "bound",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct upstream_settings, bound),
		.fallback = "125",
		.min = 101,
		.max = 10000,
		.word = "off",
		.word_value = 0,
		.summary = "With `balance: hash`, the percentage of its fair share of the requests in flight that a server may have; what "
			   "is beyond goes to the next one on the ring.",
		.example = "150",
	},
	{
		.key = "sticky",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct upstream_settings, sticky),
		.rows = sticky_rows,
		.shorthand = "cookie",
		.summary = "A cookie keeps a client at the server that it was first given. Its value is sealed: it tells a client "
			   "nothing of the server, and cannot be forged. The server does not see it.",
		.example = "{cookie: lb, max_age: 1d}",
	},
	{
		.key = "slow_start",
		.kind = SETTING_TIME,
		.offset = offsetof(struct upstream_settings, slow_start),
		.fallback = "off",
		.min = 1,
		.max = DAY,
		.word = "off",
		.word_value = 0,
		.summary = "A server that comes (back) gets its share little by little, over this time. Not with `hash` and `maglev`.",
		.example = "30s",
	},
	{
		.key = "panic",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct upstream_settings, panic),
		.fallback = "0",
		.max = 100,
		.summary = "With fewer than this percentage of a group's servers well, checks are not believed and all are used. 0: never; "
			   "a group without a server that is well answers 503 at once.",
		.example = "30",
	},
	{
		.key = "health",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct upstream_settings, health),
		.place_offset =
			offsetof(struct upstream_settings, health) + offsetof(struct health_settings, place),
		.rows = health_rows,
		.shorthand = "path",
		.summary = "Checks of each server, made once for the whole process.",
		.example = "{path: /healthz, interval: 2s, timeout: 1s, rise: 2, fall: 3}",
	},
	{
		.key = "outliers",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct upstream_settings, outliers),
		.rows = outlier_rows,
		.summary = "When a server that fails while it works is left out for a while.",
		.example = "{errors: 5, eject: 10s}",
	},
	{
		.key = "keepalive",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct upstream_settings, keepalive),
		.fallback = "64",
		.max = 65536,
		.summary = "Idle connections kept for reuse, for each worker and server. 0: none.",
		.example = "128",
	},
	{
		.key = "retries",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct upstream_settings, retries),
		.fallback = "1",
		.max = 16,
		.summary = "How many other servers are tried, as long as nothing of a final response has been sent to the client: when a "
			   "server has certainly not processed the request; and when it failed, for requests that are idempotent (RFC "
			   "9110 9.2.2).",
		.example = "2",
	},
	{
		.key = "retry_on",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct upstream_settings, retry_on),
		.check = status_set_check,
		.summary = "Statuses for which an idempotent request is tried on another server: `503`, `5xx`, `500-504`.",
		.example = "[502, 503, 504]",
	},
	{
		.key = "retry_budget",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct upstream_settings, retry_budget),
		.rows = retry_budget_rows,
		.summary = "How many tries beside the first ones a group may see, so that they never add up to a storm.",
		.example = "{percent: 10, per_second: 5}",
	},
	{
		.key = "hedge",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct upstream_settings, hedge),
		.rows = hedge_rows,
		.shorthand = "percentile",
		.summary = "A second try on another server when the first is slow; the first answer wins, the other try is cancelled. For "
			   "requests that are safe (RFC 9110 9.2.1) and without content.",
		.example = "{percentile: 95, minimum: 20ms}",
	},
	{
		.key = "limits",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct upstream_settings, limits),
		.rows = upstream_limit_rows,
		.summary = "What a group may have at a time, of all workers; what is beyond is answered 503 at once.",
		.example = "{connections: 500, requests: 2000, pending: 100, retries: 20}",
	},
	{
		.key = "tls",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct upstream_settings, tls),
		.place_offset = offsetof(struct upstream_settings, tls) +
				offsetof(struct tls_upstream_settings, place),
		.rows = tls_upstream_rows,
		.summary = "The servers are spoken to over TLS; `{}` is enough. Their certificates must be good for the host in "
			   "`address`, or for `name`.",
		.example = "{ca: ca.pem, name: api.internal, certificate: me.pem, key: me.key}",
	},
	{
		.key = "http",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct upstream_settings, http),
		.place_offset = offsetof(struct upstream_settings, http_place),
		.fallback = "auto",
		.choices = https,
		.summary = "Which HTTP the servers are spoken to with: `auto` (over TLS what a server picks by ALPN, else HTTP/1.1), "
			   "`1` or `2`. `2` without `tls` is HTTP/2 by prior knowledge (\"h2c\"). With `auto`, upgrades (WebSocket) go "
			   "over HTTP/1.1; with `2`, WebSocket is an extended CONNECT (RFC 8441).",
		.example = "\"2\"",
	},
	{
		.key = "streams",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct upstream_settings, streams),
		.fallback = "100",
		.min = 1,
		.max = 10000,
		.summary = "Exchanges at a time on one HTTP/2 connection, if the server does not allow fewer. More than these "
			   "open another connection.",
		.example = "32",
	},
	{
		.key = "proxy_protocol",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct upstream_settings, proxy_protocol),
		.place_offset = offsetof(struct upstream_settings, proxy_protocol_place),
		.fallback = "off",
		.choices = proxy_protocols,
		.summary =
			"Begins each connection with a PROXY protocol header that names the client, `v1` (text) or `v2` "
			"(binary). Such a connection carries one exchange and is not kept; HTTP/2 is not spoken on it.",
		.example = "v2",
	},
	{
		.key = "timeouts",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct upstream_settings, timeouts),
		.rows = timeout_rows,
		.summary = "Timeouts of this group alone.",
		.example = "{connect: 2s, response: 5m}",
	},
	{.key = NULL},
};

/* A host name as servers are named: letters, digits, hyphen, underscore, dots between labels (RFC 1123 2.1). */
static const char *check_name(struct span name)
{
	bool numeric = true;
	size_t label = 0;

	if (name.len > 253)
		return "the host name is longer than 253 bytes";
	for (size_t i = 0; i < name.len; i++) {
		uint8_t byte = name.at[i];
		if (byte == '.') {
			if (label == 0)
				return "the host name has an empty label";
			label = 0;
			continue;
		}
		if (!ascii_is_alpha(byte) && !ascii_is_digit(byte) && byte != '-' && byte != '_')
			return "a host name has letters, digits, hyphens and dots only";
		if (++label > 63)
			return "the host name has a label longer than 63 bytes";
		numeric = numeric && ascii_is_digit(byte);
	}
	if (numeric)
		return "this is neither an address nor a host name: an IPv4 address has four numbers from 0 to 255";
	return NULL;
}

static const char *check_unix(struct span path)
{
	if (path.len == 0 || (path.at[0] != '/' && path.at[0] != '@'))
		return "the path of a unix socket begins with \"/\" (or \"@\"), as in unix:/run/app.sock";
	if (path.len > sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)
		return "the path of a unix socket is longer than 107 bytes";
	return NULL;
}

static const char *check_port(struct span port)
{
	uint64_t number;

	if (port.len == 0)
		return "the port is missing after \":\"";
	if (!span_to_u64(port, &number) || number == 0 || number > 65535)
		return "a port is a number from 1 to 65535";
	return NULL;
}

/* RFC 2782: _Service._Proto.Name */
static const char *check_srv(struct span name)
{
	if (name.len == 0)
		return "after \"srv:\" stands a name, as in srv:_http._tcp.app.internal";
	if (span_find(name, ':') >= 0)
		return "the port of a server found by SRV is the record's";
	return check_name(name);
}

const char *upstream_check_address(const char *text, size_t len)
{
	struct span all = span_make(text, len), host, port;
	struct address address;
	ptrdiff_t end;
	const char *wrong;

	if (len == 0)
		return "an address of a server is HOST:PORT or unix:/path";
	if (span_starts_with(all, SPAN("unix:")))
		return check_unix(span_from(all, 5));
	if (span_starts_with(all, SPAN("srv:")))
		return check_srv(span_from(all, 4));
	if (span_search(all, SPAN("://")) >= 0)
		return "an address of a server is HOST:PORT, without a scheme and a path";
	if (all.at[0] == '[') {
		end = span_find(all, ']');
		if (end < 0 || !address_parse_ip(span_make(all.at + 1, (size_t)end - 1), &address) ||
		    address.family != ADDRESS_V6)
			return "between [ and ] stands an IPv6 address";
		port = span_from(all, (size_t)end + 1);
		if (port.len == 0 || port.at[0] != ':')
			return "a port is missing, as in [::1]:8080";
		return check_port(span_from(port, 1));
	}
	if (address_parse_ip(all, &address))
		return address.family == ADDRESS_V6 ?
			       "an IPv6 address stands in brackets and takes a port, as in [::1]:8080" :
			       "a port is missing, as in 127.0.0.1:8080";
	if (!span_cut(all, ':', &host, &port))
		return "a port is missing, as in app.internal:8080";
	if (span_find(port, ':') >= 0)
		return "an IPv6 address stands in brackets and takes a port, as in [::1]:8080";
	if (host.len == 0)
		return "the host is missing before \":\"";
	wrong = address_parse_ip(host, &address) ? NULL : check_name(host);
	return wrong ? wrong : check_port(port);
}
