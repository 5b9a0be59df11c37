/*
 * From the settings of parents to what workers need of them. While a configuration is read; mistakes are told with their places, and never with
 * credentials.
 */
#include "core/base64.h"
#include "http/char.h"
#include "upstream/parent_settings.h"

/* ---- a URL ---- */

static const struct parent_scheme {
	const char *text;
	enum parent_kind kind;
	uint16_t port;
} schemes[] = {
	{"http", PARENT_HTTP, 3128},
	{"https", PARENT_HTTPS, 3128},
	{"socks4a", PARENT_SOCKS4A, 1080},
	{"socks5", PARENT_SOCKS5, 1080},
};

static const struct parent_scheme *scheme_find(struct span text)
{
	for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++)
		if (span_equal_nocase(text, span_of(schemes[i].text)))
			return &schemes[i];
	return NULL;
}

/* RFC 3986 2.1. NULL, or why not. */
static const char *decode(struct span text, struct arena *arena, struct span *out)
{
	uint8_t *bytes = arena_alloc(arena, text.len + 1);
	size_t len = 0;

	if (!bytes)
		return "out of memory";
	for (size_t i = 0; i < text.len; i++) {
		bytes[len] = text.at[i];
		if (text.at[i] == '%') {
			int decoded = http_percent_byte(span_from(text, i));
			if (decoded < 0)
				return "in user and password, after \"%\" stand two hexadecimal digits";
			bytes[len] = (uint8_t)decoded;
			i += 2;
		}
		len++;
	}
	*out = span_make(bytes, len);
	return NULL;
}

/* Takes "USER:PASSWORD@" off the front. */
static const char *url_credentials(struct span *rest, struct arena *arena, struct parent_server *server)
{
	struct span user, password;
	ptrdiff_t at = -1;
	const char *why;

	for (size_t i = 0; i < rest->len; i++)
		if (rest->at[i] == '@')
			at = (ptrdiff_t)i;
	if (at < 0)
		return NULL;
	struct span all = span_first(*rest, (size_t)at);
	*rest = span_from(*rest, (size_t)at + 1);
	bool both = span_cut(all, ':', &user, &password);
	if (user.len == 0 || (both && password.len == 0))
		return "before \"@\" stands USER or USER:PASSWORD";
	why = decode(user, arena, &server->user);
	if (!why && both)
		why = decode(password, arena, &server->password);
	return why;
}

/* "HOST[:PORT]" taken apart. */
static const char *url_place(struct span place, struct parent_server *server, uint16_t usual)
{
	struct span host, port = {0};
	uint64_t number = usual;
	bool literal;

	if (place.len > 0 && place.at[0] == '[') {
		ptrdiff_t end = span_find(place, ']');
		if (end < 0)
			return "between [ and ] stands an IPv6 address";
		host = span_make(place.at + 1, (size_t)end - 1);
		port = span_from(place, (size_t)end + 1);
		if (port.len && port.at[0] != ':')
			return "behind \"]\" stands a port, as in [::1]:3128";
		port = port.len ? span_from(port, 1) : (struct span){0};
		literal = address_parse_ip(host, &server->address) && server->address.family == ADDRESS_V6;
		if (!literal)
			return "between [ and ] stands an IPv6 address";
	} else {
		(void)span_cut(place, ':', &host, &port);
		literal = address_parse_ip(host, &server->address);
		if (span_find(port, ':') >= 0)
			return "an IPv6 address stands in brackets, as in [::1]:3128";
	}
	if (host.len == 0)
		return "the host is missing";
	if (port.at && (!span_to_u64(port, &number) || number == 0 || number > 65535))
		return "a port is a number from 1 to 65535";
	server->host = host;
	server->port = (uint16_t)number;
	if (!literal)
		server->address = (struct address){.family = ADDRESS_NONE};
	server->address.port = server->port;
	return NULL;
}

