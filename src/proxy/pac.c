/*
 * From rules to a script. See pac.h. Whatever of the configuration gets into the script is text in quotes, in which everything but letters, digits and a
 * few signs is escaped. The script is plain enough for engines that know ECMAScript 3.
 */
#include "proxy/pac.h"

#include "http/target.h"

#include <stdio.h>

enum { SCRIPT_FIRST = 4096, ADDRESS_MOST = 300 };

struct pac {
	struct span address; /* empty: as browsers ask */
	struct span rules;   /* the part of the script that they make */
};

/* A script in the making, of at most PAC_MOST bytes. */
struct script {
	struct arena *arena;
	uint8_t *at;
	size_t len, room;
	bool failed, full;
};

/* ---- writing ---- */

static bool script_grow(struct script *script, size_t more)
{
	size_t room = script->room ? script->room : SCRIPT_FIRST;

	if (script->len + more > PAC_MOST)
		script->full = true;
	if (script->full || script->failed)
		return false;
	while (room < script->len + more)
		room *= 2;
	if (room == script->room)
		return true;
	uint8_t *larger = arena_alloc(script->arena, room);
	if (!larger) {
		script->failed = true;
		return false;
	}
	if (script->len)
		memcpy(larger, script->at, script->len);
	script->at = larger;
	script->room = room;
	return true;
}

static void script_add(struct script *script, struct span text)
{
	if (!script_grow(script, text.len))
		return;
	memcpy(script->at + script->len, text.at, text.len);
	script->len += text.len;
}

static bool is_plain(uint8_t byte)
{
	return ascii_is_alpha(byte) || ascii_is_digit(byte) ||
	       memchr(".-_:/*; ", byte, sizeof(".-_:/*; ") - 1) != NULL;
}

static void script_string(struct script *script, struct span text)
{
	static const char hex[] = "0123456789abcdef";

	script_add(script, SPAN("\""));
	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.at[i];
		const char escape[] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
		if (is_plain(byte))
			script_add(script, span_make(&byte, 1));
		else
			script_add(script, span_make(escape, sizeof(escape)));
	}
	script_add(script, SPAN("\""));
}

static void script_number(struct script *script, unsigned number)
{
	char text[16];
	size_t at = sizeof(text);

	do
		text[--at] = (char)('0' + number % 10);
	while (number /= 10);
	script_add(script, span_make(text + at, sizeof(text) - at));
}

/* "," between members, and what the condition is called before the first */
static void script_begin(struct script *script, bool first, struct span name)
{
	script_add(script, first ? name : SPAN(", "));
}

/* ---- conditions ---- */

static void add_pattern(struct script *script, const struct domain_pattern *pattern)
{
	uint8_t text[DOMAIN_MAX + 2];
	size_t len = 0;

	if (pattern->reach == DOMAIN_BELOW)
		text[len++] = '*';
	if (pattern->reach != DOMAIN_EXACT)
		text[len++] = '.';
	size_t rest = size_min(pattern->name.len, DOMAIN_MAX);
	memcpy(text + len, pattern->name.at, rest);
	script_string(script, span_make(text, len + rest));
}

/* `named([...])`. True: there are any. */
static bool add_domains(struct script *script, const struct domain_pattern *patterns, size_t count)
{
	bool first = true;

	for (size_t i = 0; i < count; i++) {
		if (patterns[i].literal)
			continue;
		script_begin(script, first, SPAN("named(["));
		add_pattern(script, &patterns[i]);
		first = false;
	}
	if (!first)
		script_add(script, SPAN("])"));
	return !first;
}

static void add_network(struct script *script, const struct network *network)
{
	char text[ADDRESS_TEXT + 8];
	size_t len = address_format_ip(&network->address, text);

	len += (size_t)snprintf(text + len, 8, "/%u", network->prefix);
	script_string(script, span_make(text, len));
}

static bool add_networks(struct script *script, const struct network *networks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		script_begin(script, i == 0, SPAN("within(["));
		add_network(script, &networks[i]);
	}
	if (count)
		script_add(script, SPAN("])"));
	return count > 0;
}

static bool add_ports(struct script *script, const struct port_list *ports)
{
	for (size_t i = 0; i < ports->count; i++) {
		script_begin(script, i == 0, SPAN("on([["));
		if (i > 0)
			script_add(script, SPAN("["));
		script_number(script, ports->items[i].first);
		script_add(script, SPAN(", "));
		script_number(script, ports->items[i].last);
		script_add(script, SPAN("]"));
	}
	if (ports->count)
		script_add(script, SPAN("])"));
	return ports->count > 0;
}

/* What a browser asks a proxy for in each of the schemes of a rule; the others it never does. */
static bool add_schemes(struct script *script, unsigned schemes)
{
	if (schemes == 0)
		return false;
	script_add(script, SPAN("by(["));
	if (schemes & 1u << RULE_HTTP)
		script_add(script, SPAN("\"http\""));
	if (schemes & 1u << RULE_HTTP && schemes & 1u << RULE_TUNNEL)
		script_add(script, SPAN(", "));
	if (schemes & 1u << RULE_TUNNEL)
		script_add(script, SPAN("\"https\", \"wss\", \"ws\""));
	script_add(script, SPAN("])"));
	return true;
}

