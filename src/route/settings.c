/*
 * The rows of reverse listeners and routes: the config room parses by them, and the reference page and the
 * JSON Schema are made from them. Immutable.
 */
#include "route/settings.h"

#include "http/field.h"
#include "http/request_key.h"
#include "net/peers.h"
#include "route/settings_internal.h"

static const char *const forwarded_choices[] = {"both", "x_forwarded", "rfc7239", "off", NULL};

const char *const settings_http2_choices[] = {"tls", "clear", "off", NULL};

const char *settings_check_token(const char *text, size_t len)
{
	return http_is_token(span_make(text, len)) ? NULL :
						     "not a method: a method is a token (RFC 9110 5.6.2)";
}

static const char *check_path(const char *text, size_t len)
{
	if (len > 0 && (text[0] == '/' || text[0] == '~'))
		return NULL;
	return "a path begins with \"/\", a pattern with \"~\"";
}

static const char *check_redirect_status(const char *text, size_t len)
{
	static const char *const good[] = {"301", "302", "303", "307", "308"};

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
		if (span_equal(span_make(text, len), span_of(good[i])))
			return NULL;
	}
	return "a redirect's status is 301, 302, 303, 307 or 308";
}

static const struct setting respond_rows[] = {
	{
		.key = "status",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct respond_settings, status),
		.fallback = "200",
		.min = 200,
		.max = 599,
		.summary = "The status code of the response.",
		.example = "404",
	},
	{
		.key = "body",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct respond_settings, body),
		.file_ok = true,
		.summary = "The content of the response; `file:PATH` reads it from a file once, at start. "
			   "Statuses 204 and 304 have none. Without it the response is empty.",
		.example = "\"Back soon.\\n\"",
	},
	{
		.key = "type",
		.kind = SETTING_STRING,
		.offset = offsetof(struct respond_settings, type),
		.place_offset = offsetof(struct respond_settings, type_place),
		.summary = "The media type, sent as Content-Type. Default: text/plain; charset=utf-8 if there is a body.",
		.example = "text/html",
	},
	{
		.key = "fields",
		.kind = SETTING_MAP,
		.offset = offsetof(struct respond_settings, fields),
		.summary = "More fields of the response, name to value. Values are plain text, no templates.",
		.example = "{Cache-Control: max-age=60}",
	},
	{.key = NULL},
};

static const struct setting rewrite_rows[] = {
	{
		.key = "from",
		.kind = SETTING_STRING,
		.offset = offsetof(struct rewrite_settings, from),
		.place_offset = offsetof(struct rewrite_settings, from_place),
		.required = true,
		.check = check_path,
		.summary = "What to replace in the path: a prefix, or after `~` a PCRE2 pattern, of which the first match is "
			   "replaced. Where it does not match, the path stays as it is.",
		.example = "/api/",
	},
	{
		.key = "to",
		.kind = SETTING_STRING,
		.offset = offsetof(struct rewrite_settings, to),
		.place_offset = offsetof(struct rewrite_settings, to_place),
		.required = true,
		.summary = "What stands there instead. If `from` is a pattern, `$1` to `$9` are its groups, `$0` is all that "
			   "matched and `$$` a dollar sign. The query is kept.",
		.example = "/v2/",
	},
	{.key = NULL},
};

static const struct setting edit_rows[] = {
	{
		.key = "set",
		.kind = SETTING_MAP,
		.offset = offsetof(struct edit_settings, set),
		.summary = "Fields to set, name to template: one line replaces all that were there by that name.",
		.example = "{X-Client: \"{client}\"}",
	},
	{
		.key = "add",
		.kind = SETTING_MAP,
		.offset = offsetof(struct edit_settings, add),
		.summary = "Fields to add, name to template, beside those that are there by that name.",
		.example = "{X-Proxied-By: \"{name}\"}",
	},
	{
		.key = "remove",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct edit_settings, remove),
		.summary = "Names of fields to remove. This is done first, before `set` and `add`.",
		.example = "[Server, X-Powered-By]",
	},
	{.key = NULL},
};

static const struct setting limit_rows[] = {
	{
		.key = "body",
		.kind = SETTING_SIZE,
		.offset = offsetof(struct route_limit_settings, body),
		.min = 1,
		.word = "unlimited",
		.word_value = UINT64_MAX,
		.summary = "The largest request body, in bytes or with a unit, or `unlimited`; a larger one is answered with 413. "
			   "Default: `limits.body` of the whole configuration.",
		.example = "10 MiB",
	},
	{.key = NULL},
};