/* A host name (RFC 1123 2.1). */
static const char *check_host(struct span name)
{
	size_t label = 0;
	bool numeric = true;

	if (name.len > 253)
		return "the host name is longer than 253 bytes";
	for (size_t i = 0; i < name.len; i++) {
		uint8_t byte = name.at[i];
		if (byte == '.' && label == 0)
			return "the host name has an empty label";
		if (byte != '.' && !ascii_is_alpha(byte) && !ascii_is_digit(byte) && byte != '-' && byte != '_')
			return "a host name has letters, digits, hyphens and dots only";
		label = byte == '.' ? 0 : label + 1;
		if (label > 63)
			return "the host name has a label longer than 63 bytes";
		numeric = byte == '.' ? i + 1 < name.len : numeric && ascii_is_digit(byte);
	}
	if (label == 0)
		return "the host name ends with a dot";
	return numeric ? "this is neither an address nor a host name" : NULL;
}

const char *parent_url_parse(struct span url, struct arena *arena, struct parent_server *server)
{
	ptrdiff_t colon = span_search(url, SPAN("://"));
	const struct parent_scheme *scheme = colon > 0 ? scheme_find(span_first(url, (size_t)colon)) : NULL;
	const char *why;

	if (!scheme)
		return "a proxy's URL begins with http://, https://, socks4a:// or socks5://";
	struct span rest = span_from(url, (size_t)colon + 3);
	if (rest.len && rest.at[rest.len - 1] == '/')
		rest.len--;
	server->kind = scheme->kind;
	why = url_credentials(&rest, arena, server);
	if (!why && span_find(rest, '/') >= 0)
		why = "a proxy's URL has no path";
	if (!why)
		why = url_place(rest, server, scheme->port);
	if (!why && server->address.family == ADDRESS_NONE)
		why = check_host(server->host);
	if (why)
		return why;
	const char *open = server->address.family == ADDRESS_V6 ? "[" : "";
	const char *close = server->address.family == ADDRESS_V6 ? "]" : "";
	server->text = arena_format(arena, "%s://%s%.*s%s:%u", scheme->text, open, SPAN_ARG(server->host),
				    close, server->port);
	if (!server->text.at)
		return "out of memory";
	server->place = span_from(server->text, strlen(scheme->text) + 3);
	server->host = span_make(server->place.at + strlen(open), server->host.len);
	return NULL;
}

/* ---- a parent ---- */

struct compile {
	struct arena *arena;
	struct diagnostics *diagnostics;
	struct parent_plans *plans;
	bool out_of_memory;
};

/* The text without one line end behind it, as files have it. */
static struct span credential(const struct setting_string *text)
{
	struct span span = span_make(text->text, text->len);

	if (span.len && span.at[span.len - 1] == '\n')
		span.len--;
	if (span.len && span.at[span.len - 1] == '\r')
		span.len--;
	return span;
}

static bool has_byte_below_space(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < ' ' || text.at[i] == 0x7f)
			return true;
	return false;
}

/* What each protocol can say of a user. NULL, or why it cannot. */
static const char *check_login(const struct parent_server *server)
{
	if (server->user.len > 255 || server->password.len > 255)
		return "user and password have at most 255 bytes each";
	if (server->password.len && server->user.len == 0)
		return "a password needs a user";
	if (has_byte_below_space(server->user) || has_byte_below_space(server->password))
		return "user and password have no control characters (RFC 7617 2)";
	if (parent_speaks_http(server) && span_find(server->user, ':') >= 0)
		return "a user with a colon cannot be told by Basic (RFC 7617 2)";
	if (server->kind == PARENT_SOCKS4A && server->password.len)
		return "socks4a knows no password";
	if (server->kind == PARENT_SOCKS5 && server->user.len && server->password.len == 0)
		return "socks5 wants a password of at least one byte with a user (RFC 1929 2)";
	return NULL;
}

/* RFC 7617 2. */
static const char *make_authorization(struct parent_server *server, struct arena *arena)
{
	static const struct span basic = SPAN("Basic ");
	const struct span parts[] = {server->user, SPAN(":"), server->password};

	if (!parent_speaks_http(server) || server->user.len == 0)
		return NULL;
	struct span plain = arena_join(arena, parts, ARRAY_LENGTH(parts));
	char *text = arena_alloc(arena, basic.len + base64_length(plain.len));
	if (!plain.at || !text)
		return "out of memory";
	memcpy(text, basic.at, basic.len);
	base64_encode(plain, text + basic.len);
	server->authorization = span_make(text, basic.len + base64_length(plain.len));
	return NULL;
}