static void add_and(struct script *script, bool *any)
{
	if (*any)
		script_add(script, SPAN(" && "));
	*any = true;
}

/* ---- rules ---- */

/*
 * What only inside networks have is opened by a rule that names it, as with the egress guard; a rule that names no target says nothing of it.
 */
static void add_rule(struct script *script, const struct rule_view *view)
{
	bool names = view->domain_count > 0 || view->addresses->count > 0,
	     direct = view->pac == RULE_PAC_DIRECT;
	bool any = false;

	script_add(script, SPAN("\tif ("));
	if (view->domain_count) {
		any = add_domains(script, view->domains, view->domain_count);
		if (!any) { /* addresses alone, which domains are never compared with */
			script_add(script, SPAN("false"));
			any = true;
		}
	}
	if (view->addresses->count) {
		add_and(script, &any);
		add_networks(script, view->addresses->items, view->addresses->count);
	}
	if (view->ports->count) {
		add_and(script, &any);
		add_ports(script, view->ports);
	}
	if (view->schemes) {
		add_and(script, &any);
		add_schemes(script, view->schemes);
	}
	if (!names && !direct) {
		add_and(script, &any);
		script_add(script, SPAN("!inside"));
	}
	if (!any)
		script_add(script, SPAN("true"));
	script_add(script, direct ? SPAN(") return direct;\n") : SPAN(") return via;\n"));
}

static void add_rules(struct script *script, const struct rules *rules, struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < rules_count(rules); i++) {
		size_t before = script->len;
		struct rule_view view;

		rules_at(rules, i, &view);
		if (view.others) {
			if (view.pac == RULE_PAC_DIRECT)
				diagnostics_warning(
					diagnostics, view.place,
					"browsers cannot judge all conditions of this rule: with the proxy.pac they go "
					"through the proxy, in spite of \"pac: direct\"");
			continue;
		}
		add_rule(script, &view);
		if (!script->full)
			continue;
		diagnostics_warning(
			diagnostics, view.place,
			"there is no room for this rule in a proxy.pac, which has 1 MiB at most: it is passed over");
		script->len = before;
		script->full = false;
	}
}

/* ---- settings ---- */

static void add_direct(struct script *script, const struct setting_strings *direct,
		       struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < direct->count; i++) {
		const struct setting_string *item = &direct->items[i];
		struct span text = span_make(item->text, item->len);
		struct domain_pattern pattern;
		struct network network;

		script_add(script, SPAN("\tif ("));
		if (network_parse(text, &network)) {
			add_networks(script, &network, 1);
		} else {
			const char *why = domain_pattern_parse(text, script->arena, &pattern);
			if (why) {
				diagnostics_error(
					diagnostics, item->place,
					"\"direct\" cannot be \"%s\": it is no network, and no pattern of names: %s",
					item->text, why);
				return;
			}
			add_domains(script, &pattern, 1);
		}
		script_add(script, SPAN(") return direct;\n"));
	}
	if (script->full)
		diagnostics_error(diagnostics, direct->place,
				  "\"direct\" has more than a proxy.pac can hold, which has 1 MiB at most");
}

static bool read_address(struct pac *pac, const struct setting_string *address, struct arena *arena,
			 struct diagnostics *diagnostics)
{
	struct http_authority authority = {0};
	struct error error = ERROR_OK;
	struct span text = span_make(address->text, address->len);

	if (address->len == 0)
		return true;
	if (address->len <= ADDRESS_MOST && http_authority_parse(text, arena, &authority, &error) &&
	    authority.port) {
		pac->address = text;
		return true;
	}
	diagnostics_error(
		diagnostics, address->place,
		"\"address\" cannot be \"%s\": expected a host and a port, as in proxy.shop.example:3128",
		address->text);
	return false;
}

struct pac *pac_compile(const struct pac_settings *settings, const struct rules *rules, struct arena *arena,
			struct diagnostics *diagnostics)
{
	struct pac *pac = arena_zalloc(arena, 1, sizeof(*pac));
	struct script script = {.arena = arena};
	unsigned before = diagnostics->errors;

	if (pac && read_address(pac, &settings->address, arena, diagnostics)) {
		script_add(&script, SPAN(""));
		add_direct(&script, &settings->direct, diagnostics);
		add_rules(&script, rules, diagnostics);
	}
	if (diagnostics->errors > before)
		return NULL;
	if (!pac || script.failed) {
		diagnostics_error(diagnostics, settings->place, "out of memory");
		return NULL;
	}
	pac->rules = span_make(script.at, script.len);
	return pac;
}

struct span pac_address(const struct pac *pac)
{
	return pac->address;
}

/* ---- the script ---- */

