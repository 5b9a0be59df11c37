/*
 * The routes of tcp listeners: names, what is below them, the first that takes, and what is said of those that none reaches.
 */
#include "route_fixture.h"

#include "route/tcp_route.h"

static const char *const groups[] = {"web", "shop", "blog", NULL};

/* One route for each "sni words>group"; of the compiler's allocations each `fail_every`th fails (0: none). */
static struct tcp_router *compile_short(struct fixture *fixture, const char *const *routes, size_t count,
					unsigned fail_every)
{
	struct tcp_route_settings *items = arena_zalloc(&fixture->arena, count, sizeof(*items));
	struct tcp_settings settings = {
		.routes = {.items = items, .count = count},
		.place = {.line = 1, .column = 1},
	};

	assert_non_null(items);
	for (size_t i = 0; i < count; i++) {
		struct span names, to;
		assert_true(span_cut(span_of(routes[i]), '>', &names, &to));
		names = arena_format(&fixture->arena, "%.*s", SPAN_ARG(names));
		items[i] = (struct tcp_route_settings){
			.sni = strings_of(fixture, (const char *)names.at),
			.destination = to_of(fixture, (const char *)to.at),
			.place = {.line = (unsigned)(i + 2), .column = 3},
		};
	}
	memory_fail_every(&fixture->memory, fail_every);
	struct tcp_router *router =
		tcp_router_compile(&settings, &fixture->arena, groups, &fixture->diagnostics);
	memory_fail_every(&fixture->memory, 0);
	return router;
}

static struct tcp_router *compile(struct fixture *fixture, const char *const *routes, size_t count)
{
	return compile_short(fixture, routes, count, 0);
}

struct expectation {
	const char *name;
	int route; /* -1: none */
};

static void assert_routes(const struct tcp_router *router, const struct expectation *expectations, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct tcp_route *route = tcp_router_match(router, span_of(expectations[i].name));
		if ((route ? (int)route->index : -1) != expectations[i].route)
			fail_msg("\"%s\" goes to %d", expectations[i].name, route ? (int)route->index : -1);
	}
}

static void test_names(void **state)
{
	static const char *const routes[] = {"a.example>shop", "*.a.example *.b.example>blog",
					     ".c.example C.A.example>web", "x.y.b.example c.example>shop"};
	static const struct expectation expectations[] = {
		{"a.example", 0},  {"www.a.example", 1}, {"c.a.example", 1},
		{"b.example", -1}, {"x.b.example", 1},   {"x.y.b.example", 1},
		{"c.example", 2},  {"d.c.example", 2},   {"e.d.c.example", 2},
		{"example", -1},   {"aa.example", -1},   {"xa.example", -1},
		{"", -1},          {"a.example.b", -1},  {"a.example.x", -1},
	};
	struct fixture fixture;

	fixture_start(&fixture);
	struct tcp_router *router = compile(&fixture, routes, ARRAY_LENGTH(routes));
	assert_non_null(router);
	assert_true(tcp_router_by_name(router));
	assert_int_equal(tcp_router_count(router), ARRAY_LENGTH(routes));
	assert_int_equal(tcp_router_at(router, 1)->group, 2);
	assert_routes(router, expectations, ARRAY_LENGTH(expectations));
	/* Only the last one has nothing left. */
	assert_int_equal(fixture.diagnostics.warnings, 1);
	assert_true(said(&fixture, "never reached: the routes before it take all its names"));
	assert_int_equal(fixture.diagnostics.first->place.line, 5);
	tcp_router_free(router);
	fixture_end(&fixture);
}

static void test_default(void **state)
{
	static const char *const routes[] = {"a.example>shop", ">web", "b.example>blog", ">blog"};
	static const struct expectation expectations[] = {
		{"a.example", 0}, {"", 1}, {"c.example", 1}, {"b.example", 1}, {"www.a.example", 1}};
	struct fixture fixture;

	fixture_start(&fixture);
	struct tcp_router *router = compile(&fixture, routes, ARRAY_LENGTH(routes));
	assert_non_null(router);
	assert_routes(router, expectations, ARRAY_LENGTH(expectations));
	assert_int_equal(fixture.diagnostics.warnings, 2);
	assert_true(said(&fixture, "never reached: route 1 (line 3) takes everything that it would"));
	tcp_router_free(router);
	fixture_end(&fixture);
}

static void test_single(void **state)
{
	struct fixture fixture;
	struct tcp_settings settings = {.place = {.line = 1, .column = 1}};

	fixture_start(&fixture);
	settings.destination = to_of(&fixture, "shop");
	struct tcp_router *router = tcp_router_compile(&settings, &fixture.arena, groups, &fixture.diagnostics);
	assert_non_null(router);
	assert_false(tcp_router_by_name(router));
	assert_int_equal(tcp_router_count(router), 1);
	assert_int_equal(tcp_router_match(router, SPAN(""))->group, 1);
	assert_int_equal(tcp_router_match(router, SPAN("a.example"))->group, 1);
	tcp_router_free(router);
	fixture_end(&fixture);
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *route, *text;
	} mistakes[] = {
		{"a.example>wbe", "unknown upstream \"wbe\", did you mean \"web\"?"},
		{"a..example>web", "\"sni\" cannot be \"a..example\": a host name has an empty label"},
		{"a.*.example>web", "\"sni\" cannot be \"a.*.example\": \"*\" stands only at the beginning"},
		{"192.0.2.1>web", "\"sni\" cannot be \"192.0.2.1\": an address is no name"},
		{"[::1]>web", "\"sni\" cannot be \"[::1]\": an address is no name"},
		{"a.example:443>web",
		 "\"sni\" cannot be \"a.example:443\": a host name stands without scheme, port and path"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(mistakes); i++) {
		struct fixture fixture;
		fixture_start(&fixture);
		assert_null(compile(&fixture, &mistakes[i].route, 1));
		assert_int_equal(fixture.diagnostics.errors, 1);
		if (!said(&fixture, mistakes[i].text))
			fail_msg("%s", fixture.diagnostics.first->text);
		fixture_end(&fixture);
	}
}

/* Each allocation fails in turn; then there is a mistake, and everything is given back. */
static void test_out_of_memory(void **state)
{
	const char *routes[100];
	bool succeeded = false;

	for (size_t i = 0; i < ARRAY_LENGTH(routes); i++)
		routes[i] = "a.example *.b.example .c.example long-name-of-a-host.d.example>shop";
	for (unsigned nth = 1; nth < 1000 && !succeeded; nth++) {
		struct fixture fixture;
		fixture_start(&fixture);
		struct tcp_router *router = compile_short(&fixture, routes, ARRAY_LENGTH(routes), nth);
		succeeded = router != NULL;
		assert_int_equal(succeeded, fixture.diagnostics.errors == 0);
		tcp_router_free(router);
		fixture_end(&fixture);
	}
	assert_true(succeeded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),         cmocka_unit_test(test_default),
		cmocka_unit_test(test_single),        cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