const char *parent_login_prepare(struct parent_server *server, struct arena *arena)
{
	const char *why = check_login(server);

	return why ? why : make_authorization(server, arena);
}

static void compile_server(struct compile *compile, struct parent_plan *plan, const struct setting_string *url)
{
	const struct parent_settings *settings = plan->settings;
	struct parent_server *server = &plan->servers[plan->count];
	const char *why = parent_url_parse(span_make(url->text, url->len), compile->arena, server);

	if (!why && server->user.len == 0) {
		server->user = credential(&settings->user);
		server->password = credential(&settings->password);
	}
	if (!why)
		why = parent_login_prepare(server, compile->arena);
	if (why) {
		/* The text may hold a password: it is not repeated. */
		diagnostics_error(compile->diagnostics, url->place, "\"servers\" of parent \"%.*s\": %s",
				  SPAN_ARG(plan->name), why);
		return;
	}
	server->peer_name = settings->tls.name.len ?
				    span_make(settings->tls.name.text, settings->tls.name.len) :
				    server->host;
	server->parent = (uint32_t)(plan - compile->plans->items);
	server->index = compile->plans->server_count;
	compile->plans->servers[compile->plans->server_count++] = server;
	plan->count++;
}

static void compile_servers(struct compile *compile, struct parent_plan *plan)
{
	const struct setting_strings *urls = &plan->settings->servers;

	if (urls->count == 0 && urls->place.line)
		diagnostics_error(compile->diagnostics, urls->place, "parent \"%.*s\" has no server",
				  SPAN_ARG(plan->name));
	if (urls->count > PARENT_SERVERS_MOST) {
		diagnostics_error(compile->diagnostics, urls->place, "parent \"%.*s\" has more than %d servers",
				  SPAN_ARG(plan->name), PARENT_SERVERS_MOST);
		return;
	}
	plan->servers = arena_zalloc(compile->arena, urls->count + 1, sizeof(*plan->servers));
	if (!plan->servers) {
		compile->out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < urls->count; i++)
		compile_server(compile, plan, &urls->items[i]);
}

static void compile_target(struct parent_plan *plan)
{
	struct span text = span_make(plan->settings->health.target.text, plan->settings->health.target.len);
	struct span host, port;
	uint64_t number = 0;

	if (text.len == 0 || plan->settings->health.place.line == 0)
		return;
	if (address_parse(text, &plan->target_address)) {
		plan->target_port = plan->target_address.port;
		return;
	}
	plan->target_address = (struct address){.family = ADDRESS_NONE};
	if (span_cut(text, ':', &host, &port) && span_to_u64(port, &number)) {
		plan->target = host;
		plan->target_port = (uint16_t)number;
	}
}

/* ---- rows of them ---- */

