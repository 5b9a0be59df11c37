/*
 * Each condition of a forward rule by itself, several together, what an allow says of the way, names and reasons, explanations.
 */
#include "route_fixture.h"

#include "route/domain.h"
#include "route/list_file.h"
#include "route/lists.h"
#include "route/rule_view.h"

#include <time.h>

enum { RULES_MOST = 8, LISTS_MOST = 2 };

/* The rules of a listener on 127.0.0.1:3128 and [::1]:3128, as a test fills them in. */
struct table {
	struct fixture fixture;
	struct rule_settings items[RULES_MOST];
	struct forward_settings forward;
	struct list_settings list_settings[LISTS_MOST];
	struct list list[LISTS_MOST];
	struct lists lists;
	struct rules *rules;
};

static const char *const parents[] = {"office", "tor", NULL};
static const char *const exits[] = {"pool", NULL};
static const char *const allowances[] = {"fast", "slow", NULL};
static const char *const secrets[] = {"openai", "mail", NULL};

static void begin(struct table *table)
{
	memset(table, 0, sizeof(*table));
	fixture_start(&table->fixture);
	table->forward.listen = strings_of(&table->fixture, "127.0.0.1:3128 [::1]:3128");
	table->forward.rules.items = table->items;
	table->lists.items = table->list;
}

/* The next rule, to be filled in. */
static struct rule_match_settings *add(struct table *table, bool allow)
{
	struct rule_settings *rule = &table->items[table->forward.rules.count++];

	rule->place = (struct setting_place){.line = (unsigned)table->forward.rules.count + 19, .column = 9};
	*(allow ? &rule->allow_place : &rule->deny_place) = rule->place;
	return allow ? &rule->allow : &rule->deny;
}

static struct setting_strings words(struct table *table, const char *text)
{
	struct setting_strings strings = strings_of(&table->fixture, text);

	strings.place = (struct setting_place){.line = 30, .column = 5};
	return strings;
}

static struct domain_list *list_of(struct table *table, const char *text)
{
	struct list_reader reader;

	list_reader_start(&reader, &table->fixture.memory, LIST_AUTO, 0);
	list_reader_feed(&reader, span_of(text));
	return list_reader_finish(&reader);
}

static void add_list(struct table *table, const char *name, const char *text)
{
	size_t index = table->lists.count++;

	table->list_settings[index].name = string_of(name);
	table->list[index].settings = &table->list_settings[index];
	atomic_init(&table->list[index].table, list_of(table, text));
}

static bool try_compile(struct table *table)
{
	struct rule_context context = {
		.arena = &table->fixture.arena,
		.diagnostics = &table->fixture.diagnostics,
		.parents = parents,
		.exits = exits,
		.allowances = allowances,
		.secrets = secrets,
		.lists = &table->lists,
	};

	table->rules = rules_compile(&table->forward, &context);
	return table->rules != NULL;
}

static void compile(struct table *table)
{
	if (!try_compile(table))
		fail_msg("%s", table->fixture.diagnostics.first->text);
}

static void end(struct table *table)
{
	rules_free(table->rules);
	for (size_t i = 0; i < table->lists.count; i++)
		domain_list_free(list_publish(&table->list[i], NULL));
	fixture_end(&table->fixture);
}

static struct address ip(const char *text)
{
	struct address address = {.family = ADDRESS_NONE};

	assert_true(address_parse_ip(span_of(text), &address));
	return address;
}

/* What most questions have; tests change some of it. */
static struct rule_query ask(const char *host)
{
	static struct address source;

	source = ip("192.0.2.1");
	return (struct rule_query){
		.source = &source,
		.method = SPAN("GET"),
		.host = span_of(host),
		.port = 80,
		.listener = SPAN("127.0.0.1:3128"),
	};
}

static struct verdict judge(const struct table *table, struct rule_query query)
{
	return rules_judge(table->rules, &query);
}

static bool allows(const struct table *table, struct rule_query query)
{
	return judge(table, query).outcome == VERDICT_ALLOW;
}

static bool allows_host(const struct table *table, const char *host)
{
	return allows(table, ask(host));
}

/* ---- one by one ---- */

