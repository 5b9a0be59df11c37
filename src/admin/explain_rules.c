/*
 * What the rules of a forward listener make of a request: each of them up to the one that decides, with its conditions; and by which way it would go.
 */
#include "admin/explain_internal.h"
#include "route/rule_view.h"
#include "upstream/parent.h"

enum { RULES_SHOWN = 100 };

static const char *const holds_names[] = {
	[RULE_HOLDS_NOT] = "no", [RULE_HOLDS] = "yes", [RULE_HOLDS_UNKNOWN] = "unknown"};

/* What all of them make together. */
static enum rule_holds all_hold(const struct rule_condition *conditions, size_t count)
{
	enum rule_holds all = RULE_HOLDS;

	for (size_t i = 0; i < count; i++) {
		if (conditions[i].holds == RULE_HOLDS_NOT)
			return RULE_HOLDS_NOT;
		if (conditions[i].holds == RULE_HOLDS_UNKNOWN)
			all = RULE_HOLDS_UNKNOWN;
	}
	return all;
}

static void write_rule(struct json *json, const struct admin *admin, const struct rules *rules, size_t index,
		       const struct rule_query *query)
{
	struct rule_condition conditions[RULE_CONDITIONS];
	struct rule_view view;
	size_t count = 0;

	rules_at(rules, index, &view);
	if (!rules_explain(rules, index, query, json->arena, conditions, &count))
		json->failed = true;
	json_open(json, NULL, '{');
	json_put_number(json, "index", index);
	json_put_text(json, "name", view.name);
	explain_write_place(json, admin, "place", view.place);
	json_put_text(json, "action", view.allow ? SPAN("allow") : SPAN("deny"));
	json_put_text(json, "holds", span_of(holds_names[all_hold(conditions, count)]));
	json_open(json, "conditions", '[');
	for (size_t i = 0; i < count && !json->failed; i++) {
		json_open(json, NULL, '{');
		json_put_text(json, "what", span_of(conditions[i].what));
		json_put_text(json, "text", conditions[i].text);
		json_put_text(json, "holds", span_of(holds_names[conditions[i].holds]));
		json_close(json, '}');
	}
	json_close(json, ']');
	json_close(json, '}');
}

static void write_names(struct json *json, const char *key, const struct setting_strings *names)
{
	if (names->count == 0)
		return;
	json_open(json, key, '[');
	for (size_t i = 0; i < names->count; i++)
		json_put_text(json, NULL, explain_text(&names->items[i]));
	json_close(json, ']');
}

/* Each choice with its servers and what they are reached through. */
static void write_chains(struct json *json, const struct explain *explain, const struct rule_actions *actions)
{
	const struct parent_plans *plans = parents_plans(parents_of(explain->worker));

	if (!actions || actions->parent_count == 0)
		return;
	json_open(json, "chains", '[');
	for (uint32_t i = 0; i < actions->parent_count && !json->failed; i++) {
		struct span text = parent_describe(plans, actions->parents[i], json->arena);
		json->failed = json->failed || !text.at;
		json_put_text(json, NULL, text);
	}
	json_close(json, ']');
}

/* By which way what the rule allows goes: where it says so. */
static void write_way(struct json *json, const struct explain *explain, const struct rules *rules, size_t index)
{
	struct rule_view view;

	rules_at(rules, index, &view);
	if (!view.allow)
		return;
	json_open(json, "way", '{');
	write_names(json, "proxy", &view.settings->proxy);
	write_chains(json, explain, explain->verdict.verdict.actions);
	if (view.settings->exit.len)
		json_put_text(json, "exit", explain_text(&view.settings->exit));
	if (view.settings->allowance.len)
		json_put_text(json, "allowance", explain_text(&view.settings->allowance));
	write_names(json, "secrets", &view.settings->secrets);
	json_close(json, '}');
}

static void write_guard(struct json *json, const struct explain *explain)
{
	if (!explain->guarded) {
		json_put_null(json, "guard"); /* judges addresses, and there is a name yet */
		return;
	}
	json_open(json, "guard", '{');
	json_put_bool(json, "allow", explain->verdict.outcome == GUARD_ALLOW);
	if (explain->verdict.text[0] && explain->verdict.outcome != GUARD_RULE)
		json_put_text(json, "why", span_of(explain->verdict.text));
	json_close(json, '}');
}

void explain_write_rules(struct json *json, const struct admin *admin, const struct explain *explain)
{
	static const char *const outcomes[] = {
		[VERDICT_DENY] = "deny", [VERDICT_ALLOW] = "allow", [VERDICT_NEEDS_ADDRESS] = "needs_address"};
	static const char *const reasons[] = {[VERDICT_BY_RULE] = "rule",
					      [VERDICT_BY_DEFAULT] = "default",
					      [VERDICT_BY_SOURCE] = "sources",
					      [VERDICT_BY_EFFORT] = "effort"};
	const struct verdict *verdict = &explain->verdict.verdict;
	const struct rules *rules = explain->listener->rules;
	size_t shown = size_min(rules_count(rules), RULES_SHOWN);
	struct address literal;
	struct rule_query query = explain_query(explain, &literal);

	json_open(json, "rules", '{');
	json_put_text(json, "verdict", span_of(outcomes[verdict->outcome]));
	json_put_text(json, "by", span_of(reasons[verdict->reason]));
	if (verdict->rule != VERDICT_NO_RULE) {
		json_put_number(json, "index", (uint64_t)verdict->rule);
		json_put_text(json, "name", verdict->name);
		explain_write_place(json, admin, "place", verdict->place);
		write_way(json, explain, rules, (size_t)verdict->rule);
		shown = size_min(shown, (size_t)verdict->rule + 1);
	}
	json_open(json, "tried", '[');
	for (size_t i = 0; i < shown && verdict->reason != VERDICT_BY_SOURCE && !json->failed; i++)
		write_rule(json, admin, rules, i, &query);
	json_close(json, ']');
	json_close(json, '}');
	write_guard(json, explain);
}
