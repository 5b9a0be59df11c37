/*
 * Routes: which one a request meets, what a route says, and what is wrong with a configuration.
 */
#include "route_fixture.h"

#include "route/settings.h"

static const char *const groups[] = {"web", "api", NULL};

struct routes {
	struct fixture fixture;
	struct route_settings items[64];
	struct reverse_settings reverse;
	struct router *router;
};

static struct router_context context_of(struct routes *routes)
{
	return (struct router_context){
		.arena = &routes->fixture.arena,
		.diagnostics = &routes->fixture.diagnostics,
		.groups = groups,
	};
}

static struct routes *routes_new(void)
{
	struct routes *routes = calloc(1, sizeof(*routes));

	fixture_start(&routes->fixture);
	routes->reverse.routes.items = routes->items;
	return routes;
}

/* A route to `web`; words separated by spaces, "" = no condition. */
static struct route_settings *routes_add(struct routes *routes, const char *host, const char *path,
					 const char *method)
{
	struct route_settings *route = &routes->items[routes->reverse.routes.count++];

	route->host = strings_of(&routes->fixture, host);
	route->path = strings_of(&routes->fixture, path);
	route->method = strings_of(&routes->fixture, method);
	route->destination = to_of(&routes->fixture, "web");
	route->place = (struct setting_place){.line = (unsigned)routes->reverse.routes.count + 10, .column = 5};
	return route;
}

static bool routes_compile(struct routes *routes)
{
	struct router_context context = context_of(routes);

	routes->router = router_compile(&routes->reverse, &context);
	return routes->router != NULL;
}

static void routes_end(struct routes *routes)
{
	router_free(routes->router);
	fixture_end(&routes->fixture);
	free(routes);
}

/* The index of the route, or minus the error's code. */
static int find(struct routes *routes, const char *method, const char *host, const char *path)
{
	struct route_match match;
	struct error error = ERROR_OK;
	struct http_head head;

	head_make(&routes->fixture, &head, method, host, path);
	if (router_match(routes->router, &head, &routes->fixture.arena, &match, &error))
		return (int)match.route->index;
	return -(int)error.code;
}

static int get(struct routes *routes, const char *host, const char *path)
{
	return find(routes, "GET", host, path);
}

static void test_hosts(void **state)
{
	struct routes *routes = routes_new();

	routes_add(routes, "exact.test", "", "");
	routes_add(routes, "one.test TWO.Test.", "", "");
	routes_add(routes, "*.wild.test", "", "");
	routes_add(routes, ".both.test", "", "");
	routes_add(routes, "[2001:db8:0::1]", "", "");
	routes_add(routes, "127.0.0.1", "", "");
	routes_add(routes, "*.0.0.2", "", "");
	assert_true(routes_compile(routes));
	assert_int_equal(get(routes, "exact.test", "/"), 0);
	assert_int_equal(get(routes, "EXACT.test:8080", "/"), 0);
	assert_int_equal(get(routes, "exact.test.", "/"), 0);
	assert_int_equal(get(routes, "sub.exact.test", "/"), -ERROR_NO_ROUTE);
	assert_int_equal(get(routes, "two.test", "/"), 1);
	assert_int_equal(get(routes, "a.wild.test", "/"), 2);
	assert_int_equal(get(routes, "a.b.wild.test", "/"), 2);
	assert_int_equal(get(routes, "wild.test", "/"), -ERROR_NO_ROUTE);
	assert_int_equal(get(routes, "xwild.test", "/"), -ERROR_NO_ROUTE);
	assert_int_equal(get(routes, "both.test", "/"), 3);
	assert_int_equal(get(routes, "a.both.test", "/"), 3);
	assert_int_equal(get(routes, "[2001:0db8::0001]", "/"), 4);
	assert_int_equal(get(routes, "127.0.0.1", "/"), 5);
	assert_int_equal(get(routes, "127.0.0.2", "/"), -ERROR_NO_ROUTE); /* an address is below nothing */
	assert_int_equal(get(routes, "", "/"), -ERROR_NO_ROUTE);
	routes_end(routes);
}