static bool is_in_group(const struct accounts *accounts, struct span user, struct span group)
{
	assert_null(accounts);
	return span_equal(user, SPAN("ann")) && span_equal(group, SPAN("staff"));
}

static void test_users_and_groups(void **state)
{
	struct table table;
	struct rule_query query = ask("a.example");

	begin(&table);
	add(&table, true)->users = words(&table, "bob carl");
	add(&table, true)->groups = words(&table, "admins staff");
	compile(&table);
	assert_false(allows(&table, query));
	query.user = SPAN("bob");
	assert_true(allows(&table, query));
	query.user = SPAN("Bob");
	assert_false(allows(&table, query));
	query.user = SPAN("ann");
	assert_false(allows(&table, query)); /* nobody is in any group */
	query.in_group = is_in_group;
	assert_true(allows(&table, query));
	assert_int_equal(judge(&table, query).rule, 1);
	query.user = SPAN("eve");
	assert_false(allows(&table, query));
	query.user = SPAN("");
	assert_false(allows(&table, query));
	end(&table);
}

static void test_domains(void **state)
{
	struct table table;

	begin(&table);
	add(&table, true)->domains = words(
		&table, "cdn*.x.example *-ads.* *.img*.y.example .z*z.example a*b*c.q.example 2001:DB8::1");
	compile(&table);
	assert_true(allows_host(&table, "cdn.x.example"));
	assert_true(allows_host(&table, "CDN42.X.example."));
	assert_false(allows_host(&table, "a.cdn1.x.example"));
	assert_false(allows_host(&table, "cdn.1.x.example"));
	assert_false(allows_host(&table, "ccdn.x.example"));
	assert_true(allows_host(&table, "big-ads.net"));
	assert_true(allows_host(&table, "-ads.net"));
	assert_false(allows_host(&table, "big-ads.co.uk"));
	assert_true(allows_host(&table, "a.b.img7.y.example"));
	assert_false(allows_host(&table, "img7.y.example"));
	assert_true(allows_host(&table, "zz.example"));
	assert_true(allows_host(&table, "a.zaz.example"));
	assert_false(allows_host(&table, "z.example"));
	assert_true(allows_host(&table, "aXbYbYc.q.example"));
	assert_true(allows_host(&table, "abc.q.example"));
	assert_false(allows_host(&table, "acb.q.example"));
	assert_false(allows_host(&table, "abcc.qq.example"));
	/* A literal is compared in the one way to write it. */
	struct rule_query query = ask("2001:db8:0:0::1");
	struct address address = ip("2001:db8::1");
	query.address = &address;
	assert_true(allows(&table, query));
	end(&table);
}

static void test_a_star_of_many(void **state)
{
	struct table table;
	char label[64] = {0};

	begin(&table);
	add(&table, true)->domains = words(&table, "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b.example");
	compile(&table);
	memset(label, 'a', 60);
	char host[80];
	snprintf(host, sizeof(host), "%s.example", label);
	assert_false(allows_host(&table, host)); /* and in no time */
	snprintf(host, sizeof(host), "%.59sb.example", label);
	assert_true(allows_host(&table, host));
	end(&table);
}

static void test_regex(void **state)
{
	struct table table;

	begin(&table);
	add(&table, true)->regex = words(&table, "ads[0-9]+\\.x\\.example [0-9.]+ .*:.* a|b\\.example");
	compile(&table);
	assert_true(allows_host(&table, "ads7.x.example"));
	assert_true(allows_host(&table, "ADS7.X.EXAMPLE."));
	assert_false(allows_host(&table, "ads7.x.example.evil.example")); /* all of it has to match */
	assert_false(allows_host(&table, "www.ads7.x.example"));
	assert_false(allows_host(&table, "ads7xx.example"));
	assert_true(allows_host(&table, "b.example"));
	assert_false(allows_host(&table, "a.example")); /* "a", or "b.example" */
	struct rule_query query = ask("10.0.0.1");
	struct address address = ip("10.0.0.1");
	query.address = &address;
	assert_true(allows(&table, query));
	end(&table);
}

