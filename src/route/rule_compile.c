/*
 * From what the configuration says of forward rules to what is judged. With the snapshot, on one thread.
 */
#include "http/field.h"
#include "route/rule_internal.h"

const struct rule_actions rule_no_actions = {.exit = RULE_NONE, .allowance = RULE_NONE};

struct compiling {
	const struct rule_context *context;
	const struct forward_settings *settings;
	struct rules *rules;
};

static struct span text_of(const struct setting_string *string)
{
	return span_make(string->text, string->len);
}

/* Room for as many as were given. NULL, which has been said: out of memory. */
static void *room_for(const struct compiling *compiling, const struct setting_strings *given, size_t size)
{
	void *room = arena_zalloc(compiling->context->arena, given->count, size);

	if (!room)
		diagnostics_error(compiling->context->diagnostics, given->place, "out of memory");
	return room;
}

/* ---- conditions ---- */

static bool compile_networks(const struct compiling *compiling, const struct setting_strings *given,
			     struct network_list *list)
{
	bool good = true;

	list->items = room_for(compiling, given, sizeof(*list->items));
	for (size_t i = 0; list->items && i < given->count; i++) {
		const struct setting_string *item = &given->items[i];

		if (network_parse(text_of(item), &list->items[list->count])) {
			list->count++;
			continue;
		}
		diagnostics_error(compiling->context->diagnostics, item->place,
				  "\"%s\" is not an address or network", item->text);
		good = false;
	}
	return good && list->items;
}

static const char *compile_domain(const struct compiling *compiling, const struct setting_string *item,
				  struct rule_domains *domains)
{
	struct domain_pattern *pattern = &domains->patterns[domains->pattern_count];
	struct arena *arena = compiling->context->arena;
	const char *wrong;

	if (domain_is_glob(text_of(item))) {
		wrong = domain_glob_parse(text_of(item), arena, &domains->globs[domains->glob_count]);
		domains->glob_count += wrong == NULL;
		return wrong;
	}
	wrong = domain_pattern_parse(text_of(item), arena, pattern);
	if (wrong)
		return wrong;
	if (pattern->literal)
		diagnostics_warning(
			compiling->context->diagnostics, item->place,
			"domain \"%s\" is an address: it holds only where that is what is asked for, and opens "
			"nothing; \"addresses\" names addresses",
			item->text);
	domains->pattern_count++;
	return domain_set_add(&domains->set, pattern) ? NULL : "out of memory";
}

static bool compile_domains(const struct compiling *compiling, const struct setting_strings *given,
			    struct rule_domains *domains)
{
	bool good = true;

	domains->patterns = room_for(compiling, given, sizeof(*domains->patterns));
	domains->globs = room_for(compiling, given, sizeof(*domains->globs));
	if (!domains->patterns || !domains->globs)
		return false;
	for (size_t i = 0; i < given->count; i++) {
		const struct setting_string *item = &given->items[i];
		const char *wrong = compile_domain(compiling, item, domains);

		if (!wrong)
			continue;
		diagnostics_error(compiling->context->diagnostics, item->place, "domain \"%s\": %s",
				  item->text, wrong);
		good = false;
	}
	return good;
}

static bool compile_regex(const struct compiling *compiling, const struct setting_strings *given,
			  struct rule_patterns *regex)
{
	regex->items = room_for(compiling, given, sizeof(*regex->items));
	for (size_t i = 0; regex->items && i < given->count; i++) {
		const struct setting_string *item = &given->items[i];
		struct pattern *pattern = pattern_compile_whole(&compiling->rules->patterns, text_of(item),
								item->place, compiling->context->diagnostics);
		if (pattern)
			regex->items[regex->count++] = pattern;
	}
	return regex->items && regex->count == given->count;
}

static const struct list *list_find(const struct lists *lists, struct span name)
{
	for (size_t i = 0; lists && i < lists->count; i++)
		if (span_equal(text_of(&lists->items[i].settings->name), name))
			return &lists->items[i];
	return NULL;
}

/* "", or the end of a sentence. */
static const char *suggestion(const struct compiling *compiling, const char *name, const char *const *names)
{
	const char *near = names ? diagnostics_suggest(name, names) : NULL;
	struct span text = SPAN("");

	if (near)
		text = arena_format(compiling->context->diagnostics->arena, ": did you mean \"%s\"?", near);
	return text.at ? (const char *)text.at : "";
}

static const char *suggest_list(const struct compiling *compiling, const char *name)
{
	const struct lists *lists = compiling->context->lists;
	size_t count = lists ? lists->count : 0;
	const char **names = arena_zalloc(compiling->context->diagnostics->arena, count + 1, sizeof(*names));

	for (size_t i = 0; names && i < count; i++)
		names[i] = lists->items[i].settings->name.text;
	return suggestion(compiling, name, names);
}