static void test_paths(void **state)
{
	struct routes *routes = routes_new();

	routes_add(routes, "", "/exact /also%20this", "");
	routes_add(routes, "", "/under/", "");
	routes_add(routes, "", "/pre*", "");
	routes_add(routes, "", "~^/p[0-9]+$", "");
	routes_add(routes, "", "/Caf%c3%a9", "");
	routes_add(routes, "", "/t%65st", "");
	routes_add(routes, "", "/sla/ /slab*", ""); /* prefixes of one length, with a slash and without */
	assert_true(routes_compile(routes));
	assert_int_equal(routes->fixture.diagnostics.warnings, 0);
	assert_int_equal(get(routes, "a", "/exact"), 0);
	assert_int_equal(get(routes, "a", "/exact?a=b"), 0);
	assert_int_equal(get(routes, "a", "/also%20this"), 0);
	assert_int_equal(get(routes, "a", "/Exact"), -ERROR_NO_ROUTE);
	assert_int_equal(get(routes, "a", "/exact/"), -ERROR_NO_ROUTE);
	assert_int_equal(get(routes, "a", "/exactly"), -ERROR_NO_ROUTE);
	assert_int_equal(get(routes, "a", "/%65xact"), 0);
	assert_int_equal(get(routes, "a", "/x/../exact"), 0);
	assert_int_equal(get(routes, "a", "/under/../exact"), 0);
	assert_int_equal(get(routes, "a", "/under/%2e%2e%2fexact"), 0);
	assert_int_equal(get(routes, "a", "/under/"), 1);
	assert_int_equal(get(routes, "a", "/under/a/b"), 1);
	assert_int_equal(get(routes, "a", "/under"), -ERROR_NO_ROUTE);
	assert_int_equal(get(routes, "a", "/underx"), -ERROR_NO_ROUTE);
	assert_int_equal(get(routes, "a", "/pre"), 2);
	assert_int_equal(get(routes, "a", "/prefix/x"), 2);
	assert_int_equal(get(routes, "a", "/p12"), 3);
	assert_int_equal(get(routes, "a", "/p12?x"), 3);
	assert_int_equal(get(routes, "a", "/p12x"), -ERROR_NO_ROUTE);
	assert_int_equal(get(routes, "a", "/Caf%C3%A9"), 4);
	assert_int_equal(get(routes, "a", "/test"), 5);
	assert_int_equal(get(routes, "a", "/sla/x"), 6);
	assert_int_equal(get(routes, "a", "/slabs"), 6);
	assert_int_equal(get(routes, "a", "/%zz"), -ERROR_BAD_TARGET);
	assert_int_equal(get(routes, "a", "/../x"), -ERROR_BAD_TARGET);
	assert_int_equal(find(routes, "OPTIONS", "a", "*"), -ERROR_NO_ROUTE);
	routes_end(routes);
}

static void test_methods_and_fields(void **state)
{
	struct routes *routes = routes_new();
	struct route_match match;
	struct error error;
	struct http_head head;
	static const struct {
		const char *name, *value, *name2, *value2;
		int index;
	} cases[] = {
		{"X-Env", "canary", NULL, NULL, 1},    {"x-env", "canary", NULL, NULL, 1},
		{"X-Env", "Canary", NULL, NULL, -1},   {"X-Debug", "7", NULL, NULL, 2},
		{"X-Debug", "77", NULL, NULL, -1},     {"X-A", "1", NULL, NULL, -1},
		{"X-A", "1", "X-B", "2", 3},           {"X-Any", "", NULL, NULL, 4},
		{"X-Env", "no", "X-Env", "canary", 1},
	};

	routes_add(routes, "", "", "PUT PATCH");
	pair_add(&routes->fixture, &routes_add(routes, "", "", "GET")->fields, "X-Env", "canary");
	pair_add(&routes->fixture, &routes_add(routes, "", "", "GET")->fields, "X-Debug", "~^[0-9]$");
	pair_add(&routes->fixture, &routes_add(routes, "", "", "GET")->fields, "X-A", "1");
	pair_add(&routes->fixture, &routes->items[3].fields, "X-B", "2");
	pair_add(&routes->fixture, &routes_add(routes, "", "", "GET")->fields, "X-Any", "*");
	pair_add(&routes->fixture, &routes_add(routes, "", "", "DELETE")->fields, "X-Never", "");
	assert_true(routes_compile(routes));
	assert_int_equal(find(routes, "PUT", "a", "/"), 0);
	assert_int_equal(find(routes, "PATCH", "a", "/"), 0);
	assert_int_equal(find(routes, "put", "a", "/"), -ERROR_NO_ROUTE);
	assert_int_equal(find(routes, "DELETE", "a", "/"), 5);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		head_make(&routes->fixture, &head, "GET", "a", "/");
		head_add(&head, cases[i].name, cases[i].value);
		if (cases[i].name2)
			head_add(&head, cases[i].name2, cases[i].value2);
		match.route = NULL;
		assert_int_equal(router_match(routes->router, &head, &routes->fixture.arena, &match, &error),
				 cases[i].index >= 0);
		if (match.route)
			assert_int_equal(match.route->index, cases[i].index);
	}
	head_make(&routes->fixture, &head, "DELETE", "a", "/");
	head_add(&head, "x-never", "");
	assert_false(router_match(routes->router, &head, &routes->fixture.arena, &match, &error));
	routes_end(routes);
}