static void compile_via(struct compile *compile, struct parent_plan *plan)
{
	const struct setting_string *via = &plan->settings->via;
	const struct parent_plans *plans = compile->plans;
	struct span wanted = span_make(via->text, via->len);

	plan->via = PARENT_NONE;
	if (via->len == 0)
		return;
	for (uint32_t i = 0; i < plans->count; i++)
		if (span_equal(plans->items[i].name, wanted)) {
			plan->via = i;
			return;
		}
	const char *near = diagnostics_suggest(via->text, plans->names);
	diagnostics_error(compile->diagnostics, via->place, "\"via\": there is no parent \"%s\"%s%s%s",
			  via->text, near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static bool plan_is_secure(const struct parent_plan *plan)
{
	for (uint32_t i = 0; i < plan->count; i++)
		if (plan->servers[i].kind == PARENT_HTTPS)
			return true;
	return false;
}

/* Our TLS works on sockets, not on itself. */
static void check_secure(struct compile *compile, const struct parent_plan *plan)
{
	const struct parent_plan *hop = plan;

	for (uint32_t hops = 1; plan_is_secure(plan) && hop->via != PARENT_NONE && hops <= PARENT_HOPS_MOST;
	     hops++) {
		hop = &compile->plans->items[hop->via];
		if (!plan_is_secure(hop))
			continue;
		diagnostics_error(compile->diagnostics, plan->settings->via.place,
				  "\"via\": TLS to parent \"%.*s\" would go within TLS to parent \"%.*s\": only one "
				  "parent of a row can have https:// servers",
				  SPAN_ARG(plan->name), SPAN_ARG(hop->name));
		return;
	}
}

/* Follows it to the first hop: in a circle there is none. */
static void check_row(struct compile *compile, const struct parent_plan *plan)
{
	const struct parent_plans *plans = compile->plans;
	const struct parent_plan *hop = plan;
	uint32_t hops = 1;

	while (hop->via != PARENT_NONE && hops <= plans->count) {
		hop = &plans->items[hop->via];
		hops++;
		if (hop == plan) {
			diagnostics_error(compile->diagnostics, plan->settings->via.place,
					  "\"via\": parent \"%.*s\" would be reached through itself",
					  SPAN_ARG(plan->name));
			return;
		}
	}
	if (hops > plans->count)
		return;
	check_secure(compile, plan);
	if (hops > PARENT_HOPS_MOST)
		diagnostics_error(compile->diagnostics, plan->settings->via.place,
				  "\"via\": %u parents in a row are more than %d", hops, PARENT_HOPS_MOST);
}

static bool prepare(struct compile *compile, const struct setting_list *list)
{
	const struct parent_settings *settings = list->items;
	struct parent_plans *plans = compile->plans;
	size_t servers = 0;

	for (size_t i = 0; i < list->count; i++)
		servers += settings[i].servers.count;
	const char **names = arena_zalloc(compile->arena, list->count + 1, sizeof(*names));
	plans->items = arena_zalloc(compile->arena, list->count + 1, sizeof(*plans->items));
	plans->servers = arena_zalloc(compile->arena, servers + 1, sizeof(struct parent_server *));
	plans->names = names;
	if (!plans->items || !plans->servers || !names)
		return false;
	for (size_t i = 0; i < list->count; i++) {
		names[i] = settings[i].name.text;
		plans->items[i].settings = &settings[i];
		plans->items[i].name = span_make(settings[i].name.text, settings[i].name.len);
	}
	plans->count = (uint32_t)list->count;
	return true;
}

static void check_use(struct compile *compile, const struct parent_plan *plan)
{
	const struct parent_settings *settings = plan->settings;

	if (settings->tls.place.line && !plan_is_secure(plan) && plan->count == settings->servers.count)
		diagnostics_warning(compile->diagnostics, settings->tls.place,
				    "\"tls\" does nothing: no server of parent \"%.*s\" is https://",
				    SPAN_ARG(plan->name));
	if (settings->password.len && !settings->user.len)
		diagnostics_error(compile->diagnostics, settings->password.place,
				  "\"password\" needs \"user\": whose it is");
}

bool parents_compile(const struct setting_list *settings, struct arena *arena,
		     struct diagnostics *diagnostics, struct parent_plans *plans)
{
	struct compile compile = {.arena = arena, .diagnostics = diagnostics, .plans = plans};

	*plans = (struct parent_plans){0};
	if (!prepare(&compile, settings))
		return false;
	for (uint32_t i = 0; i < plans->count; i++) {
		compile_servers(&compile, &plans->items[i]);
		compile_target(&plans->items[i]);
		compile_via(&compile, &plans->items[i]);
		check_use(&compile, &plans->items[i]);
	}
	for (uint32_t i = 0; i < plans->count; i++)
		check_row(&compile, &plans->items[i]);
	return !compile.out_of_memory;
}

/* ---- for people ---- */

struct span parent_describe(const struct parent_plans *plans, uint32_t parent, struct arena *arena)
{
	struct span text = {(const uint8_t *)"", 0};

	if (parent == PARENT_DIRECT)
		return SPAN("direct");
	for (uint32_t hops = 0; parent != PARENT_NONE && hops < PARENT_HOPS_MOST && text.at; hops++) {
		const struct parent_plan *plan = &plans->items[parent];
		text = arena_format(arena, "%.*s%s%.*s (", SPAN_ARG(text), hops ? " via " : "",
				    SPAN_ARG(plan->name));
		for (uint32_t i = 0; i < plan->count && text.at; i++)
			text = arena_format(arena, "%.*s%s%.*s", SPAN_ARG(text), i ? ", " : "",
					    SPAN_ARG(plan->servers[i].text));
		if (text.at)
			text = arena_format(arena, "%.*s)", SPAN_ARG(text));
		parent = plan->via;
	}
	return text;
}