/* Nobody knows what it would say: the request is denied, and no later rule is asked. */
static void test_regex_gives_up(void **state)
{
	struct table table;
	char host[200], text[VERDICT_TEXT];

	begin(&table);
	add(&table, false)->regex = words(&table, "(x+x+)+y");
	add(&table, true);
	compile(&table);
	memset(host, 'x', 60);
	memcpy(host + 60, ".y", 3);
	struct verdict verdict = judge(&table, ask(host));
	assert_int_equal(verdict.outcome, VERDICT_DENY);
	assert_int_equal(verdict.reason, VERDICT_BY_EFFORT);
	assert_int_equal(verdict.rule, 0);
	verdict_describe(&verdict, text);
	assert_string_equal(text, "rule 1 (line 20): a pattern of it took too many steps");
	assert_true(allows_host(&table, "short.example"));
	end(&table);
	begin(&table);
	add(&table, true)->regex = words(&table, "(x+x+)+y");
	compile(&table);
	assert_false(allows_host(&table, host));
	end(&table);
}

static void test_lists(void **state)
{
	struct address inside = ip("198.51.100.9"), outside = ip("203.0.113.9");
	struct rule_query query = ask("name.example");
	char text[VERDICT_TEXT];
	struct table table;

	begin(&table);
	add_list(&table, "names", "ads.example\n");
	add_list(&table, "mixed", "198.51.100.0/24\nmal.example\n");
	add(&table, false)->lists = words(&table, "names mixed");
	table.items[0].name = string_of("no-ads");
	table.items[0].reason = string_of("not here");
	add(&table, true);
	compile(&table);
	struct verdict verdict = judge(&table, ask("x.ads.example"));
	assert_int_equal(verdict.outcome, VERDICT_DENY);
	assert_span(verdict.name, "no-ads");
	assert_span(verdict.list, "names");
	assert_span(verdict.client_reason, "not here");
	verdict_describe(&verdict, text);
	assert_string_equal(text, "no-ads (lists: names)");
	assert_span(judge(&table, ask("mal.example")).list, "mixed");
	/* Of a name that is in none the address decides. */
	assert_int_equal(judge(&table, query).outcome, VERDICT_NEEDS_ADDRESS);
	query.address = &inside;
	assert_int_equal(judge(&table, query).outcome, VERDICT_DENY);
	query.address = &outside;
	verdict = judge(&table, query);
	assert_int_equal(verdict.outcome, VERDICT_ALLOW);
	assert_span(verdict.list, "");
	assert_false(verdict.by_address);
	/* Another table in its place counts at once. */
	domain_list_free(list_publish(&table.list[1], list_of(&table, "203.0.113.0/24\n")));
	assert_int_equal(judge(&table, query).outcome, VERDICT_DENY);
	end(&table);
}

/* What is in a list opens nothing that is not public: only `addresses` does. */
static void test_a_list_opens_no_address(void **state)
{
	struct address inside = ip("10.0.0.1");
	struct rule_query query = ask("10.0.0.1");
	struct table table;

	begin(&table);
	add_list(&table, "inner", "10.0.0.0/8\n");
	add(&table, true)->lists = words(&table, "inner");
	compile(&table);
	query.address = &inside;
	assert_true(allows(&table, query));
	assert_false(judge(&table, query).by_address);
	end(&table);
}

static void test_schemes_methods_listeners(void **state)
{
	struct rule_query query = ask("a.example");
	struct table table;

	begin(&table);
	add(&table, true)->schemes = words(&table, "tunnel udp");
	add(&table, true)->methods = words(&table, "BIND");
	add(&table, true)->listeners = words(&table, "[::1]:3128");
	compile(&table);
	assert_false(allows(&table, query));
	query.scheme = RULE_TUNNEL;
	assert_true(allows(&table, query));
	query.scheme = RULE_UDP;
	assert_true(allows(&table, query));
	query.scheme = RULE_SOCKS;
	assert_false(allows(&table, query));
	query.method = SPAN("BIND");
	assert_true(allows(&table, query));
	assert_true(judge(&table, query).by_method);
	query.method = SPAN("bind");
	assert_false(allows(&table, query));
	query.listener = SPAN("[::1]:3128");
	assert_true(allows(&table, query));
	assert_int_equal(judge(&table, query).rule, 2);
	end(&table);
}