static bool compile_lists(const struct compiling *compiling, const struct setting_strings *given,
			  struct rule_lists *lists)
{
	lists->items = room_for(compiling, given, sizeof(*lists->items));
	for (size_t i = 0; lists->items && i < given->count; i++) {
		const struct setting_string *item = &given->items[i];
		const struct list *list = list_find(compiling->context->lists, text_of(item));

		if (list)
			lists->items[lists->count++] = list;
		else
			diagnostics_error(compiling->context->diagnostics, item->place,
					  "there is no list \"%s\" in \"lists\"%s", item->text,
					  suggest_list(compiling, item->text));
	}
	return lists->items && lists->count == given->count;
}

static bool compile_ports(const struct compiling *compiling, const struct setting_strings *given,
			  struct port_list *ports)
{
	bool good = true;

	ports->items = room_for(compiling, given, sizeof(*ports->items));
	for (size_t i = 0; ports->items && i < given->count; i++) {
		const struct setting_string *item = &given->items[i];
		struct port_range *range = &ports->items[ports->count];
		const char *wrong = rule_ports_parse(text_of(item), &range->first, &range->last);

		if (!wrong) {
			ports->count++;
			continue;
		}
		diagnostics_error(compiling->context->diagnostics, item->place, "port \"%s\": %s", item->text,
				  wrong);
		good = false;
	}
	return good && ports->items;
}

static bool compile_schemes(const struct compiling *compiling, const struct setting_strings *given,
			    struct rule *rule)
{
	static const char *const names[] = {"http", "https", "tunnel", "socks", "udp", NULL};
	bool good = true;

	for (size_t i = 0; i < given->count; i++) {
		const struct setting_string *item = &given->items[i];
		enum rule_scheme scheme;

		if (rule_scheme_parse(text_of(item), &scheme)) {
			rule->schemes |= 1u << scheme;
			continue;
		}
		diagnostics_error(compiling->context->diagnostics, item->place,
				  "scheme \"%s\" is none of http, https, tunnel, socks and udp%s", item->text,
				  suggestion(compiling, item->text, names));
		good = false;
	}
	return good;
}

static bool compile_times(const struct compiling *compiling, const struct setting_strings *given,
			  struct rule_times *times)
{
	bool good = true;

	times->items = room_for(compiling, given, sizeof(*times->items));
	for (size_t i = 0; times->items && i < given->count; i++) {
		const struct setting_string *item = &given->items[i];
		const char *wrong = week_time_parse(text_of(item), &times->items[times->count]);

		if (!wrong) {
			times->count++;
			continue;
		}
		diagnostics_error(compiling->context->diagnostics, item->place, "time \"%s\": %s", item->text,
				  wrong);
		good = false;
	}
	return good && times->items;
}

static bool compile_words(const struct compiling *compiling, const struct setting_strings *given,
			  struct word_list *words)
{
	words->items = room_for(compiling, given, sizeof(*words->items));
	for (size_t i = 0; words->items && i < given->count; i++)
		words->items[words->count++] = text_of(&given->items[i]);
	return words->items != NULL;
}

static bool compile_methods(const struct compiling *compiling, const struct setting_strings *given,
			    struct word_list *methods)
{
	bool good = compile_words(compiling, given, methods);

	for (size_t i = 0; good && i < given->count; i++) {
		if (http_is_token(methods->items[i]))
			continue;
		diagnostics_error(compiling->context->diagnostics, given->items[i].place,
				  "method \"%s\" is not a token", given->items[i].text);
		return false;
	}
	return good;
}

static bool listens(const struct forward_settings *settings, struct span address)
{
	for (size_t i = 0; i < settings->listen.count; i++)
		if (span_equal(text_of(&settings->listen.items[i]), address))
			return true;
	return false;
}

/* Only those that the rule's own listener has can ever be. */
static bool compile_listeners(const struct compiling *compiling, const struct setting_strings *given,
			      struct word_list *listeners)
{
	const struct setting_strings *listen = &compiling->settings->listen;
	struct diagnostics *diagnostics = compiling->context->diagnostics;
	const char **names = arena_zalloc(diagnostics->arena, listen->count + 1, sizeof(*names));
	bool good = compile_words(compiling, given, listeners);

	for (size_t i = 0; names && i < listen->count; i++)
		names[i] = listen->items[i].text;
	for (size_t i = 0; good && i < given->count; i++) {
		const struct setting_string *item = &given->items[i];
		if (listens(compiling->settings, text_of(item)))
			continue;
		diagnostics_error(diagnostics, item->place,
				  "\"%s\" is not in \"listen\" of this listener, written as there%s",
				  item->text, suggestion(compiling, item->text, names));
		good = false;
	}
	return good;
}

