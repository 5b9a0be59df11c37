/*
 * Forward rules and the egress guard: which rule decides, when an address is needed, and what is never let through.
 */
#include "route_fixture.h"

#include "route/domain.h"
#include "route/guard.h"

/* One rule as a test writes it: members separated by spaces. */
struct given {
	bool allow;
	const char *domains, *addresses, *ports, *methods, *sources;
};

struct asked {
	const char *source, *method, *host, *address;
	uint16_t port;
};

struct table {
	struct fixture fixture;
	struct rule_settings items[16];
	struct forward_settings forward;
	struct rules *rules;
};

static struct setting_strings words(struct table *table, const char *text)
{
	return strings_of(&table->fixture, text ? text : "");
}

static struct rules *compile_again(struct table *table)
{
	struct rule_context context = {.arena = &table->fixture.arena,
				       .diagnostics = &table->fixture.diagnostics};

	return rules_compile(&table->forward, &context);
}

static bool try_compile(struct table *table, const struct given *given, size_t count, const char *sources)
{
	memset(table, 0, sizeof(*table));
	fixture_start(&table->fixture);
	table->forward.rules = (struct setting_list){.items = table->items, .count = count};
	table->forward.sources = words(table, sources);
	for (size_t i = 0; i < count; i++) {
		struct rule_settings *rule = &table->items[i];
		struct rule_match_settings *match = given[i].allow ? &rule->allow : &rule->deny;

		rule->place = (struct setting_place){.line = (unsigned)i + 20, .column = 9};
		*(given[i].allow ? &rule->allow_place : &rule->deny_place) = rule->place;
		match->domains = words(table, given[i].domains);
		match->addresses = words(table, given[i].addresses);
		match->ports = words(table, given[i].ports);
		match->methods = words(table, given[i].methods);
		match->sources = words(table, given[i].sources);
	}
	table->rules = compile_again(table);
	return table->rules != NULL;
}

static void compile(struct table *table, const struct given *given, size_t count, const char *sources)
{
	assert_true(try_compile(table, given, count, sources));
}

static void table_end(struct table *table)
{
	rules_free(table->rules);
	fixture_end(&table->fixture);
}

static struct address ip(const char *text)
{
	struct address address = {.family = ADDRESS_NONE};

	assert_true(address_parse_ip(span_of(text), &address));
	return address;
}

static struct address ip_port(const char *text, uint16_t port)
{
	struct address address = ip(text);

	address.port = port;
	return address;
}

static struct rule_query query_of(const struct asked *asked, struct address *source, struct address *address)
{
	*source = ip(asked->source ? asked->source : "192.0.2.1");
	if (asked->address)
		*address = ip(asked->address);
	return (struct rule_query){
		.source = source,
		.method = span_of(asked->method ? asked->method : "GET"),
		.host = span_of(asked->host ? asked->host : "site.example"),
		.port = asked->port ? asked->port : 80,
		.address = asked->address ? address : NULL,
	};
}

static struct verdict judge(const struct table *table, struct asked asked)
{
	struct address source, address;
	struct rule_query query = query_of(&asked, &source, &address);

	return rules_judge(table->rules, &query);
}

static struct guard_verdict guard(const struct table *table, const struct guard_own *own, struct asked asked)
{
	struct address source, address;
	struct rule_query query = query_of(&asked, &source, &address);

	return guard_judge(table->rules, own, &query);
}