static void test_times(void **state)
{
	struct rule_query query = ask("a.example");
	struct tm monday = {.tm_year = 126, .tm_mon = 10, .tm_mday = 23, .tm_hour = 7, .tm_min = 59};
	struct table table;

	setenv("TZ", "UTC0", 1);
	begin(&table);
	add(&table, true)->times = strings_of(&table.fixture, "08:00-18:00");
	compile(&table);
	query.wall_ms = (int64_t)timegm(&monday) * 1000;
	assert_false(allows(&table, query));
	query.wall_ms += 60000;
	assert_true(allows(&table, query));
	query.wall_ms += (int64_t)10 * 3600 * 1000 - 1;
	assert_true(allows(&table, query));
	query.wall_ms += 1;
	assert_false(allows(&table, query));
	end(&table);
}

/* ---- together ---- */

static void test_all_conditions_have_to_hold(void **state)
{
	struct address address = ip("198.51.100.9");
	struct rule_query query = ask("a.example");
	struct table table;

	begin(&table);
	add_list(&table, "list", "a.example\n");
	struct rule_match_settings *match = add(&table, true);
	match->users = words(&table, "ann");
	match->sources = words(&table, "192.0.2.0/24");
	match->domains = words(&table, "a.example");
	match->regex = words(&table, "a.*");
	match->lists = words(&table, "list");
	match->addresses = words(&table, "198.51.100.0/24");
	match->ports = words(&table, "80");
	match->methods = words(&table, "GET");
	match->schemes = words(&table, "http");
	match->listeners = words(&table, "127.0.0.1:3128");
	compile(&table);
	query.user = SPAN("ann");
	assert_int_equal(judge(&table, query).outcome, VERDICT_NEEDS_ADDRESS);
	query.address = &address;
	assert_true(allows(&table, query));
	for (unsigned i = 0; i < 8; i++) {
		struct address source = ip("203.0.113.1"), other = ip("203.0.113.1");
		struct rule_query wrong = query;
		switch (i) {
		case 0:
			wrong.user = SPAN("bob");
			break;
		case 1:
			wrong.source = &source;
			break;
		case 2:
			wrong.host = SPAN("b.example");
			break;
		case 3:
			wrong.address = &other;
			break;
		case 4:
			wrong.port = 81;
			break;
		case 5:
			wrong.method = SPAN("POST");
			break;
		case 6:
			wrong.scheme = RULE_HTTPS;
			break;
		default:
			wrong.listener = SPAN("[::1]:3128");
		}
		assert_false(allows(&table, wrong));
		/* What fails for certain needs no address. */
		wrong.address = i == 3 ? wrong.address : NULL;
		assert_int_equal(judge(&table, wrong).outcome, VERDICT_DENY);
	}
	end(&table);
}

/* ---- what an allow says of the way ---- */

static void test_actions(void **state)
{
	struct table table;

	begin(&table);
	add(&table, true)->ports = words(&table, "80");
	table.items[0].proxy = words(&table, "tor direct office");
	table.items[0].exit = string_of("pool");
	table.items[0].allowance = string_of("slow");
	table.items[0].secrets = words(&table, "mail openai");
	add(&table, true)->ports = words(&table, "81");
	compile(&table);
	const struct rule_actions *actions = judge(&table, ask("a.example")).actions;
	assert_int_equal(actions->parent_count, 3);
	assert_int_equal(actions->parents[0], 1);
	assert_int_equal(actions->parents[1], RULE_DIRECT);
	assert_int_equal(actions->parents[2], 0);
	assert_int_equal(actions->exit, 0);
	assert_int_equal(actions->allowance, 1);
	assert_int_equal(actions->secret_count, 2);
	assert_int_equal(actions->secrets[0], 1);
	assert_int_equal(actions->secrets[1], 0);
	struct rule_query query = ask("a.example");
	query.port = 81;
	actions = judge(&table, query).actions;
	assert_int_equal(actions->parent_count, 0);
	assert_int_equal(actions->exit, RULE_NONE);
	assert_int_equal(actions->allowance, RULE_NONE);
	end(&table);
}