static bool compile_match(const struct compiling *compiling, struct rule *rule)
{
	const struct rule_match_settings *match = rule->match;
	bool good = compile_words(compiling, &match->users, &rule->users);

	good = compile_words(compiling, &match->groups, &rule->groups) && good;
	good = compile_networks(compiling, &match->sources, &rule->sources) && good;
	good = compile_domains(compiling, &match->domains, &rule->domains) && good;
	good = compile_regex(compiling, &match->regex, &rule->regex) && good;
	good = compile_lists(compiling, &match->lists, &rule->lists) && good;
	good = compile_networks(compiling, &match->addresses, &rule->addresses) && good;
	good = compile_ports(compiling, &match->ports, &rule->ports) && good;
	good = compile_methods(compiling, &match->methods, &rule->methods) && good;
	good = compile_schemes(compiling, &match->schemes, rule) && good;
	good = compile_times(compiling, &match->times, &rule->times) && good;
	return compile_listeners(compiling, &match->listeners, &rule->listeners) && good;
}

/* ---- actions ---- */

/* The position of a name of another section. False after a diagnostic. */
static bool name_find(const struct compiling *compiling, const struct setting_string *name,
		      const char *const *names, const char *what, const char *section, uint32_t *index)
{
	for (uint32_t i = 0; names && names[i]; i++) {
		if (span_equal(span_of(names[i]), text_of(name))) {
			*index = i;
			return true;
		}
	}
	diagnostics_error(compiling->context->diagnostics, name->place, "there is no %s \"%s\" in \"%s\"%s",
			  what, name->text, section, suggestion(compiling, name->text, names));
	return false;
}

static bool compile_parents(const struct compiling *compiling, const struct setting_strings *given,
			    struct rule_actions *actions)
{
	uint32_t *parents = room_for(compiling, given, sizeof(*parents));
	bool good = parents != NULL;

	actions->parents = parents;
	actions->parent_count = (uint32_t)given->count;
	for (size_t i = 0; parents && i < given->count; i++) {
		parents[i] = RULE_DIRECT;
		if (!span_equal(text_of(&given->items[i]), SPAN("direct")))
			good = name_find(compiling, &given->items[i], compiling->context->parents,
					 "parent proxy", "parents", &parents[i]) &&
			       good;
	}
	return good;
}

static bool compile_secrets(const struct compiling *compiling, const struct setting_strings *given,
			    struct rule_actions *actions)
{
	uint32_t *secrets = room_for(compiling, given, sizeof(*secrets));
	bool good = secrets != NULL;

	actions->secrets = secrets;
	actions->secret_count = (uint32_t)given->count;
	for (size_t i = 0; secrets && i < given->count; i++)
		good = name_find(compiling, &given->items[i], compiling->context->secrets, "secret",
				 "secrets", &secrets[i]) &&
		       good;
	return good;
}

static bool same_indexes(const uint32_t *one, uint32_t one_count, const uint32_t *other, uint32_t other_count)
{
	if (one_count != other_count)
		return false;
	for (uint32_t i = 0; i < one_count; i++)
		if (one[i] != other[i])
			return false;
	return true;
}

static bool same_actions(const struct rule_actions *one, const struct rule_actions *other)
{
	return one->exit == other->exit && one->allowance == other->allowance &&
	       same_indexes(one->parents, one->parent_count, other->parents, other->parent_count) &&
	       same_indexes(one->secrets, one->secret_count, other->secrets, other->secret_count);
}

/* Those of an earlier rule that says the same, so that a look at the pointers tells whether it matters which of them decides. */
static const struct rule_actions *actions_share(const struct rules *rules, const struct rule *rule,
						const struct rule_actions *actions)
{
	if (same_actions(actions, &rule_no_actions))
		return &rule_no_actions;
	for (const struct rule *other = rules->items; other < rule; other++)
		if (other->actions && same_actions(actions, other->actions))
			return other->actions;
	return actions;
}

static bool compile_actions(const struct compiling *compiling, struct rule *rule)
{
	const struct rule_context *context = compiling->context;
	const struct rule_settings *settings = rule->settings;
	struct rule_actions *actions = arena_alloc(context->arena, sizeof(*actions));
	bool good;

	if (!actions) {
		diagnostics_error(context->diagnostics, settings->place, "out of memory");
		return false;
	}
	*actions = rule_no_actions;
	good = compile_parents(compiling, &settings->proxy, actions);
	good = compile_secrets(compiling, &settings->secrets, actions) && good;
	if (settings->exit.len)
		good = name_find(compiling, &settings->exit, context->exits, "exit", "exits", &actions->exit) &&
		       good;
	if (settings->allowance.len)
		good = name_find(compiling, &settings->allowance, context->allowances, "allowance",
				 "allowances", &actions->allowance) &&
		       good;
	rule->actions = good ? actions_share(compiling->rules, rule, actions) : &rule_no_actions;
	return good;
}