static void test_cookies(void **state)
{
	static const struct {
		const char *cookies, *more;
		int index;
	} cases[] = {
		{"beta=1", NULL, 0},          {"a=b; beta=1; c=d", NULL, 0},
		{"a=b", "beta=\"1\"", 0}, /* HTTP/2 may send each in a field of its own (RFC 9113 8.2.3) */
		{"beta=0; beta=1", NULL, -1}, {"Beta=1", NULL, -1}, /* names have case */
		{"xbeta=1", NULL, -1},        {"side=left-7", NULL, 1},
		{"side=right", NULL, -1},     {"any=", NULL, 2},
		{"beta=1; any=", NULL, 0},
	};
	struct routes *routes = routes_new();
	struct fixture *fixture = &routes->fixture;
	struct route_match match;
	struct http_head head;
	struct error error;

	pair_add(fixture, &routes_add(routes, "", "", "GET")->cookies, "beta", "1");
	pair_add(fixture, &routes_add(routes, "", "", "GET")->cookies, "side", "~^left");
	pair_add(fixture, &routes_add(routes, "", "", "GET")->cookies, "any", "*");
	pair_add(fixture, &routes_add(routes, "", "", "HEAD")->cookies, "any", "");
	assert_true(routes_compile(routes));
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		head_make(fixture, &head, "GET", "a", "/");
		head_add(&head, "Cookie", cases[i].cookies);
		if (cases[i].more)
			head_add(&head, "Cookie", cases[i].more);
		bool found = router_match(routes->router, &head, &fixture->arena, &match, &error);
		if ((found ? (int)match.route->index : -1) != cases[i].index)
			fail_msg("%s", cases[i].cookies);
	}
	assert_int_equal(find(routes, "GET", "a", "/"), -ERROR_NO_ROUTE);
	assert_int_equal(find(routes, "HEAD", "a", "/"), 3);
	head_make(fixture, &head, "HEAD", "a", "/");
	head_add(&head, "Cookie", "x=y; any=z");
	assert_false(router_match(routes->router, &head, &fixture->arena, &match, &error));
	routes_end(routes);
}

/* The first in the file decides, whatever way the later ones are found by. */
static void test_order(void **state)
{
	struct routes *routes = routes_new();

	routes_add(routes, "", "/a/b/", "");           /* 0 */
	routes_add(routes, "*.x.test", "/a/", "");     /* 1 */
	routes_add(routes, "h.x.test", "/a/", "POST"); /* 2 */
	routes_add(routes, "", "~^/a/c", "");          /* 3 */
	routes_add(routes, "h.x.test", "/a/c", "");    /* 4 */
	routes_add(routes, ".test", "", "");           /* 5 */
	routes_add(routes, "h.x.test y.test", "", ""); /* 6 */
	routes_add(routes, "", "", "");                /* 7 */
	assert_true(routes_compile(routes));
	assert_int_equal(get(routes, "h.x.test", "/a/b/c"), 0);
	assert_int_equal(get(routes, "h.x.test", "/a/c"), 1);
	assert_int_equal(find(routes, "POST", "h.x.test", "/a/c"), 1);
	assert_int_equal(get(routes, "y.test", "/a/c"), 3);
	assert_int_equal(get(routes, "y.test", "/"), 5);
	assert_int_equal(get(routes, "other", "/a/c"), 3);
	assert_int_equal(get(routes, "other", "/"), 7);
	assert_int_equal(find(routes, "OPTIONS", "other", "*"), 7);
	routes_end(routes);
}