static const char script_before[] =
	"	var direct = \"DIRECT\", scheme = url.substring(0, url.indexOf(\":\")).toLowerCase();\n"
	"	var port = /:(\\d+)$/.exec(url.substring(scheme.length + 3).split(/[\\/?#]/)[0]);\n"
	"	port = port ? Number(port[1]) : scheme == \"https\" || scheme == \"wss\" ? 443 : scheme == \"ftp\" ? 21 : 80;\n"
	"	host = host.toLowerCase().replace(/^\\[/, \"\").replace(/[\\].]$/, \"\");\n"
	"\n"
	"	// Eight numbers of 16 bits, IPv4 as IPv6 has it mapped; null: a name.\n"
	"	function address(text) {\n"
	"		var four = /^(.*:)?(\\d{1,3})\\.(\\d{1,3})\\.(\\d{1,3})\\.(\\d{1,3})$/.exec(text), words = [], halves, ends, i;\n"
	"		if (four) text = (four[1] || \"::ffff:\") + (four[2] * 256 + Number(four[3])).toString(16) + \":\" +\n"
	"			(four[4] * 256 + Number(four[5])).toString(16);\n"
	"		if (text.indexOf(\":\") < 0) return null;\n"
	"		halves = text.split(\"::\");\n"
	"		ends = halves.length > 1 && halves[1] ? halves[1].split(\":\") : [];\n"
	"		if (halves[0]) words = halves[0].split(\":\");\n"
	"		while (words.length + ends.length < 8) words.push(\"0\");\n"
	"		words = words.concat(ends);\n"
	"		for (i = 0; i < 8; i++) words[i] = parseInt(words[i], 16);\n"
	"		return words;\n"
	"	}\n"
	"	var literal = address(host);\n"
	"	function within(networks) {\n"
	"		for (var i = 0; literal && i < networks.length; i++) {\n"
	"			var parts = networks[i].split(\"/\"), words = address(parts[0]), same = true;\n"
	"			var bits = Number(parts[1]) + (parts[0].indexOf(\":\") < 0 ? 96 : 0);\n"
	"			for (var j = 0; j < 8 && bits > 0; j++, bits -= 16)\n"
	"				if (bits >= 16 ? words[j] != literal[j] : words[j] >> 16 - bits != literal[j] >> 16 - bits) same = false;\n"
	"			if (same) return true;\n"
	"		}\n"
	"		return false;\n"
	"	}\n"
	"	function ends(suffix) {\n"
	"		return host.length > suffix.length && host.substring(host.length - suffix.length) == suffix;\n"
	"	}\n"
	"	function named(patterns) {\n"
	"		for (var i = 0; !literal && i < patterns.length; i++) {\n"
	"			var pattern = patterns[i], first = pattern.charAt(0);\n"
	"			if (first == \"*\" ? ends(pattern.substring(1)) :\n"
	"			    first == \".\" ? ends(pattern) || host == pattern.substring(1) : host == pattern) return true;\n"
	"		}\n"
	"		return false;\n"
	"	}\n"
	"	function on(ports) {\n"
	"		for (var i = 0; i < ports.length; i++) if (port >= ports[i][0] && port <= ports[i][1]) return true;\n"
	"		return false;\n"
	"	}\n"
	"	function by(schemes) {\n"
	"		for (var i = 0; i < schemes.length; i++) if (scheme == schemes[i]) return true;\n"
	"		return false;\n"
	"	}\n"
	"	var inside = literal ? within([\"0.0.0.0/8\", \"10.0.0.0/8\", \"100.64.0.0/10\", \"127.0.0.0/8\", \"169.254.0.0/16\",\n"
	"		\"172.16.0.0/12\", \"192.168.0.0/16\", \"::1/128\", \"fc00::/7\", \"fe80::/10\"]) :\n"
	"		host.indexOf(\".\") < 0 || named([\"*.localhost\", \"*.local\", \"*.internal\", \".home.arpa\"]);\n"
	"\n";

static const char script_after[] = "	return inside ? direct : via;\n"
				   "}\n";

struct span pac_script(const struct pac *pac, struct span address, bool tls, bool socks, struct arena *arena)
{
	char via[2 * ADDRESS_MOST + 32];
	struct script quoted = {.arena = arena};

	address.len = size_min(address.len, ADDRESS_MOST);
	int len = snprintf(via, sizeof(via), "%s %.*s", tls ? "HTTPS" : "PROXY", SPAN_ARG(address));
	if (socks && !tls)
		len += snprintf(via + len, sizeof(via) - (size_t)len, "; SOCKS5 %.*s", SPAN_ARG(address));
	script_string(&quoted, span_make(via, (size_t)len));
	if (quoted.failed)
		return (struct span){0};
	const struct span parts[] = {
		SPAN("// Made by Guise from the rules of one of its listeners.\n"
		     "function FindProxyForURL(url, host) {\n\tvar via = "),
		span_make(quoted.at, quoted.len),
		SPAN(";\n"),
		span_make(script_before, sizeof(script_before) - 1),
		pac->rules,
		span_make(script_after, sizeof(script_after) - 1),
	};
	return arena_join(arena, parts, ARRAY_LENGTH(parts));
}