static const struct setting mirror_rows[] = {
	{
		.key = "to",
		.kind = SETTING_STRING,
		.offset = offsetof(struct mirror_settings, to),
		.place_offset = offsetof(struct mirror_settings, to_place),
		.required = true,
		.summary = "The name of the upstream group that gets the copies, a key of `upstreams`.",
		.example = "shadow",
	},
	{
		.key = "percent",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct mirror_settings, percent),
		.fallback = "100",
		.min = 1,
		.max = 100,
		.summary = "Of how many requests in a hundred, by lot.",
		.example = "10",
	},
	{.key = NULL},
};

const struct setting route_rows[] = {
	{
		.key = "host",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct route_settings, host),
		.summary =
			"The host that is asked for, or a list of hosts: `shop.example` exactly, `*.shop.example` every name below "
			"it at any depth, `.shop.example` both. Compared without case and without port. Default: any host.",
		.example = "[shop.example, \"*.shop.example\"]",
	},
	{
		.key = "path",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct route_settings, path),
		.check = check_path,
		.summary = "The path that is asked for, or a list of paths: `/a` exactly, `/a/` everything under it, `/a*` everything "
			   "that begins so, `~^/a[0-9]+$` a PCRE2 pattern. Compared with case, percent-decoded, without dot segments, repeated slashes as one, "
			   "and without the query. Default: any path.",
		.example = "/api/",
	},
	{
		.key = "method",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct route_settings, method),
		.check = settings_check_token,
		.summary = "The request method, or a list of methods, in their spelling (GET does not stand for HEAD). Default: any.",
		.example = "[GET, HEAD]",
	},
	{
		.key = "fields",
		.kind = SETTING_MAP,
		.offset = offsetof(struct route_settings, fields),
		.summary =
			"Request fields that must all be as said, name to value: exact text, a PCRE2 pattern after `~`, `*` for a field "
			"that is there with any value, an empty string for one that is not there. Of repeated lines one is enough.",
		.example = "{X-Env: canary, X-Debug: \"~^[01]$\"}",
	},
	{
		.key = "cookies",
		.kind = SETTING_MAP,
		.offset = offsetof(struct route_settings, cookies),
		.summary = "Cookies that must all be as said, name to value, written as in `fields`. Of several with the same name the "
			   "first counts.",
		.example = "{beta: \"1\"}",
	},
	{
		.key = "to",
		.kind = SETTING_LIST,
		.offset = offsetof(struct route_settings, destination.to),
		.rows = share_rows,
		.item_size = sizeof(struct share_settings),
		.place_offset = offsetof(struct share_settings, place),
		.shorthand = "group",
		.summary = "The name of the upstream group that requests go to, a key of `upstreams`; or a list of groups, each of which "
			   "gets its share. A route has exactly one of `to`, `respond` and `redirect`.",
		.example = "[{group: web, weight: 95}, {group: canary, weight: 5}]",
	},
	{
		.key = "split_by",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct route_settings, destination.split_by),
		.check = request_key_check,
		.summary =
			"What keeps a client on its side where `to` is a list: `client` (its address), `path`, `field:NAME`, "
			"`cookie:NAME` or `query:NAME`. Default, and for requests that do not have it: by lot.",
		.example = "\"cookie:uid\"",
	},
	{
		.key = "mirror",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct route_settings, mirror),
		.rows = mirror_rows,
		.shorthand = "to",
		.place_offset =
			offsetof(struct route_settings, mirror) + offsetof(struct mirror_settings, place),
		.summary = "A second upstream group that a share of the requests is sent to as well. Its answers are dropped, and it "
			   "never delays the first.",
		.example = "{to: shadow, percent: 10}",
	},
	{
		.key = "respond",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct route_settings, respond),
		.rows = respond_rows,
		.place_offset =
			offsetof(struct route_settings, respond) + offsetof(struct respond_settings, place),
		.summary = "A response that Guise gives itself.",
		.example = "{status: 200, type: text/plain, body: \"ok\\n\"}",
	},
	{
		.key = "redirect",
		.kind = SETTING_STRING,
		.offset = offsetof(struct route_settings, redirect),
		.place_offset = offsetof(struct route_settings, redirect_place),
		.summary =
			"A template for the Location that the client is sent to: text with `{host}` (without port), `{uri}` (path and "
			"query), `{path}`, `{query}`, `{scheme}`, `{method}`, `{client}` and `{name}`; `{{` is a brace.",
		.example = "\"https://{host}{uri}\"",
	},
	{
		.key = "redirect_status",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct route_settings, redirect_status),
		.fallback = "308",
		.min = 301,
		.max = 308,
		.check = check_redirect_status,
		.summary = "The status of the redirect: 301, 302, 303, 307 or 308.",
		.example = "301",
	},
	{
		.key = "rewrite",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct route_settings, rewrite),
		.rows = rewrite_rows,
		.place_offset =
			offsetof(struct route_settings, rewrite) + offsetof(struct rewrite_settings, place),
		.summary = "Changes the path on its way to the server.",
		.example = "{from: /api/, to: /v2/}",
	},
	{
		.key = "set_host",
		.kind = SETTING_STRING,
		.offset = offsetof(struct route_settings, set_host),
		.place_offset = offsetof(struct route_settings, set_host_place),
		.fallback = "preserve",
		.summary = "What the server sees in Host: `preserve` what the client asked for, `server` the server's own address as "
			   "the configuration writes it, or a fixed name, with a port if wanted.",
		.example = "internal.example",
	},
	{
		.key = "request",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct route_settings, request),
		.rows = edit_rows,
		.place_offset = offsetof(struct route_settings, request) + offsetof(struct edit_settings, place),
		.summary = "Edits to the request's fields on their way to the server. Values are templates as in `redirect`.",
		.example = "{set: {X-Client: \"{client}\"}, remove: [Cookie]}",
	},
	{
		.key = "response",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct route_settings, response),
		.rows = edit_rows,
		.place_offset =
			offsetof(struct route_settings, response) + offsetof(struct edit_settings, place),
		.summary = "Edits to the response's fields on their way to the client. Values are templates as in `redirect`.",
		.example = "{add: {X-Frame-Options: DENY}, remove: [Server]}",
	},
	{
		.key = "mask",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct route_settings, mask),
		.rows = reverse_mask_rows,
		.place_offset = offsetof(struct route_settings, mask.place),
		.shorthand = "enabled",
		.summary = "The mask of this route, in place of the listener's.",
		.example = "false",
	},
	{
		.key = "limits",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct route_settings, limits),
		.rows = limit_rows,
		.place_offset = offsetof(struct route_settings, limits) +
				offsetof(struct route_limit_settings, place),
		.summary = "Limits of this route, instead of those of the whole configuration.",
		.example = "{body: 10 MiB}",
	},
	{.key = NULL},
};