/* The index gives the same answers as trying one route after the other. */
static void test_index_against_trying_all(void **state)
{
	static const char *const hosts[] = {"", "a.test", "*.a.test", ".test", "b.a.test", "*.test a.test"};
	static const char *const paths[] = {"", "/", "/a", "/a/", "/a/b*", "~b$", "/a/b /c/", "/a*"};
	static const char *const asked_hosts[] = {"a.test", "b.a.test", "c.b.a.test", "test", "z"};
	static const char *const asked_paths[] = {"/", "/a", "/a/", "/a/b", "/a/bc/b", "/c/b", "/ab", "/x/b"};
	unsigned seed = 1;

	for (int round = 0; round < 200; round++) {
		struct routes *all = routes_new();

		for (int i = 0; i < 12; i++) {
			seed = seed * 1103515245 + 12345;
			routes_add(all, hosts[(seed >> 16) % ARRAY_LENGTH(hosts)],
				   paths[(seed >> 20) % ARRAY_LENGTH(paths)], (seed >> 9) % 3 ? "" : "POST");
		}
		assert_true(routes_compile(all));
		for (size_t h = 0; h < ARRAY_LENGTH(asked_hosts); h++) {
			for (size_t p = 0; p < ARRAY_LENGTH(asked_paths); p++) {
				int expected = -ERROR_NO_ROUTE;

				for (int i = 0; i < 12 && expected < 0; i++) {
					struct routes *one = routes_new();

					one->items[0] = all->items[i];
					one->reverse.routes.count = 1;
					assert_true(routes_compile(one));
					if (get(one, asked_hosts[h], asked_paths[p]) == 0)
						expected = i;
					routes_end(one);
				}
				assert_int_equal(get(all, asked_hosts[h], asked_paths[p]), expected);
			}
		}
		routes_end(all);
		if (round == 20)
			break;
	}
}

static void test_actions(void **state)
{
	struct routes *routes = routes_new();
	struct route_settings *item;
	const struct route *route;

	item = routes_add(routes, "", "/1", "");
	item->destination = to_of(&routes->fixture, "api");
	item->limits.body = 10;
	item->set_host = "fixed.test:81";
	item = routes_add(routes, "", "/2", "");
	item->destination.to.items = NULL;
	item->respond.place.line = 3;
	item->respond.status = 404;
	item->respond.body = (struct setting_string){.text = "a\0b", .len = 3};
	pair_add(&routes->fixture, &item->respond.fields, "X-A", "b");
	item = routes_add(routes, "", "/3", "");
	item->destination.to.items = NULL;
	item->redirect = "https://{host}{uri}";
	item->redirect_status = 301;
	item->set_host = "server";
	assert_true(routes_compile(routes));
	assert_int_equal(router_count(routes->router), 3);

	route = router_at(routes->router, 0);
	assert_int_equal(route->action, ROUTE_TO);
	assert_int_equal(route->group, 1);
	assert_int_equal(route->body_limit, 10);
	assert_int_equal(route->set_host, ROUTE_HOST_FIXED);
	assert_span(route->host, "fixed.test:81");
	assert_null(route->request);
	route = router_at(routes->router, 1);
	assert_int_equal(route->action, ROUTE_RESPOND);
	assert_int_equal(route->respond.status, 404);
	assert_int_equal(route->respond.body.len, 3);
	assert_span(route->respond.type, "text/plain; charset=utf-8");
	assert_int_equal(route->respond.field_count, 1);
	assert_span(route->respond.fields[0].name, "X-A");
	assert_int_equal(route->set_host, ROUTE_HOST_PRESERVE);
	route = router_at(routes->router, 2);
	assert_int_equal(route->action, ROUTE_REDIRECT);
	assert_int_equal(route->redirect_status, 301);
	assert_non_null(route->redirect);
	assert_int_equal(route->set_host, ROUTE_HOST_SERVER);
	routes_end(routes);
}