/* What one kind of rule has, and the other one means nothing by. */
static bool check_kind(const struct compiling *compiling, const struct rule *rule)
{
	const struct rule_settings *settings = rule->settings;
	const struct {
		const char *key;
		struct setting_place place;
		bool of_allow;
	} given[] = {
		{"proxy", settings->proxy.place, true},
		{"exit", settings->exit.place, true},
		{"allowance", settings->allowance.place, true},
		{"secrets", settings->secrets.place, true},
		{"pac", settings->pac_place, true},
		{"reason", settings->reason.place, false},
	};
	bool good = true;

	for (size_t i = 0; i < ARRAY_LENGTH(given); i++) {
		if (given[i].place.line == 0 || given[i].of_allow == rule->allow)
			continue;
		diagnostics_error(compiling->context->diagnostics, given[i].place,
				  "\"%s\" goes with \"%s\", and this rule has \"%s\"", given[i].key,
				  rule->allow ? "deny" : "allow", rule->allow ? "allow" : "deny");
		good = false;
	}
	return good;
}

/* ---- all of it ---- */

static bool compile_name(const struct compiling *compiling, struct rule *rule)
{
	const struct rule_settings *settings = rule->settings;
	size_t index = (size_t)(rule - compiling->rules->items);

	for (const struct rule *other = compiling->rules->items; other < rule; other++) {
		if (settings->name.len == 0 || !span_equal(other->name, text_of(&settings->name)))
			continue;
		diagnostics_error(compiling->context->diagnostics, settings->name.place,
				  "the rule on line %u is called \"%s\" already", other->settings->place.line,
				  settings->name.text);
		return false;
	}
	rule->name = text_of(&settings->name);
	if (rule->name.len == 0)
		rule->name = arena_format(compiling->context->arena, "rule %zu (line %u)", index + 1,
					  settings->place.line);
	if (rule->name.at)
		return true;
	diagnostics_error(compiling->context->diagnostics, settings->place, "out of memory");
	return false;
}

static bool compile_rule(const struct compiling *compiling, const struct rule_settings *settings,
			 struct rule *rule)
{
	bool allow = settings->allow_place.line != 0, deny = settings->deny_place.line != 0, good;
	struct rules *rules = compiling->rules;

	rule->settings = settings;
	rule->allow = allow;
	rule->match = allow ? &settings->allow : &settings->deny;
	rule->actions = &rule_no_actions;
	if (allow == deny) {
		diagnostics_error(compiling->context->diagnostics, settings->place,
				  "a rule has either \"allow\" or \"deny\"");
		return false;
	}
	rules->any_allow = rules->any_allow || allow;
	good = compile_name(compiling, rule);
	good = compile_match(compiling, rule) && good;
	good = check_kind(compiling, rule) && good;
	good = compile_actions(compiling, rule) && good;
	rules->by_name = rules->by_name || rule->domains.pattern_count || rule->domains.glob_count ||
			 rule->regex.count || rule->lists.count;
	rules->by_time = rules->by_time || rule->times.count;
	return good;
}

struct rules *rules_compile(const struct forward_settings *settings, const struct rule_context *context)
{
	const struct rule_settings *items = settings->rules.items;
	struct rules *rules = arena_zalloc(context->arena, 1, sizeof(*rules));
	struct compiling compiling = {context, settings, rules};
	bool good;

	if (rules) {
		rules->items = arena_zalloc(context->arena, settings->rules.count, sizeof(*rules->items));
		rules->clock = arena_zalloc(context->arena, 1, sizeof(*rules->clock));
	}
	if (!rules || !rules->items || !rules->clock) {
		diagnostics_error(context->diagnostics, settings->place, "out of memory");
		return NULL;
	}
	rules->count = settings->rules.count;
	rules->memory = context->arena->memory;
	week_clock_start(rules->clock);
	for (size_t i = 0; i < rules->count; i++)
		domain_set_init(&rules->items[i].domains.set, context->arena->memory);
	good = compile_networks(&compiling, &settings->sources, &rules->sources);
	for (size_t i = 0; i < rules->count; i++)
		good = compile_rule(&compiling, &items[i], &rules->items[i]) && good;
	if (good)
		return rules;
	rules_free(rules);
	return NULL;
}

void rules_free(struct rules *rules)
{
	if (!rules)
		return;
	for (size_t i = 0; i < rules->count; i++)
		domain_set_fini(&rules->items[i].domains.set);
	pattern_list_free(&rules->patterns);
}