static void test_default_depends_on_the_list(void **state)
{
	const struct given deny[] = {{.domains = "bad.example"}},
			   allow[] = {{.allow = true, .domains = "good.example"}};
	struct table table;

	compile(&table, NULL, 0, NULL);
	assert_int_equal(judge(&table, (struct asked){.port = 25}).outcome, VERDICT_ALLOW);
	assert_int_equal(judge(&table, (struct asked){.port = 25}).reason, VERDICT_BY_DEFAULT);
	table_end(&table);
	compile(&table, deny, 1, NULL);
	assert_int_equal(judge(&table, (struct asked){.host = "other.example"}).outcome, VERDICT_ALLOW);
	assert_int_equal(judge(&table, (struct asked){.host = "BAD.example."}).outcome, VERDICT_DENY);
	assert_int_equal(judge(&table, (struct asked){.host = "BAD.example."}).rule, 0);
	assert_int_equal(judge(&table, (struct asked){.host = "BAD.example."}).place.line, 20);
	table_end(&table);
	compile(&table, allow, 1, NULL);
	assert_int_equal(judge(&table, (struct asked){.host = "good.example"}).outcome, VERDICT_ALLOW);
	assert_int_equal(judge(&table, (struct asked){.host = "other.example"}).outcome, VERDICT_DENY);
	assert_int_equal(judge(&table, (struct asked){.host = "other.example"}).rule, VERDICT_NO_RULE);
	table_end(&table);
}

