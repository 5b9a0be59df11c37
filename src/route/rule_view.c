/*
 * See rule_view.h. Pure.
 */
#include "route/rule_internal.h"

size_t rules_count(const struct rules *rules)
{
	return rules->count;
}

void rules_at(const struct rules *rules, size_t index, struct rule_view *view)
{
	const struct rule *rule = &rules->items[index];

	*view = (struct rule_view){
		.allow = rule->allow,
		.place = rule->settings->place,
		.name = rule->name,
		.settings = rule->settings,
		.pac = (enum rule_pac)rule->settings->pac,
		.actions = rule->actions,
		.domains = rule->domains.patterns,
		.domain_count = rule->domains.pattern_count,
		.addresses = &rule->addresses,
		.ports = &rule->ports,
		.schemes = rule->schemes,
		.others = rule->users.count || rule->groups.count || rule->sources.count ||
			  rule->domains.glob_count || rule->regex.count || rule->lists.count ||
			  rule->methods.count || rule->times.count || rule->listeners.count,
	};
}

/* ---- why ---- */

struct explaining {
	struct arena *arena;
	struct rule_condition *conditions;
	size_t count;
	bool failed;
};

enum { MEMBERS_SHOWN = 8 };

/* "a, b", as it was written; of long ones the first. */
static void note(struct explaining *explaining, const char *what, const struct setting_strings *given,
		 enum rule_holds holds)
{
	struct span text = SPAN("");

	if (given->count == 0)
		return;
	for (size_t i = 0; i < size_min(given->count, MEMBERS_SHOWN) && text.at; i++)
		text = arena_format(explaining->arena, "%.*s%s%s", SPAN_ARG(text), i ? ", " : "",
				    given->items[i].text);
	if (text.at && given->count > MEMBERS_SHOWN)
		text = arena_format(explaining->arena, "%.*s and %zu more", SPAN_ARG(text),
				    given->count - MEMBERS_SHOWN);
	explaining->failed = explaining->failed || !text.at;
	explaining->conditions[explaining->count++] = (struct rule_condition){what, text, holds};
}

bool rules_explain(const struct rules *rules, size_t index, const struct rule_query *query,
		   struct arena *arena, struct rule_condition conditions[RULE_CONDITIONS], size_t *count)
{
	struct explaining explaining = {.arena = arena, .conditions = conditions};
	const struct rule *rule = &rules->items[index];
	const struct rule_match_settings *match = rule->match;
	struct rule_judge judge;

	rule_judge_start(&judge, rules, query);
	note(&explaining, "users", &match->users, rule_users_hold(rule, query));
	note(&explaining, "groups", &match->groups, rule_groups_hold(rule, query));
	note(&explaining, "sources", &match->sources, rule_sources_hold(rule, query));
	note(&explaining, "domains", &match->domains, rule_domains_hold(rule, &judge));
	note(&explaining, "regex", &match->regex, rule_regex_holds(rule, &judge));
	note(&explaining, "lists", &match->lists, rule_lists_hold(rule, &judge));
	note(&explaining, "addresses", &match->addresses, rule_addresses_hold(rule, query));
	note(&explaining, "ports", &match->ports, rule_ports_hold(rule, query));
	note(&explaining, "methods", &match->methods, rule_methods_hold(rule, query));
	note(&explaining, "schemes", &match->schemes, rule_schemes_hold(rule, query));
	note(&explaining, "times", &match->times, rule_times_hold(rule, &judge));
	note(&explaining, "listeners", &match->listeners, rule_listeners_hold(rule, query));
	*count = explaining.count;
	return !explaining.failed;
}
