/*
 * Forward rules: compiled with the snapshot, judged on any thread.
 */
#include "route/rule.h"

#include "http/field.h"
#include "route/domain.h"

static const struct rule_actions no_actions = {.exit = RULE_NONE, .allowance = RULE_NONE};

struct port_range {
	uint16_t first, last;
};

struct network_list {
	struct network *items;
	size_t count;
};

/* One rule. A condition without members is not given, and holds. */
struct rule {
	bool allow;
	struct setting_place place;
	struct span name;
	struct rule_actions actions;
	struct domain_set domains;
	struct network_list addresses, sources;
	struct port_range *ports;
	size_t port_count;
	struct span *methods;
	size_t method_count;
};

struct rules {
	struct rule *items;
	size_t count;
	bool any_allow;
	struct network_list sources; /* of the listener */
};

const char *rule_ports_parse(struct span text, uint16_t *first, uint16_t *last)
{
	static const char wrong[] = "not a port (1 to 65535) or a range of ports (\"6000-6100\")";
	struct span before, after;
	uint64_t low, high;

	if (!span_cut(text, '-', &before, &after))
		after = before;
	if (!span_to_u64(before, &low) || !span_to_u64(after, &high))
		return wrong;
	if (low < 1 || low > 65535 || high > 65535)
		return wrong;
	if (low > high)
		return "a range of ports begins with the lower one";
	*first = (uint16_t)low;
	*last = (uint16_t)high;
	return NULL;
}

static bool compile_networks(const struct setting_strings *given, struct arena *arena,
			     struct diagnostics *diagnostics, struct network_list *list)
{
	bool good = true;

	list->items = arena_zalloc(arena, given->count, sizeof(*list->items));
	if (!list->items) {
		diagnostics_error(diagnostics, given->place, "out of memory");
		return false;
	}
	for (size_t i = 0; i < given->count; i++) {
		const struct setting_string *item = &given->items[i];

		if (network_parse(span_make(item->text, item->len), &list->items[list->count])) {
			list->count++;
			continue;
		}
		diagnostics_error(diagnostics, item->place, "\"%s\" is not an address or network", item->text);
		good = false;
	}
	return good;
}

static bool compile_domains(const struct setting_strings *given, struct arena *arena,
			    struct diagnostics *diagnostics, struct rule *rule)
{
	bool good = true;

	for (size_t i = 0; i < given->count; i++) {
		const struct setting_string *item = &given->items[i];
		struct domain_pattern pattern;
		const char *wrong = domain_pattern_parse(span_make(item->text, item->len), arena, &pattern);

		if (!wrong && pattern.literal)
			diagnostics_warning(
				diagnostics, item->place,
				"domain \"%s\" is an address: it holds only where that is what is asked for, and opens "
				"nothing; \"addresses\" names addresses",
				item->text);
		if (!wrong && !domain_set_add(&rule->domains, &pattern))
			wrong = "out of memory";
		if (wrong) {
			diagnostics_error(diagnostics, item->place, "domain \"%s\": %s", item->text, wrong);
			good = false;
		}
	}
	return good;
}

static bool compile_ports(const struct setting_strings *given, struct arena *arena,
			  struct diagnostics *diagnostics, struct rule *rule)
{
	bool good = true;

	rule->ports = arena_zalloc(arena, given->count, sizeof(*rule->ports));
	if (!rule->ports) {
		diagnostics_error(diagnostics, given->place, "out of memory");
		return false;
	}
	for (size_t i = 0; i < given->count; i++) {
		const struct setting_string *item = &given->items[i];
		struct port_range *range = &rule->ports[rule->port_count];
		const char *wrong =
			rule_ports_parse(span_make(item->text, item->len), &range->first, &range->last);

		if (!wrong) {
			rule->port_count++;
			continue;
		}
		diagnostics_error(diagnostics, item->place, "port \"%s\": %s", item->text, wrong);
		good = false;
	}
	return good;
}

static bool compile_methods(const struct setting_strings *given, struct arena *arena,
			    struct diagnostics *diagnostics, struct rule *rule)
{
	bool good = true;

	rule->methods = arena_zalloc(arena, given->count, sizeof(*rule->methods));
	if (!rule->methods) {
		diagnostics_error(diagnostics, given->place, "out of memory");
		return false;
	}
	for (size_t i = 0; i < given->count; i++) {
		const struct setting_string *item = &given->items[i];

		rule->methods[rule->method_count] = span_make(item->text, item->len);
		if (http_is_token(rule->methods[rule->method_count])) {
			rule->method_count++;
			continue;
		}
		diagnostics_error(diagnostics, item->place, "method \"%s\" is not a token", item->text);
		good = false;
	}
	return good;
}

static bool compile_rule(const struct rule_settings *settings, unsigned index, struct arena *arena,
			 struct diagnostics *diagnostics, struct rule *rule)
{
	bool allow = settings->allow_place.line != 0, deny = settings->deny_place.line != 0, good;
	const struct rule_match_settings *match = allow ? &settings->allow : &settings->deny;

	rule->allow = allow;
	rule->place = settings->place;
	if (allow == deny) {
		diagnostics_error(diagnostics, settings->place, "a rule has either \"allow\" or \"deny\"");
		return false;
	}
	rule->actions = no_actions;
	rule->name = arena_format(arena, "rule %u (line %u)", index + 1, settings->place.line);
	if (!rule->name.at) {
		diagnostics_error(diagnostics, settings->place, "out of memory");
		return false;
	}
	good = compile_domains(&match->domains, arena, diagnostics, rule);
	good = compile_networks(&match->addresses, arena, diagnostics, &rule->addresses) && good;
	good = compile_networks(&match->sources, arena, diagnostics, &rule->sources) && good;
	good = compile_ports(&match->ports, arena, diagnostics, rule) && good;
	return compile_methods(&match->methods, arena, diagnostics, rule) && good;
}