/* A name is looked up only where an address could lead to another way. */
static void test_ways_of_names(void **state)
{
	struct table table;

	/* No rule goes by addresses: the parent is told the name. */
	begin(&table);
	add(&table, false)->domains = words(&table, "bad.example");
	add(&table, true);
	table.items[1].proxy = words(&table, "tor");
	compile(&table);
	assert_int_equal(judge(&table, ask("a.example")).outcome, VERDICT_ALLOW);
	end(&table);
	/* One before it, that allows with another way. */
	begin(&table);
	add(&table, true)->addresses = words(&table, "10.0.0.0/8");
	add(&table, true);
	table.items[1].proxy = words(&table, "tor");
	compile(&table);
	assert_int_equal(judge(&table, ask("a.example")).outcome, VERDICT_NEEDS_ADDRESS);
	end(&table);
	/* The same, with the same way. */
	begin(&table);
	add(&table, true)->addresses = words(&table, "10.0.0.0/8");
	table.items[0].proxy = words(&table, "tor");
	add(&table, true);
	table.items[1].proxy = words(&table, "tor");
	compile(&table);
	struct verdict verdict = judge(&table, ask("a.example"));
	assert_int_equal(verdict.outcome, VERDICT_ALLOW);
	assert_int_equal(verdict.rule, 1);
	assert_false(verdict.by_address);
	end(&table);
	/* One behind it matters to nobody. */
	begin(&table);
	add(&table, true);
	table.items[0].proxy = words(&table, "tor");
	add(&table, false)->addresses = words(&table, "10.0.0.0/8");
	compile(&table);
	assert_int_equal(judge(&table, ask("a.example")).outcome, VERDICT_ALLOW);
	end(&table);
	/* Two different ones before it, of which one is its own. */
	begin(&table);
	add(&table, true)->addresses = words(&table, "10.0.0.0/8");
	table.items[0].proxy = words(&table, "office");
	add(&table, true)->addresses = words(&table, "192.168.0.0/16");
	table.items[1].proxy = words(&table, "tor");
	add(&table, true);
	table.items[2].proxy = words(&table, "tor");
	compile(&table);
	assert_int_equal(judge(&table, ask("a.example")).outcome, VERDICT_NEEDS_ADDRESS);
	end(&table);
}

/* ---- names ---- */

static void test_names_and_mistakes(void **state)
{
	static const char *const expected[] = {
		"there is no list \"adds\" in \"lists\": did you mean \"ads\"?",
		"pattern \"(\"",
		"there is no parent proxy \"torr\" in \"parents\": did you mean \"tor\"?",
		"there is no exit \"poll\" in \"exits\": did you mean \"pool\"?",
		"there is no allowance \"slwo\" in \"allowances\"",
		"there is no secret \"zzz\" in \"secrets\"",
		"scheme \"htp\" is none of http, https, tunnel, socks and udp: did you mean \"http\"?",
		"time \"25:00-26:00\"",
		"\"127.0.0.1:3129\" is not in \"listen\"",
		"the rule on line 20 is called \"same\" already",
		"\"proxy\" goes with \"allow\", and this rule has \"deny\"",
		"\"reason\" goes with \"deny\", and this rule has \"allow\"",
		"domain \"*\": \"*\" alone would be every name",
		"domain \"10.*\": addresses are named by networks",
		"domain \"a*b..example\": a host name has an empty label",
	};
	struct table table;

	begin(&table);
	add_list(&table, "ads", "ads.example\n");
	struct rule_match_settings *match = add(&table, true);
	match->lists = words(&table, "adds");
	match->regex = words(&table, "(");
	match->schemes = words(&table, "htp");
	match->times = words(&table, "25:00-26:00");
	match->listeners = words(&table, "127.0.0.1:3129");
	match->domains = words(&table, "* 10.* a*b..example");
	table.items[0].name = string_of("same");
	table.items[0].proxy = words(&table, "torr");
	table.items[0].exit = string_of("poll");
	table.items[0].allowance = string_of("slwo");
	table.items[0].secrets = words(&table, "zzz");
	table.items[0].reason = string_of("because");
	add(&table, false);
	table.items[1].name = string_of("same");
	table.items[1].proxy = words(&table, "tor");
	assert_false(try_compile(&table));
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
		if (!said(&table.fixture, expected[i]))
			fail_msg("nothing said of: %s", expected[i]);
	end(&table);
}