static void test_conditions_of_a_rule_all_hold(void **state)
{
	const struct given given[] = {{
		.allow = true,
		.domains = "a.example .b.example",
		.ports = "80 8000-8100",
		.methods = "GET CONNECT",
		.sources = "192.0.2.0/24 2001:db8::/32",
	}};
	static const struct {
		struct asked asked;
		bool allowed;
	} cases[] = {
		{{.host = "a.example"}, true},
		{{.host = "x.b.example", .port = 8100, .method = "CONNECT", .source = "2001:db8::5"}, true},
		{{.host = "x.a.example"}, false},
		{{.host = "a.example", .port = 81}, false},
		{{.host = "a.example", .port = 8101}, false},
		{{.host = "a.example", .method = "get"}, false},
		{{.host = "a.example", .source = "192.0.3.1"}, false},
		{{.host = "a.example", .source = "::ffff:192.0.2.9"}, true},
	};
	struct table table;

	compile(&table, given, 1, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		assert_int_equal(judge(&table, cases[i].asked).outcome,
				 cases[i].allowed ? VERDICT_ALLOW : VERDICT_DENY);
	table_end(&table);
}

static void test_first_match_decides(void **state)
{
	const struct given given[] = {
		{.domains = "a.example"},
		{.allow = true, .domains = ".example", .ports = "80"},
		{.ports = "80"},
		{.allow = true},
	};
	struct table table;

	compile(&table, given, 4, NULL);
	assert_int_equal(judge(&table, (struct asked){.host = "a.example"}).rule, 0);
	assert_int_equal(judge(&table, (struct asked){.host = "b.example"}).rule, 1);
	assert_int_equal(judge(&table, (struct asked){.host = "b.test"}).rule, 2);
	assert_int_equal(judge(&table, (struct asked){.host = "b.test", .port = 81}).rule, 3);
	table_end(&table);
}

/* Before the look-up: DENY and ALLOW only when no address could change them. */
static void test_address_is_asked_for_when_it_matters(void **state)
{
	const struct given deny[] = {{.addresses = "203.0.113.0/24"}};
	const struct given both[] = {{.addresses = "203.0.113.0/24", .ports = "80"},
				     {.allow = true, .ports = "80 81"}};
	const struct given allow[] = {{.allow = true, .addresses = "10.0.0.0/8"},
				      {.allow = true, .ports = "80"}};
	const struct given twice[] = {{.addresses = "203.0.113.0/24"}, {.ports = "25"}};
	struct table table;

	compile(&table, deny, 1, NULL);
	assert_int_equal(judge(&table, (struct asked){.port = 80}).outcome, VERDICT_NEEDS_ADDRESS);
	assert_int_equal(judge(&table, (struct asked){.address = "203.0.113.5"}).outcome, VERDICT_DENY);
	assert_int_equal(judge(&table, (struct asked){.address = "198.51.100.5"}).outcome, VERDICT_ALLOW);
	table_end(&table);

	compile(&table, both, 2, NULL);
	assert_int_equal(judge(&table, (struct asked){.port = 80}).outcome, VERDICT_NEEDS_ADDRESS);
	assert_int_equal(judge(&table, (struct asked){.port = 81}).outcome, VERDICT_ALLOW);
	assert_int_equal(judge(&table, (struct asked){.port = 82}).outcome, VERDICT_DENY);
	table_end(&table);

	compile(&table, allow, 2, NULL);
	assert_int_equal(judge(&table, (struct asked){.port = 80}).outcome, VERDICT_ALLOW);
	assert_false(judge(&table, (struct asked){.port = 80}).by_address);
	assert_int_equal(judge(&table, (struct asked){.port = 81}).outcome, VERDICT_NEEDS_ADDRESS);
	assert_true(judge(&table, (struct asked){.port = 80, .address = "10.1.1.1"}).by_address);
	assert_int_equal(judge(&table, (struct asked){.port = 81, .address = "11.1.1.1"}).outcome,
			 VERDICT_DENY);
	table_end(&table);

	compile(&table, twice, 2, NULL);
	assert_int_equal(judge(&table, (struct asked){.port = 25}).outcome, VERDICT_DENY);
	assert_int_equal(judge(&table, (struct asked){.port = 25}).rule, 1);
	table_end(&table);
}

static enum verdict_outcome judge_client(const struct given *given, size_t count, const char *source)
{
	struct asked asked = {.source = source, .method = "UDP", .host = ""};
	struct address from, address;
	struct table table;

	compile(&table, given, count, NULL);
	struct rule_query query = query_of(&asked, &from, &address);
	query.host = (struct span){0};
	query.port = 0;
	struct verdict verdict = rules_judge_client(table.rules, &query);
	assert_true(verdict.outcome == VERDICT_DENY || verdict.actions);
	table_end(&table);
	return verdict.outcome;
}

/* Who names its targets later is let in if there may be one for it. */
static void test_clients_without_a_target(void **state)
{
	const struct given ports[] = {{.allow = true, .ports = "53"}},
			   domains[] = {{.domains = "a.test"}, {.addresses = "10.0.0.0/8"}},
			   method[] = {{.allow = true, .methods = "CONNECT"}},
			   one[] = {{.allow = true, .ports = "53"}, {.methods = "UDP"}},
			   none[] = {{.methods = "UDP"}, {.allow = true}},
			   network[] = {{.sources = "192.0.2.0/24"}, {.allow = true, .domains = "a.test"}};

	assert_int_equal(judge_client(NULL, 0, NULL), VERDICT_ALLOW);
	assert_int_equal(judge_client(ports, 1, NULL), VERDICT_ALLOW);
	assert_int_equal(judge_client(domains, 2, NULL), VERDICT_ALLOW);
	assert_int_equal(judge_client(method, 1, NULL), VERDICT_DENY);
	assert_int_equal(judge_client(one, 2, NULL), VERDICT_ALLOW);
	assert_int_equal(judge_client(none, 2, NULL), VERDICT_DENY);
	assert_int_equal(judge_client(network, 2, "192.0.2.7"), VERDICT_DENY);
	assert_int_equal(judge_client(network, 2, "198.51.100.7"), VERDICT_ALLOW);
}

static void test_sources_of_the_listener(void **state)
{
	const struct given given[] = {{.allow = true}};
	struct address local = {.family = ADDRESS_UNIX};
	struct table table;
	struct verdict verdict;

	compile(&table, given, 1, "192.0.2.0/24");
	assert_int_equal(judge(&table, (struct asked){.source = "192.0.2.7"}).outcome, VERDICT_ALLOW);
	verdict = judge(&table, (struct asked){.source = "192.0.3.7"});
	assert_int_equal(verdict.outcome, VERDICT_DENY);
	assert_int_equal(verdict.reason, VERDICT_BY_SOURCE);
	assert_true(rules_source_allowed(table.rules, &local));
	table_end(&table);
}

static void test_open_proxies_are_seen(void **state)
{
	const struct given by_rule[] = {{.allow = true, .sources = "192.0.2.0/24"}};
	const struct given leaky[] = {{.allow = true, .sources = "192.0.2.0/24"},
				      {.allow = true, .ports = "443"}};
	const struct given deny[] = {{.sources = "192.0.2.0/24"}};
	const struct given all[] = {{.allow = true, .sources = "0.0.0.0/0"}};
	struct address any = ip("0.0.0.0"), any6 = ip("::"), loopback = ip("127.0.0.2"), loopback6 = ip("::1");
	struct address mapped = ip("::ffff:127.0.0.1"), local = {.family = ADDRESS_UNIX},
		       inner = ip("10.0.0.1");
	struct table table;

	compile(&table, NULL, 0, NULL);
	assert_true(rules_listener_exposed(table.rules, &any));
	assert_true(rules_listener_exposed(table.rules, &any6));
	assert_true(rules_listener_exposed(table.rules, &inner));
	assert_false(rules_listener_exposed(table.rules, &loopback));
	assert_false(rules_listener_exposed(table.rules, &loopback6));
	assert_false(rules_listener_exposed(table.rules, &mapped));
	assert_false(rules_listener_exposed(table.rules, &local));
	table_end(&table);
	compile(&table, NULL, 0, "192.0.2.0/24");
	assert_false(rules_listener_exposed(table.rules, &any));
	table_end(&table);
	compile(&table, NULL, 0, "192.0.2.0/24 ::/0");
	assert_true(rules_listener_exposed(table.rules, &any));
	table_end(&table);
	compile(&table, by_rule, 1, NULL);
	assert_false(rules_listener_exposed(table.rules, &any));
	table_end(&table);
	compile(&table, leaky, 2, NULL);
	assert_true(rules_listener_exposed(table.rules, &any));
	table_end(&table);
	compile(&table, deny, 1, NULL);
	assert_true(rules_listener_exposed(table.rules, &any));
	table_end(&table);
	compile(&table, all, 1, NULL);
	assert_true(rules_listener_exposed(table.rules, &any));
	table_end(&table);
}

static void test_mistakes(void **state)
{
	const struct given given[] = {
		{.domains = "a..b 10.0.* http://c", .addresses = "10.0.0.1/8 nonsense", .sources = "10.0.0.0/33"},
		{.allow = true, .ports = "0 70000 90-80 x -5 1-", .methods = "G@T"},
	};
	static const char *const expected[] = {
		"\"a..b\"",        "\"10.0.*\"",  "\"http://c\"", "\"10.0.0.1/8\"",     "\"nonsense\"",
		"\"10.0.0.0/33\"", "port \"0\"",  "\"70000\"",    "\"90-80\": a range", "port \"x\"",
		"port \"-5\"",     "port \"1-\"", "\"G@T\"",
	};
	struct rule_settings neither = {.place = {.line = 4}};
	struct table table;

	assert_false(try_compile(&table, given, 2, "10.0.0.0/8 10.1"));
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
		if (!said(&table.fixture, expected[i]))
			fail_msg("nothing said of %s", expected[i]);
	}
	assert_true(said(&table.fixture, "\"10.1\""));
	table.forward.rules = (struct setting_list){.items = &neither, .count = 1};
	assert_null(compile_again(&table));
	assert_true(said(&table.fixture, "either \"allow\" or \"deny\""));
	table_end(&table);
}

