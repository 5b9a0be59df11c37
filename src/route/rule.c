/*
 * Forward rules, judged: on any thread, without waiting for anything.
 */
#include "route/rule_internal.h"

#include <stdio.h>

static const char *const scheme_names[] = {
	[RULE_HTTP] = "http",   [RULE_HTTPS] = "https", [RULE_TUNNEL] = "tunnel",
	[RULE_SOCKS] = "socks", [RULE_UDP] = "udp",
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

bool rule_scheme_parse(struct span text, enum rule_scheme *scheme)
{
	for (size_t i = 0; i < ARRAY_LENGTH(scheme_names); i++) {
		if (!span_equal(text, span_of(scheme_names[i])))
			continue;
		*scheme = (enum rule_scheme)i;
		return true;
	}
	return false;
}

/* ---- one condition ---- */

static enum rule_holds holds_if(bool holds)
{
	return holds ? RULE_HOLDS : RULE_HOLDS_NOT;
}

static bool has_address(const struct network_list *list, const struct address *address)
{
	for (size_t i = 0; address && i < list->count; i++) {
		if (network_contains(&list->items[i], address))
			return true;
	}
	return false;
}

static bool has_word(const struct word_list *words, struct span word)
{
	for (size_t i = 0; i < words->count; i++) {
		if (span_equal(words->items[i], word))
			return true;
	}
	return false;
}

enum rule_holds rule_users_hold(const struct rule *rule, const struct rule_query *query)
{
	return holds_if(rule->users.count == 0 || (query->user.len && has_word(&rule->users, query->user)));
}

enum rule_holds rule_groups_hold(const struct rule *rule, const struct rule_query *query)
{
	if (rule->groups.count == 0)
		return RULE_HOLDS;
	for (size_t i = 0; query->in_group && query->user.len && i < rule->groups.count; i++) {
		if (query->in_group(query->accounts, query->user, rule->groups.items[i]))
			return RULE_HOLDS;
	}
	return RULE_HOLDS_NOT;
}

enum rule_holds rule_sources_hold(const struct rule *rule, const struct rule_query *query)
{
	return holds_if(rule->sources.count == 0 || has_address(&rule->sources, query->source));
}

enum rule_holds rule_domains_hold(const struct rule *rule, const struct rule_judge *judge)
{
	const struct rule_domains *domains = &rule->domains;

	if (domains->pattern_count == 0 && domains->glob_count == 0)
		return RULE_HOLDS;
	if (judge->host.labels ? domain_set_has(&domains->set, host_name_text(&judge->host)) :
				 domain_set_has_exactly(&domains->set, host_name_text(&judge->host)))
		return RULE_HOLDS;
	for (size_t i = 0; i < domains->glob_count; i++) {
		if (domain_glob_has(&domains->globs[i], &judge->host))
			return RULE_HOLDS;
	}
	return RULE_HOLDS_NOT;
}

/* What the match needs of memory is here, and from the heap only where the pattern is one that the interpreter has to help with. */
enum rule_holds rule_regex_holds(const struct rule *rule, struct rule_judge *judge)
{
	uint8_t room[768];
	struct arena arena;
	struct pattern_scratch scratch = {.arena = &arena};
	enum pattern_result result = PATTERN_NO;

	if (rule->regex.count == 0)
		return RULE_HOLDS;
	if (judge->host.len == 0)
		return RULE_HOLDS_NOT;
	arena_init(&arena, judge->rules->memory, NULL, room, sizeof(room));
	for (size_t i = 0; i < rule->regex.count && result == PATTERN_NO; i++)
		result = pattern_match(rule->regex.items[i], host_name_text(&judge->host), &scratch, NULL);
	arena_fini(&arena);
	judge->gave_up = result == PATTERN_LIMIT || result == PATTERN_MEMORY;
	return holds_if(result == PATTERN_YES);
}

enum rule_holds rule_lists_hold(const struct rule *rule, struct rule_judge *judge)
{
	const struct address *address = judge->query->address;
	enum rule_holds holds = RULE_HOLDS_NOT;

	if (rule->lists.count == 0)
		return RULE_HOLDS;
	for (size_t i = 0; i < rule->lists.count; i++) {
		const struct domain_list *table = list_table(rule->lists.items[i]);

		if (domain_list_has_name(table, &judge->host) ||
		    (address && domain_list_has_address(table, address))) {
			judge->list = rule->lists.items[i];
			return RULE_HOLDS;
		}
		if (!address && domain_list_has_networks(table))
			holds = RULE_HOLDS_UNKNOWN;
	}
	return holds;
}

enum rule_holds rule_addresses_hold(const struct rule *rule, const struct rule_query *query)
{
	if (rule->addresses.count == 0)
		return RULE_HOLDS;
	return query->address ? holds_if(has_address(&rule->addresses, query->address)) : RULE_HOLDS_UNKNOWN;
}

enum rule_holds rule_ports_hold(const struct rule *rule, const struct rule_query *query)
{
	for (size_t i = 0; i < rule->ports.count; i++) {
		if (query->port >= rule->ports.items[i].first && query->port <= rule->ports.items[i].last)
			return RULE_HOLDS;
	}
	return holds_if(rule->ports.count == 0);
}

enum rule_holds rule_methods_hold(const struct rule *rule, const struct rule_query *query)
{
	return holds_if(rule->methods.count == 0 || has_word(&rule->methods, query->method));
}

enum rule_holds rule_schemes_hold(const struct rule *rule, const struct rule_query *query)
{
	return holds_if(rule->schemes == 0 || rule->schemes >> query->scheme & 1);
}

enum rule_holds rule_times_hold(const struct rule *rule, const struct rule_judge *judge)
{
	for (size_t i = 0; i < rule->times.count; i++) {
		if (week_time_has(&rule->times.items[i], judge->minute))
			return RULE_HOLDS;
	}
	return holds_if(rule->times.count == 0);
}

enum rule_holds rule_listeners_hold(const struct rule *rule, const struct rule_query *query)
{
	return holds_if(rule->listeners.count == 0 || has_word(&rule->listeners, query->listener));
}

/* ---- all of them ---- */

/* Who asks, and how. */
static bool client_holds(const struct rule *rule, const struct rule_judge *judge)
{
	const struct rule_query *query = judge->query;

	return rule_schemes_hold(rule, query) == RULE_HOLDS && rule_methods_hold(rule, query) == RULE_HOLDS &&
	       rule_users_hold(rule, query) == RULE_HOLDS && rule_times_hold(rule, judge) == RULE_HOLDS &&
	       rule_sources_hold(rule, query) == RULE_HOLDS &&
	       rule_listeners_hold(rule, query) == RULE_HOLDS && rule_groups_hold(rule, query) == RULE_HOLDS;
}

/* What needs nothing but the query, and costs least. */
static bool request_holds(const struct rule *rule, const struct rule_judge *judge)
{
	return rule_ports_hold(rule, judge->query) == RULE_HOLDS && client_holds(rule, judge);
}

enum rule_holds rule_holds(const struct rule *rule, struct rule_judge *judge)
{
	enum rule_holds lists, addresses;

	if (!request_holds(rule, judge) || rule_domains_hold(rule, judge) != RULE_HOLDS)
		return RULE_HOLDS_NOT;
	addresses = rule_addresses_hold(rule, judge->query);
	if (addresses == RULE_HOLDS_NOT)
		return RULE_HOLDS_NOT;
	lists = rule_lists_hold(rule, judge);
	if (lists == RULE_HOLDS_NOT || rule_regex_holds(rule, judge) != RULE_HOLDS)
		return RULE_HOLDS_NOT;
	return lists == RULE_HOLDS ? addresses : RULE_HOLDS_UNKNOWN;
}

/* ---- the verdict ---- */

void rule_judge_start(struct rule_judge *judge, const struct rules *rules, const struct rule_query *query)
{
	judge->rules = rules;
	judge->query = query;
	judge->gave_up = false;
	judge->list = NULL;
	judge->minute = rules->by_time ? week_clock_tell(rules->clock, query->wall_ms) : 0;
	judge->host.len = judge->host.labels = 0;
	if (rules->by_name)
		host_name_read(&judge->host, query->host);
}

bool rules_source_allowed(const struct rules *rules, const struct address *source)
{
	/* Who may open a unix socket is what its file's permissions say. */
	if (rules->sources.count == 0 || (source && source->family == ADDRESS_UNIX))
		return true;
	return has_address(&rules->sources, source);
}

static struct verdict verdict_by(const struct rule_judge *judge, const struct rule *rule)
{
	const struct setting_string *reason = &rule->settings->reason;
	struct verdict verdict = {
		.outcome = rule->allow && !judge->gave_up ? VERDICT_ALLOW : VERDICT_DENY,
		.reason = judge->gave_up ? VERDICT_BY_EFFORT : VERDICT_BY_RULE,
		.rule = (int)(rule - judge->rules->items),
		.place = rule->settings->place,
		.name = rule->name,
		.client_reason = span_make(reason->text, reason->len),
		.actions = rule->actions,
		.by_address = rule->allow && rule->addresses.count > 0,
		.by_method = rule->allow && rule->methods.count > 0,
	};

	if (rule->lists.count && judge->list)
		verdict.list = span_make(judge->list->settings->name.text, judge->list->settings->name.len);
	return verdict;
}

/* What the rules that would hold for some addresses would make of it. */
struct maybe {
	bool deny, allow;
	const struct rule_actions *actions; /* of those that allow */
	bool differ;                        /* they have different ones */
};

static void maybe_add(struct maybe *maybe, const struct rule *rule)
{
	if (!rule->allow) {
		maybe->deny = true;
		return;
	}
	maybe->differ = maybe->differ || (maybe->allow && maybe->actions != rule->actions);
	maybe->actions = rule->actions;
	maybe->allow = true;
}

/* Whether one of them would decide otherwise. */
static bool maybe_matters(const struct maybe *maybe, const struct verdict *verdict)
{
	if (verdict->outcome == VERDICT_DENY)
		return maybe->allow;
	return maybe->deny || (maybe->allow && (maybe->differ || maybe->actions != verdict->actions));
}

struct verdict rules_judge(const struct rules *rules, const struct rule_query *query)
{
	struct verdict verdict = {
		.outcome = rules->any_allow ? VERDICT_DENY : VERDICT_ALLOW,
		.reason = VERDICT_BY_DEFAULT,
		.rule = VERDICT_NO_RULE,
		.actions = &rule_no_actions,
	};
	struct maybe maybe = {.deny = false};
	struct rule_judge judge;

	if (!rules_source_allowed(rules, query->source))
		return (struct verdict){
			.outcome = VERDICT_DENY, .reason = VERDICT_BY_SOURCE, .rule = VERDICT_NO_RULE};
	rule_judge_start(&judge, rules, query);
	for (size_t i = 0; i < rules->count; i++) {
		enum rule_holds holds = rule_holds(&rules->items[i], &judge);

		if (judge.gave_up)
			return verdict_by(&judge, &rules->items[i]);
		if (holds == RULE_HOLDS_UNKNOWN)
			maybe_add(&maybe, &rules->items[i]);
		if (holds != RULE_HOLDS)
			continue;
		verdict = verdict_by(&judge, &rules->items[i]);
		break;
	}
	if (maybe_matters(&maybe, &verdict))
		return (struct verdict){.outcome = VERDICT_NEEDS_ADDRESS, .rule = VERDICT_NO_RULE};
	return verdict;
}

/* Whether it depends on where to. */
static bool names_targets(const struct rule_match_settings *match)
{
	return match->domains.count || match->regex.count || match->lists.count || match->addresses.count ||
	       match->ports.count;
}

struct verdict rules_judge_client(const struct rules *rules, const struct rule_query *query)
{
	struct rule_judge judge;

	if (!rules_source_allowed(rules, query->source))
		return (struct verdict){
			.outcome = VERDICT_DENY, .reason = VERDICT_BY_SOURCE, .rule = VERDICT_NO_RULE};
	rule_judge_start(&judge, rules, query);
	for (size_t i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->items[i];
		if (client_holds(rule, &judge) && (rule->allow || !names_targets(rule->match)))
			return verdict_by(&judge, rule);
	}
	return (struct verdict){
		.outcome = rules->any_allow ? VERDICT_DENY : VERDICT_ALLOW,
		.reason = VERDICT_BY_DEFAULT,
		.rule = VERDICT_NO_RULE,
		.actions = &rule_no_actions,
	};
}

size_t verdict_describe(const struct verdict *verdict, char out[VERDICT_TEXT])
{
	struct span name = span_first(verdict->name, size_min(verdict->name.len, 128));
	struct span list = span_first(verdict->list, size_min(verdict->list.len, 128));
	const char *text = "it depends on the address";

	switch (verdict->reason) {
	case VERDICT_BY_RULE:
		if (verdict->rule == VERDICT_NO_RULE)
			break;
		return (size_t)snprintf(out, VERDICT_TEXT, "%.*s%s%.*s%s", SPAN_ARG(name),
					list.len ? " (lists: " : "", SPAN_ARG(list), list.len ? ")" : "");
	case VERDICT_BY_EFFORT:
		return (size_t)snprintf(out, VERDICT_TEXT, "%.*s: a pattern of it took too many steps",
					SPAN_ARG(name));
	case VERDICT_BY_DEFAULT:
		text = verdict->outcome == VERDICT_ALLOW ? "no rule denies it" : "no rule allows it";
		break;
	case VERDICT_BY_SOURCE:
		text = "the client is not in \"sources\"";
		break;
	}
	return (size_t)snprintf(out, VERDICT_TEXT, "%s", text);
}

/* ---- open proxies ---- */

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
		const struct rule *rule = &rules->items[i];

		if (rule->allow && !limits(&rule->sources) && rule->users.count == 0 && rule->groups.count == 0)
			limited = false;
	}
	return !limited;
}