struct rules *rules_compile(const struct forward_settings *settings, struct arena *arena,
			    struct diagnostics *diagnostics)
{
	const struct rule_settings *items = settings->rules.items;
	struct rules *rules = arena_zalloc(arena, 1, sizeof(*rules));
	bool good;

	if (rules)
		rules->items = arena_zalloc(arena, settings->rules.count, sizeof(*rules->items));
	if (!rules || !rules->items) {
		diagnostics_error(diagnostics, settings->place, "out of memory");
		return NULL;
	}
	rules->count = settings->rules.count;
	for (size_t i = 0; i < rules->count; i++)
		domain_set_init(&rules->items[i].domains, arena->memory);
	good = compile_networks(&settings->sources, arena, diagnostics, &rules->sources);
	for (size_t i = 0; i < rules->count; i++) {
		good = compile_rule(&items[i], (unsigned)i, arena, diagnostics, &rules->items[i]) && good;
		rules->any_allow = rules->any_allow || rules->items[i].allow;
	}
	if (good)
		return rules;
	rules_free(rules);
	return NULL;
}

void rules_free(struct rules *rules)
{
	for (size_t i = 0; rules && i < rules->count; i++)
		domain_set_fini(&rules->items[i].domains);
}

static bool contains(const struct network_list *list, const struct address *address)
{
	for (size_t i = 0; address && i < list->count; i++) {
		if (network_contains(&list->items[i], address))
			return true;
	}
	return false;
}

static bool port_matches(const struct rule *rule, uint16_t port)
{
	for (size_t i = 0; i < rule->port_count; i++) {
		if (port >= rule->ports[i].first && port <= rule->ports[i].last)
			return true;
	}
	return rule->port_count == 0;
}

static bool method_matches(const struct rule *rule, struct span method)
{
	for (size_t i = 0; i < rule->method_count; i++) {
		if (span_equal(rule->methods[i], method))
			return true;
	}
	return rule->method_count == 0;
}

enum rule_answer { RULE_NO, RULE_YES, RULE_UNKNOWN };

/* UNKNOWN: all holds but the address, which is not known yet. */
static enum rule_answer rule_matches(const struct rule *rule, const struct rule_query *query)
{
	if (!port_matches(rule, query->port) || !method_matches(rule, query->method))
		return RULE_NO;
	if (rule->sources.count > 0 && !contains(&rule->sources, query->source))
		return RULE_NO;
	if (rule->domains.names.count > 0 && !domain_set_has(&rule->domains, query->host))
		return RULE_NO;
	if (rule->addresses.count == 0)
		return RULE_YES;
	if (!query->address)
		return RULE_UNKNOWN;
	return contains(&rule->addresses, query->address) ? RULE_YES : RULE_NO;
}

bool rules_source_allowed(const struct rules *rules, const struct address *source)
{
	/* Who may open a unix socket is what its file's permissions say. */
	if (rules->sources.count == 0 || (source && source->family == ADDRESS_UNIX))
		return true;
	return contains(&rules->sources, source);
}

struct verdict rules_judge(const struct rules *rules, const struct rule_query *query)
{
	struct verdict verdict = {
		.outcome = rules->any_allow ? VERDICT_DENY : VERDICT_ALLOW,
		.reason = VERDICT_BY_DEFAULT,
		.rule = VERDICT_NO_RULE,
		.actions = &no_actions,
	};
	bool maybe_allow = false, maybe_deny = false;

	if (!rules_source_allowed(rules, query->source))
		return (struct verdict){
			.outcome = VERDICT_DENY, .reason = VERDICT_BY_SOURCE, .rule = VERDICT_NO_RULE};
	for (size_t i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->items[i];
		enum rule_answer answer = rule_matches(rule, query);

		if (answer == RULE_UNKNOWN) {
			maybe_allow = maybe_allow || rule->allow;
			maybe_deny = maybe_deny || !rule->allow;
		}
		if (answer != RULE_YES)
			continue;
		verdict = (struct verdict){
			.outcome = rule->allow ? VERDICT_ALLOW : VERDICT_DENY,
			.reason = VERDICT_BY_RULE,
			.rule = (int)i,
			.place = rule->place,
			.name = rule->name,
			.actions = &rule->actions,
			.by_address = rule->allow && rule->addresses.count > 0,
			.by_method = rule->allow && rule->method_count > 0,
		};
		break;
	}
	if ((verdict.outcome == VERDICT_ALLOW && maybe_deny) ||
	    (verdict.outcome == VERDICT_DENY && maybe_allow))
		return (struct verdict){.outcome = VERDICT_NEEDS_ADDRESS, .rule = VERDICT_NO_RULE};
	return verdict;
}

/* A list that holds every address limits nothing. */
static bool limits(const struct network_list *sources)
{
	for (size_t i = 0; i < sources->count; i++) {
		if (sources->items[i].prefix == 0)
			return false;
	}
	return sources->count > 0;
}

bool rules_listener_exposed(const struct rules *rules, const struct address *listen)
{
	struct address address = address_unmap(listen);
	bool limited = rules->any_allow;

	if (address.family == ADDRESS_UNIX || (address.family == ADDRESS_V4 && address.ip[0] == 127))
		return false;
	if (address.family == ADDRESS_V6 && memcmp(address.ip, &in6addr_loopback, sizeof(address.ip)) == 0)
		return false;
	if (limits(&rules->sources))
		return false;
	for (size_t i = 0; i < rules->count; i++) {
		if (rules->items[i].allow && !limits(&rules->items[i].sources))
			limited = false;
	}
	return !limited;
}