static void test_an_address_among_domains_is_warned_of(void **state)
{
	const struct given given[] = {{.allow = true, .domains = "127.0.0.1"}};
	struct table table;

	compile(&table, given, 1, NULL);
	assert_int_equal(table.fixture.diagnostics.warnings, 1);
	assert_int_equal(judge(&table, (struct asked){.host = "127.0.0.1"}).outcome, VERDICT_ALLOW);
	assert_int_equal(judge(&table, (struct asked){.host = "a"}).outcome, VERDICT_DENY);
	assert_int_equal(guard(&table, NULL, (struct asked){.host = "127.0.0.1", .address = "127.0.0.1"}).outcome,
			 GUARD_SPECIAL);
	table_end(&table);
}

static void test_guard_refuses_what_is_not_public(void **state)
{
	static const char *const refused[] = {
		"127.0.0.1",
		"10.1.2.3",
		"192.168.1.1",
		"172.16.0.1",
		"169.254.169.254",
		"100.64.0.1",
		"0.0.0.0",
		"::1",
		"::",
		"fe80::1",
		"fd00::1",
		"::ffff:10.0.0.1",
		"64:ff9b::10.0.0.1",
		"2002:a00:1::",
		"224.0.0.1",
		"255.255.255.255",
	};
	const struct given given[] = {
		{.allow = true, .ports = "1-65535", .domains = ".example", .sources = "192.0.2.1"}};
	struct guard_verdict verdict;
	struct table table;

	for (int with_rules = 0; with_rules < 2; with_rules++) {
		compile(&table, given, (size_t)with_rules, NULL);
		for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
			verdict = guard(&table, NULL, (struct asked){.address = refused[i]});
			assert_int_equal(verdict.outcome, GUARD_SPECIAL);
			assert_non_null(strstr(verdict.text, "add a rule: allow: {addresses: ["));
		}
		verdict = guard(&table, NULL, (struct asked){.address = "93.184.216.34"});
		assert_int_equal(verdict.outcome, GUARD_ALLOW);
		assert_string_equal(verdict.text, "");
		table_end(&table);
	}
	compile(&table, NULL, 0, NULL);
	verdict = guard(&table, NULL, (struct asked){.address = "10.1.2.3"});
	assert_non_null(strstr(verdict.text, "10.1.2.3 is not public ("));
	assert_non_null(
		strstr(verdict.text, "RFC 1918); to open it, add a rule: allow: {addresses: [10.1.2.3]}"));
	verdict = guard(&table, NULL, (struct asked){.address = "fd00::1"});
	assert_non_null(strstr(verdict.text, "allow: {addresses: [\"fd00::1\"]}"));
	table_end(&table);
}