/* All mistakes in one run. */
static void test_mistakes(void **state)
{
	static const char *const expected[] = {
		"unknown upstream \"wbe\", did you mean \"web\"?",
		"this one has none",
		"this one has more",
		"host \"a b\"",
		"host \"http://x\"",
		"host \"a.*.b\"",
		"path \"/a*b\"",
		"path \"/a?b\"",
		"path \"/%zz\"",
		"pattern \"(\"",
		"method \"G(\"",
		"no route can be found by Host: use the route's \"host\"",
		"set_host \"a b\"",
		"status 204 has no body",
		"Content-Length cannot be set here",
		"unknown variable \"{hots}\", did you mean \"{host}\"?",
		"Host cannot be edited: use \"set_host\"",
		"\"to\" begins with \"/\"",
		"no group of this number",
		"\"x y\" is not a field name",
		"\"a b\" is not a cookie's name",
		"no cookie can have this value",
	};
	struct routes *routes = routes_new();
	struct fixture *fixture = &routes->fixture;
	struct route_settings *item;
	struct setting_string two_words = string_of("a b");

	routes_add(routes, "", "", "")->destination = to_of(fixture, "wbe");
	routes_add(routes, "", "", "")->destination.to.items = NULL;
	routes_add(routes, "", "", "")->redirect = "/x";
	routes_add(routes, "", "", "")->host = (struct setting_strings){.items = &two_words, .count = 1};
	routes_add(routes, "http://x a.*.b", "/a*b /a?b /%zz ~(", "G(");
	pair_add(fixture, &routes_add(routes, "", "", "")->fields, "Host", "x");
	routes_add(routes, "", "", "")->set_host = "a b";
	item = routes_add(routes, "", "", "");
	item->destination.to.items = NULL;
	item->respond.place.line = 1;
	item->respond.status = 204;
	item->respond.body = string_of("x");
	pair_add(fixture, &item->respond.fields, "Content-Length", "1");
	item = routes_add(routes, "", "", "");
	item->destination.to.items = NULL;
	item->redirect = "https://{hots}/";
	pair_add(fixture, &routes_add(routes, "", "", "")->request.set, "Host", "x");
	pair_add(fixture, &routes_add(routes, "", "", "")->cookies, "a b", "x");
	pair_add(fixture, &routes_add(routes, "", "", "")->cookies, "a", "x;y");
	pair_add(fixture, &routes_add(routes, "", "", "")->response.add, "x y", "x");
	routes_add(routes, "", "", "")->rewrite = (struct rewrite_settings){.from = "/a", .to = "b"};
	routes_add(routes, "", "", "")->rewrite = (struct rewrite_settings){.from = "~(a)", .to = "/$2"};
	assert_false(routes_compile(routes));
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
		if (!said(fixture, expected[i]))
			fail_msg("nothing said of: %s", expected[i]);
	}
	routes_end(routes);
}

static void test_unreachable_routes_are_warned_of(void **state)
{
	struct routes *routes = routes_new();

	routes_add(routes, ".a.test", "/x/", "");                                        /* 0 */
	routes_add(routes, "a.test", "/x/y", "");                                        /* 1: covered */
	routes_add(routes, "b.a.test", "/x/*", "");                                      /* 2: covered */
	routes_add(routes, "b.a.test", "/x", "");                                        /* 3 */
	routes_add(routes, "a.test c.test", "/x/", "");                                  /* 4 */
	routes_add(routes, "", "", "GET HEAD");                                          /* 5 */
	routes_add(routes, "", "/z", "GET");                                             /* 6: covered */
	routes_add(routes, "", "", "");                                                  /* 7 */
	pair_add(&routes->fixture, &routes_add(routes, "", "", "")->fields, "X-A", "1"); /* 8: covered */
	pair_add(&routes->fixture, &routes_add(routes, "", "", "")->cookies, "a", "1");  /* 9: covered */
	assert_true(routes_compile(routes));
	assert_int_equal(routes->fixture.diagnostics.errors, 0);
	assert_int_equal(routes->fixture.diagnostics.warnings, 5);
	assert_int_equal(routes->fixture.diagnostics.first->place.line, 12);
	assert_true(said(&routes->fixture, "never reached: route 0 (line 11)"));
	routes_end(routes);
}