static void test_descriptions(void **state)
{
	char text[VERDICT_TEXT];
	struct table table;

	begin(&table);
	add(&table, true)->ports = words(&table, "81");
	add(&table, false)->ports = words(&table, "82");
	compile(&table);
	struct rule_query query = ask("a.example");
	struct verdict verdict = judge(&table, query);
	assert_int_equal(verdict_describe(&verdict, text), strlen("no rule allows it"));
	assert_string_equal(text, "no rule allows it");
	query.port = 82;
	verdict = judge(&table, query);
	verdict_describe(&verdict, text);
	assert_string_equal(text, "rule 2 (line 21)");
	end(&table);
}

/* ---- open proxies ---- */

static void test_known_users_are_a_limit(void **state)
{
	struct address listen = ip("192.0.2.9");
	struct table table;

	begin(&table);
	add(&table, true)->users = words(&table, "ann");
	add(&table, true)->groups = words(&table, "staff");
	add(&table, true)->sources = words(&table, "192.0.2.0/24");
	compile(&table);
	assert_false(rules_listener_exposed(table.rules, &listen));
	end(&table);
	begin(&table);
	add(&table, true)->users = words(&table, "ann");
	add(&table, true)->ports = words(&table, "443");
	compile(&table);
	assert_true(rules_listener_exposed(table.rules, &listen));
	end(&table);
	begin(&table);
	add(&table, false)->users = words(&table, "ann");
	compile(&table);
	assert_true(rules_listener_exposed(table.rules, &listen));
	end(&table);
}

/* ---- explanations ---- */

static void test_explanations(void **state)
{
	struct rule_condition conditions[RULE_CONDITIONS];
	struct rule_query query = ask("a.example");
	struct rule_view view;
	struct table table;
	size_t count;

	begin(&table);
	add_list(&table, "names", "ads.example\n192.0.2.0/24\n");
	struct rule_match_settings *match = add(&table, true);
	match->domains = words(&table, "a.example *.b.example");
	match->lists = words(&table, "names");
	match->addresses = words(&table, "10.0.0.0/8");
	match->ports = words(&table, "1 2 3 4 5 6 7 8 9 10");
	table.items[0].pac = RULE_PAC_DIRECT;
	compile(&table);
	assert_true(rules_explain(table.rules, 0, &query, &table.fixture.arena, conditions, &count));
	assert_int_equal(count, 4);
	assert_string_equal(conditions[0].what, "domains");
	assert_span(conditions[0].text, "a.example, *.b.example");
	assert_int_equal(conditions[0].holds, RULE_HOLDS);
	assert_string_equal(conditions[1].what, "lists");
	assert_int_equal(conditions[1].holds, RULE_HOLDS_UNKNOWN);
	assert_int_equal(conditions[2].holds, RULE_HOLDS_UNKNOWN);
	assert_span(conditions[3].text, "1, 2, 3, 4, 5, 6, 7, 8 and 2 more");
	assert_int_equal(conditions[3].holds, RULE_HOLDS_NOT);
	assert_int_equal(rules_count(table.rules), 1);
	rules_at(table.rules, 0, &view);
	assert_true(view.allow && view.others);
	assert_int_equal(view.pac, RULE_PAC_DIRECT);
	assert_int_equal(view.domain_count, 2);
	assert_span(view.domains[1].name, "b.example");
	assert_int_equal(view.addresses->count, 1);
	assert_int_equal(view.ports->count, 10);
	end(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users_and_groups),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_a_star_of_many),
		cmocka_unit_test(test_regex),
		cmocka_unit_test(test_regex_gives_up),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_a_list_opens_no_address),
		cmocka_unit_test(test_schemes_methods_listeners),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_all_conditions_have_to_hold),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_ways_of_names),
		cmocka_unit_test(test_names_and_mistakes),
		cmocka_unit_test(test_descriptions),
		cmocka_unit_test(test_known_users_are_a_limit),
		cmocka_unit_test(test_explanations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