static void test_guard_opens_by_address_only(void **state)
{
	const struct given given[] = {
		{.addresses = "10.9.0.0/16"},
		{.allow = true, .addresses = "10.0.0.0/8 ::1", .ports = "80"},
		{.allow = true},
	};
	struct table table;

	compile(&table, given, 3, NULL);
	assert_int_equal(guard(&table, NULL, (struct asked){.address = "10.1.1.1"}).outcome, GUARD_ALLOW);
	assert_int_equal(guard(&table, NULL, (struct asked){.address = "::1"}).outcome, GUARD_ALLOW);
	assert_int_equal(guard(&table, NULL, (struct asked){.address = "10.1.1.1", .port = 81}).outcome,
			 GUARD_SPECIAL);
	assert_int_equal(guard(&table, NULL, (struct asked){.address = "10.9.1.1"}).outcome, GUARD_RULE);
	assert_int_equal(guard(&table, NULL, (struct asked){.address = "192.168.0.1"}).outcome, GUARD_SPECIAL);
	assert_int_equal(guard(&table, NULL, (struct asked){.address = "93.184.216.34"}).outcome, GUARD_ALLOW);
	table_end(&table);
}

static void test_guard_knows_own_listeners(void **state)
{
	const struct given given[] = {{.allow = true, .addresses = "93.184.216.34", .ports = "3128"},
				      {.allow = true}};
	struct address listeners[] = {ip_port("0.0.0.0", 3128), ip_port("93.184.216.35", 80),
				      ip_port("::", 8080)};
	struct address interfaces[] = {ip("93.184.216.34"), ip("2600::1"), ip("93.184.216.35")};
	struct address servers[] = {ip_port("93.184.216.36", 3000)};
	struct guard_name names[] = {{SPAN("web.internal"), 8443}, {SPAN("web.internal"), 80}};
	struct address_entry entries[ARRAY_LENGTH(interfaces) + ARRAY_LENGTH(servers) + 1] = {0};
	struct memory memory;
	memory_init(&memory, 0);
	struct guard_own own = {.listeners = listeners,
				.listener_count = 3,
				.interfaces = address_set_new(&memory),
				.broadcasts = address_set_new(&memory),
				.servers = address_set_new(&memory),
				.names = names,
				.name_count = 2};
	struct table table;
	static const struct {
		const char *address;
		uint16_t port;
		enum guard_outcome outcome;
	} cases[] = {
		{"93.184.216.34", 3128, GUARD_OWN},
		{"127.0.0.1", 3128, GUARD_OWN},
		{"127.9.9.9", 3128, GUARD_OWN},
		{"0.0.0.0", 3128, GUARD_OWN},
		{"::ffff:93.184.216.34", 3128, GUARD_OWN},
		{"93.184.216.34", 3129, GUARD_ALLOW},
		{"93.184.216.99", 3128, GUARD_ALLOW},
		{"93.184.216.35", 80, GUARD_OWN},
		{"93.184.216.34", 80, GUARD_ALLOW},
		{"2600::1", 8080, GUARD_OWN},
		{"93.184.216.34", 8080, GUARD_OWN},
		{"::1", 8080, GUARD_OWN},
		{"93.184.216.36", 3000, GUARD_SERVER},
		{"93.184.216.36", 3001, GUARD_ALLOW},
		{"::ffff:93.184.216.36", 3000, GUARD_SERVER},
		{"93.184.216.255", 9, GUARD_BROADCAST},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(interfaces); i++)
		address_set_add(own.interfaces, &entries[i], &interfaces[i]);
	address_set_add(own.servers, &entries[3], &servers[0]);
	struct address broadcast = ip("93.184.216.255");
	address_set_add(own.broadcasts, &entries[4], &broadcast);
	guard_names_sort(names, 2);
	compile(&table, NULL, 0, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		assert_int_equal(guard(&table, &own,
				       (struct asked){.address = cases[i].address, .port = cases[i].port})
					 .outcome,
				 cases[i].outcome);
	table_end(&table);
	compile(&table, given, 2, NULL);
	assert_int_equal(guard(&table, &own, (struct asked){.address = "93.184.216.34", .port = 3128}).outcome,
			 GUARD_ALLOW);
	assert_int_equal(guard(&table, &own, (struct asked){.address = "93.184.216.35", .port = 3128}).outcome,
			 GUARD_OWN);
	/* By its name a server is known whatever the address is at the moment. */
	struct asked named = {.host = "web.internal", .address = "93.184.216.40", .port = 8443};
	assert_int_equal(guard(&table, &own, named).outcome, GUARD_SERVER);
	named.port = 443;
	assert_int_equal(guard(&table, &own, named).outcome, GUARD_ALLOW);
	table_end(&table);
	for (size_t i = 0; i < ARRAY_LENGTH(interfaces); i++)
		address_set_remove(own.interfaces, &entries[i]);
	address_set_remove(own.servers, &entries[3]);
	address_set_remove(own.broadcasts, &entries[4]);
	address_set_free(own.interfaces);
	address_set_free(own.servers);
	address_set_free(own.broadcasts);
	assert_int_equal(atomic_load(&memory.used), 0);
}

static void test_guard_filters_answers(void **state)
{
	struct address answers[] = {ip("10.0.0.1"), ip("93.184.216.34"), ip("::1"), ip("2606:4700::1")};
	struct address inside[] = {ip("10.0.0.1"), ip("10.0.0.2")};
	struct address source = ip("192.0.2.1");
	struct rule_query query = {
		.source = &source, .method = SPAN("GET"), .host = SPAN("a.example"), .port = 443};
	struct guard_verdict refused;
	struct table table;

	compile(&table, NULL, 0, NULL);
	assert_int_equal(guard_filter(table.rules, NULL, &query, answers, 4, NULL), 2);
	assert_true(address_equal(&answers[0], &(struct address){.family = answers[0].family,
								 .ip = {93, 184, 216, 34},
								 .port = 443}));
	assert_int_equal(answers[1].family, ADDRESS_V6);
	assert_int_equal(answers[1].port, 443);
	assert_int_equal(guard_filter(table.rules, NULL, &query, inside, 2, &refused), 0);
	assert_int_equal(refused.outcome, GUARD_SPECIAL);
	assert_non_null(strstr(refused.text, "[10.0.0.1]"));
	table_end(&table);
}

static void test_domain_sets(void **state)
{
	static const char *const in[] = {"a.test", "A.TEST.",  "x.b.test", "x.y.b.test",
					 "c.test", "x.c.test", "d.test",   "x.d.test"};
	static const char *const out[] = {"",     ".",       "x.a.test", "b.test", "xb.test",
					  "test", "xc.test", "a.test.x", "..",     "a.test.."};
	static const char *const patterns[] = {"a.TEST", "*.b.test", ".c.test.", "d.test", "*.d.test"};
	struct fixture fixture;
	struct domain_pattern pattern;
	struct domain_set set;
	char name[600];

	fixture_start(&fixture);
	domain_set_init(&set, &fixture.memory);
	assert_false(domain_set_has(&set, SPAN("a.test")));
	for (size_t i = 0; i < ARRAY_LENGTH(patterns); i++) {
		assert_null(domain_pattern_parse(span_of(patterns[i]), &fixture.arena, &pattern));
		assert_true(domain_set_add(&set, &pattern));
	}
	for (size_t i = 0; i < ARRAY_LENGTH(in); i++)
		assert_true(domain_set_has(&set, span_of(in[i])));
	for (size_t i = 0; i < ARRAY_LENGTH(out); i++)
		assert_false(domain_set_has(&set, span_of(out[i])));
	memset(name, 'a', sizeof(name));
	memcpy(name + sizeof(name) - 7, ".b.test", 7);
	assert_false(domain_set_has(&set, span_make(name, sizeof(name))));
	assert_non_null(domain_pattern_parse(span_make(name, 64), &fixture.arena, &pattern));
	assert_non_null(domain_pattern_parse(span_make(name, sizeof(name)), &fixture.arena, &pattern));
	assert_null(domain_pattern_parse(SPAN("[2001:DB8:0::1]"), &fixture.arena, &pattern));
	assert_span(pattern.name, "2001:db8::1");
	assert_true(pattern.literal);
	domain_set_fini(&set);
	fixture_end(&fixture);
}

static void test_allocation_failures(void **state)
{
	const struct given given[] = {{.domains = "a.test *.b.test c.test d.test"},
				      {.allow = true, .addresses = "10.0.0.0/8"}};
	struct table table;

	for (uint64_t every = 1; every < 20; every++) {
		struct rules *rules;

		compile(&table, given, 2, "192.0.2.0/24");
		memory_fail_every(&table.fixture.memory, every);
		for (int i = 0; i < 20; i++) {
			rules = compile_again(&table);
			assert_true(rules || table.fixture.diagnostics.errors > 0);
			rules_free(rules);
		}
		memory_fail_every(&table.fixture.memory, 0);
		table_end(&table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_depends_on_the_list),
		cmocka_unit_test(test_conditions_of_a_rule_all_hold),
		cmocka_unit_test(test_first_match_decides),
		cmocka_unit_test(test_address_is_asked_for_when_it_matters),
		cmocka_unit_test(test_clients_without_a_target),
		cmocka_unit_test(test_sources_of_the_listener),
		cmocka_unit_test(test_open_proxies_are_seen),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_an_address_among_domains_is_warned_of),
		cmocka_unit_test(test_guard_refuses_what_is_not_public),
		cmocka_unit_test(test_guard_opens_by_address_only),
		cmocka_unit_test(test_guard_knows_own_listeners),
		cmocka_unit_test(test_guard_filters_answers),
		cmocka_unit_test(test_domain_sets),
		cmocka_unit_test(test_allocation_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