/* ---- reverse listeners ---- */

const char settings_http2_summary[] =
	"HTTP/2: `tls` offers it to clients by ALPN where the listener speaks TLS, `clear` takes it on a listener in clear from clients "
	"that know beforehand, beside HTTP/1.1, `off` neither.";
const char settings_proxy_protocol_summary[] =
	"Networks of load balancers that say who the client is by a PROXY protocol header, version 1 or 2, before its first byte; `unix:` "
	"stands for all peers on a unix socket. They have to send one; nobody else may. Default: nobody.";

const struct setting reverse_rows[] = {
	{
		.key = "listen",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct reverse_settings, listen),
		.required = true,
		.summary = "Where to listen, or a list of such: `ADDRESS:PORT`, `[IPV6]:PORT`, `:PORT` for every address of the machine, "
			   "IPv4 and IPv6, or `unix:/path`. Port 0 takes a free one, which the banner names.",
		.example = "[\":8080\", \"unix:/run/guise.sock\"]",
	},
	ROW_TLS(struct reverse_settings),
	ROW_HTTP2(struct reverse_settings),
	ROW_PROXY_PROTOCOL(struct reverse_settings),
	{
		.key = "trusted",
		.kind = SETTING_NETWORKS,
		.offset = offsetof(struct reverse_settings, trusted),
		.check = peers_check,
		.summary =
			"Networks of proxies in front of Guise, whose X-Forwarded-* and Forwarded fields are believed; `unix:` stands "
			"for all peers on a unix socket. Those fields are dropped when anyone else sends them. Default: nobody.",
		.example = "[10.0.0.0/8, \"2001:db8::/32\"]",
	},
	{
		.key = "forwarded",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct reverse_settings, forwarded),
		.fallback = "both",
		.choices = forwarded_choices,
		.summary = "What servers are told of the client: `x_forwarded` (X-Forwarded-For, -Proto and -Host), `rfc7239` (Forwarded), "
			   "`both`, or `off`.",
		.example = "rfc7239",
	},
	{
		.key = "mask",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct reverse_settings, mask),
		.rows = reverse_mask_rows,
		.place_offset = offsetof(struct reverse_settings, mask.place),
		.shorthand = "enabled",
		.summary = "What clients learn of the servers. `false` alone lets everything through.",
		.example = "false",
	},
	{
		.key = "routes",
		.kind = SETTING_LIST,
		.offset = offsetof(struct reverse_settings, routes),
		.rows = route_rows,
		.item_size = sizeof(struct route_settings),
		.place_offset = offsetof(struct route_settings, place),
		.required = true,
		.summary = "The routes, tried in this order: the first whose conditions all hold decides. A request that none takes is "
			   "answered with 404.",
		.example = "[{host: shop.example, path: /health, respond: {body: \"ok\\n\"}}, {to: web}]",
	},
	{.key = NULL},
};