static void test_cookies_that_leave_nothing(void **state)
{
	struct routes *routes = routes_new();

	pair_add(&routes->fixture, &routes_add(routes, "", "", "")->cookies, "a", "*"); /* 0 */
	pair_add(&routes->fixture, &routes_add(routes, "", "", "")->cookies, "a", "1"); /* 1: covered */
	pair_add(&routes->fixture, &routes_add(routes, "", "", "")->cookies, "A", "1"); /* 2 */
	pair_add(&routes->fixture, &routes_add(routes, "", "", "")->cookies, "a", "");  /* 3 */
	assert_true(routes_compile(routes));
	assert_int_equal(routes->fixture.diagnostics.warnings, 1);
	assert_int_equal(routes->fixture.diagnostics.first->place.line, 12);
	routes_end(routes);
}

static void test_method_in_lower_case_is_warned_of(void **state)
{
	struct routes *routes = routes_new();

	routes_add(routes, "", "", "get");
	assert_true(routes_compile(routes));
	assert_true(said(&routes->fixture, "methods have case"));
	routes_end(routes);
}

static void check_rewrite(const char *from, const char *to, const char *path, const char *expected)
{
	struct routes *routes = routes_new();
	struct error error = ERROR_OK;
	struct route_match match;
	struct http_head head;
	struct span sent;

	routes_add(routes, "", "", "")->rewrite = (struct rewrite_settings){.from = from, .to = to};
	assert_true(routes_compile(routes));
	head_make(&routes->fixture, &head, "GET", "a", path);
	assert_true(router_match(routes->router, &head, &routes->fixture.arena, &match, &error));
	if (expected) {
		assert_true(route_rewrite(&match, &head, &routes->fixture.arena, &sent, &error));
		assert_span(sent, expected);
	} else {
		assert_false(route_rewrite(&match, &head, &routes->fixture.arena, &sent, &error));
		assert_int_equal(error.code, ERROR_BAD_TARGET);
	}
	routes_end(routes);
}

static void test_rewrite(void **state)
{
	check_rewrite("/api/", "/v2/", "/api/x?y", "/v2/x?y");
	check_rewrite("/api/", "/", "/api/", "/");
	check_rewrite("/api", "/", "/api", "/");
	check_rewrite("/api/", "/", "/api/?a=/api/", "/?a=/api/");
	check_rewrite("/api/", "/v2/", "/other/api/", "/other/api/");
	check_rewrite("/api/", "/v2/$1", "/api/x", "/v2/$1x");
	check_rewrite("~^/u/([a-z]+)/(\\d+)$", "/users/$2/$1", "/u/ann/7?q=1", "/users/7/ann?q=1");
	check_rewrite("~^/u/([a-z]+)/(\\d+)$", "/users/$2/$1", "/u/ann/x", "/u/ann/x");
	check_rewrite("~foo", "bar", "/a/foo/foo", "/a/bar/foo");
	check_rewrite("~^/(x)?(y)", "/$1$2$$$0", "/y", "/y$/y");
	check_rewrite("~^/x/", "", "/x/y", "/y");
	/* The client's spelling stays where that is safe. */
	check_rewrite("/api/", "/v2/", "/api/a%2Fb%20c%7e", "/v2/a%2Fb%20c%7e");
	check_rewrite("/api/", "/v2/", "/%61pi/a%2Fb", "/v2/a/b");
	check_rewrite("/api/", "/v2/", "/x/../api/y?z", "/v2/y?z");
}

/* Whatever the spelling, nothing climbs out of the place that the rewrite gives. */
static void test_rewrite_does_not_climb(void **state)
{
	check_rewrite("/api/", "/v2/", "/api/a/../../api/b", "/v2/b");
	check_rewrite("/api/", "/v2/", "/api/%2e%2e/x", "/api/%2e%2e/x");
	check_rewrite("/api/", "/v2/", "/api/..%2fadmin", "/api/..%2fadmin");
	check_rewrite("/api/", "/v2/", "/api/a%2f..%2fb", "/v2/b");
	check_rewrite("/files", "/data/", "/files../secret", NULL);
	check_rewrite("/files", "/data/", "/files%2e%2e/secret", NULL);
	check_rewrite("/files", "/data/", "/files..", NULL);
	check_rewrite("~^/(.)x(.)/", "/$1$2/", "/.x./etc", NULL);
	check_rewrite("/files", "/data/", "/files..x", "/data/..x");
	check_rewrite("/files", "/data/", "/files...", "/data/...");
}

/* A pattern that would take for ever is given up, and no later route is taken instead. */
static void test_catastrophic_patterns_end(void **state)
{
	struct routes *routes = routes_new();
	char path[64];

	routes_add(routes, "", "~^/(a+)+$", "");
	routes_add(routes, "", "", "");
	assert_true(routes_compile(routes));
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 2] = 'b';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(get(routes, "a", path), -ERROR_INTERNAL);
	assert_int_equal(get(routes, "a", "/aaa"), 0);
	assert_int_equal(get(routes, "a", "/b"), 1);
	routes_end(routes);
}

/* Long subjects need more than the JIT's stack; the answer is the same. */
static void test_long_subject(void **state)
{
	struct routes *routes = routes_new();
	static char path[1200];

	routes_add(routes, "", "~^/(?:(a)|(b))*$", "");
	assert_true(routes_compile(routes));
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	assert_int_equal(get(routes, "a", path), 0);
	routes_end(routes);
}

static void test_allocation_failures(void **state)
{
	for (uint64_t every = 1; every < 60; every++) {
		struct routes *routes = routes_new();

		for (int i = 0; i < 40; i++) {
			struct route_settings *item =
				routes_add(routes, i % 2 ? "a.test *.b.test" : "c.test", "/a/ /b", "GET");

			pair_add(&routes->fixture, &item->fields, "X-A", "~^a");
			pair_add(&routes->fixture, &item->request.set, "X-A", "{host}{uri}");
			item->rewrite = (struct rewrite_settings){.from = "~^/(a)", .to = "/$1"};
		}
		memory_fail_every(&routes->fixture.memory, every);
		if (!routes_compile(routes))
			assert_true(routes->fixture.diagnostics.errors > 0);
		memory_fail_every(&routes->fixture.memory, 0);
		routes_end(routes);
	}
}

static void test_match_without_memory(void **state)
{
	struct routes *routes = routes_new();
	struct error error = ERROR_OK;
	struct route_match match;
	struct http_head head;
	struct arena none;

	routes_add(routes, "", "~^/a", "");
	assert_true(routes_compile(routes));
	head_make(&routes->fixture, &head, "GET", "a", "/a");
	arena_init(&none, &routes->fixture.memory, NULL, NULL, 0);
	memory_fail_every(&routes->fixture.memory, 1);
	assert_false(router_match(routes->router, &head, &none, &match, &error));
	assert_int_equal(error.code, ERROR_MEMORY);
	memory_fail_every(&routes->fixture.memory, 0);
	arena_fini(&none);
	routes_end(routes);
}

/* Every row of the tables can be written to, and says what it is for. */
static void check_rows(const struct setting *rows)
{
	for (; rows->key; rows++) {
		assert_non_null(rows->summary);
		assert_non_null(rows->example);
		assert_int_equal(rows->summary[strlen(rows->summary) - 1], '.');
		if (rows->rows)
			check_rows(rows->rows);
		if (rows->kind == SETTING_LIST)
			assert_true(rows->item_size > 0);
	}
}

static void test_rows(void **state)
{
	check_rows(reverse_rows);
	check_rows(forward_rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_methods_and_fields),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_index_against_trying_all),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_unreachable_routes_are_warned_of),
		cmocka_unit_test(test_cookies_that_leave_nothing),
		cmocka_unit_test(test_method_in_lower_case_is_warned_of),
		cmocka_unit_test(test_rewrite),
		cmocka_unit_test(test_rewrite_does_not_climb),
		cmocka_unit_test(test_catastrophic_patterns_end),
		cmocka_unit_test(test_long_subject),
		cmocka_unit_test(test_allocation_failures),
		cmocka_unit_test(test_match_without_memory),
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
