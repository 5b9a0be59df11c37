/*
 * References in fields of responses: what leads to a server leads to the public name, what grants something to one is taken out, and nothing else changes.
 */
#include "mask_fixture.h"

#include "mask/reference.h"

struct world {
	struct fixture fixture;
	struct inside *inside;
	struct address address;
	struct reference_map map;
};

/* A server "app.internal:8080" at 10.0.0.7, others beside it; the client asked for shop.example, and the route replaces /api/ by /v2/. */
static void world_start(struct world *world)
{
	static const char *const hosts[] = {"app.internal", "db.internal", "web", "10.0.0.8", "fd00::8"};

	fixture_start(&world->fixture);
	world->inside = inside_new(&world->fixture.arena);
	assert_non_null(world->inside);
	for (unsigned i = 0; i < ARRAY_LENGTH(hosts); i++)
		assert_true(inside_add(world->inside, span_of(hosts[i]), 8080));
	world->address = ip("10.0.0.7");
	world->map = (struct reference_map){
		.inside = world->inside,
		.server = SPAN("app.internal"),
		.said = SPAN("fixed.corp.example"),
		.address = &world->address,
		.server_port = 8080,
		.asked = SPAN("shop.example"),
		.asked_port = 443,
		.scheme = SPAN("https"),
		.authority = SPAN("shop.example"),
		.host = SPAN("shop.example"),
		.from = SPAN("/api/"),
		.to = SPAN("/v2/"),
		.arena = &world->fixture.arena,
	};
}

static void world_end(struct world *world)
{
	inside_free(world->inside);
	fixture_end(&world->fixture);
}

static const char gone[] = "(gone)";

/* `expected` NULL: it stays. A value is copied to a place of its own, so that a read beyond its end is seen. */
static void expect(struct world *world,
		   enum reference_fate (*reader)(const struct reference_map *map, struct span *value),
		   const char *value, const char *expected)
{
	struct span copy = arena_copy(&world->fixture.arena, span_of(value)), out = copy;

	switch (reader(&world->map, &out)) {
	case REFERENCE_STAYS:
		if (expected)
			fail_msg("\"%s\" stays, and not \"%s\"", value, expected);
		assert_ptr_equal(out.at, copy.at);
		assert_int_equal(out.len, copy.len);
		break;
	case REFERENCE_CHANGED:
		if (!expected || !span_equal(out, span_of(expected)))
			fail_msg("\"%s\" becomes \"%.*s\", and not \"%s\"", value, SPAN_ARG(out),
				 expected ? expected : "the same");
		assert_true(http_is_field_value(out));
		break;
	case REFERENCE_GOES:
		if (expected != gone)
			fail_msg("\"%s\" goes", value);
		break;
	case REFERENCE_MEMORY:
		fail();
	}
}

struct pair {
	const char *value, *expected;
};

static void expect_all(enum reference_fate (*reader)(const struct reference_map *map, struct span *value),
		       const struct pair *pairs, size_t count)
{
	struct world world;

	world_start(&world);
	for (size_t i = 0; i < count; i++)
		expect(&world, reader, pairs[i].value, pairs[i].expected);
	world_end(&world);
}

static void test_locations(void **state)
{
	static const struct pair pairs[] = {
		{"http://app.internal:8080/v2/login?next=/v2/#top",
		 "https://shop.example/api/login?next=/v2/#top"},
		{"http://APP.Internal./v2/", "https://shop.example/api/"},
		{"http://app.internal", "https://shop.example/"},
		{"http://app.internal?x", "https://shop.example/?x"},
		{"http://app.internal:/other", "https://shop.example/other"},
		{"https://db.internal/x", "https://shop.example/x"},
		{"http://10.0.0.7/v2/x", "https://shop.example/api/x"},
		{"http://10.0.0.8:99/", "https://shop.example/"},
		{"http://[fd00:0::8]:8080/", "https://shop.example/"},
		{"http://web/x", "https://shop.example/x"},
		{"http://fixed.corp.example/v2/x", "https://shop.example/api/x"},
		{"http://user:secret@app.internal/x", "https://shop.example/x"},
		{"http://a@b@app.internal/x", "https://shop.example/x"},
		{"http://app%2Einternal/x", "https://shop.example/x"},
		{"//app.internal/v2/x", "//shop.example/api/x"},
		{"HTTP://app.internal/x", "https://shop.example/x"},
		{"/v2/x?y#z", "/api/x?y#z"},
		{"/v2", "/api"},
		{"/v2x", NULL},
		{"/other", NULL},
		{"x/../y", NULL},
		{"?page=2", NULL},
		{"#top", NULL},
		{"", NULL},
		{"mailto:someone@app.internal", NULL},
		{"http://elsewhere.example/v2/x", NULL},
		{"https://shop.example/v2/x", "https://shop.example/api/x"},
		{"https://shop.example/x", NULL},
		{"http://shop.example/x", NULL}, /* the server's own wish */
		{"http://shop.example:8080/v2/x", "https://shop.example/api/x"},
		{"https://shop.example:9443/x", NULL},
		{"https://shop.example:443/x", NULL},
		/* read in more than one way: gone, if it names a server */
		{"http:/app.internal/x", gone},
		{"http:app.internal/x", gone},
		{"HTTP:web/x", gone},
		{"https:web", gone},
		{"https:", NULL},
		{"urn:web", NULL},
		{"http:\\\\app.internal\\x", gone},
		{"http:///app.internal/x", gone},
		{"\\\\app.internal/x", gone},
		{"/\\app.internal/x", gone},
		{"///app.internal/x", gone},
		{"/\t/app.internal/x", gone},
		{"http://app.internal\\@elsewhere.example/", gone},
		{"http://app.internal:x/", gone},
		{"http://app.internal:99999/", gone},
		{"http://[fd00::8/", NULL}, /* no program takes that for an address */
		{"app.internal:8080/x", gone},
		{"ftp://app.internal/x", gone},
		{"ftp://elsewhere.example/x", NULL},
		{"/\\elsewhere.example/x", NULL},
		{"http:\\\\elsewhere.example", NULL},
		{"http://app.internal.example/", NULL},
		{"http://notapp.internal/", NULL},
	};

	expect_all(reference_location, pairs, ARRAY_LENGTH(pairs));
}

/* Without a public name references lead where the client is; nobody can be made to go elsewhere by it. */
static void test_relative(void **state)
{
	static const struct pair pairs[] = {
		{"http://app.internal:8080/v2/login?x", "/api/login?x"},
		{"http://app.internal", "/"},
		{"//app.internal/x", "/x"},
		{"http://app.internal//evil.example/x", "/.//evil.example/x"},
		{"http://app.internal///evil.example/x", "/.///evil.example/x"},
		{"http://app.internal/\\evil.example/x", "/./\\evil.example/x"},
		{"http://shop.example:8080/v2/x", "/api/x"},
		{"http://shop.example/x", NULL},
	};
	struct world world;

	world_start(&world);
	world.map.authority = world.map.host = (struct span){0};
	for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++)
		expect(&world, reference_location, pairs[i].value, pairs[i].expected);
	world.address = ip("::7");
	expect(&world, reference_location, "http://[::7]/x", "/x");
	expect(&world, reference_location, "http://[::9]/x", NULL);
	world.map.from = SPAN("/");
	expect(&world, reference_location, "/v2//evil.example", "/.//evil.example");
	expect(&world, reference_location, "http://app.internal/v2//evil.example", "/.//evil.example");
	expect(&world, reference_location, "/v2", "/");
	world_end(&world);
}

/* What an application that knows where it is seen says is not put there twice. */
static void test_paths_that_are_public_already(void **state)
{
	struct world world;

	world_start(&world);
	world.map.from = SPAN("/shop/");
	world.map.to = SPAN("/");
	expect(&world, reference_location, "/login", "/shop/login");
	expect(&world, reference_location, "/shop/login", NULL);
	expect(&world, reference_location, "http://app.internal/shop/login", "https://shop.example/shop/login");
	expect(&world, reference_cookie, "a=b; Path=/", "a=b; Path=/shop/");
	expect(&world, reference_cookie, "a=b; Path=/shop/", NULL);
	world.map.from = world.map.to = (struct span){0};
	expect(&world, reference_location, "/v2/x", NULL);
	world_end(&world);
}

/* A client that came by http and is sent to https is not sent to where it was. */
static void test_from_http_to_https(void **state)
{
	struct world world;

	world_start(&world);
	world.map.scheme = SPAN("http");
	world.map.asked_port = 8000;
	world.map.authority = SPAN("shop.example:8000");
	expect(&world, reference_location, "http://app.internal/x", "http://shop.example:8000/x");
	expect(&world, reference_location, "https://app.internal/x", "https://shop.example/x");
	world.map.server_secure = true;
	expect(&world, reference_location, "https://app.internal/x", "http://shop.example:8000/x");
	world_end(&world);
}

static void test_refresh(void **state)
{
	static const struct pair pairs[] = {
		{"5; url=http://app.internal/v2/x", "5; url=https://shop.example/api/x"},
		{"5;URL='http://app.internal/x'", "5;URL='https://shop.example/x'"},
		{"0,url = \"http://app.internal/x\" and more", "0,url = \"https://shop.example/x\" and more"},
		{"5 http://app.internal/x", "5 https://shop.example/x"},
		{"5; /v2/x", "5; /api/x"},
		{"1.5; url=http://app.internal/x", "1.5; url=https://shop.example/x"},
		{"5", NULL},
		{"5;", NULL},
		{"5; url=", NULL},
		{"5; url=''", NULL},
		{"5; url=/x", NULL},
		{"soon; url=http://app.internal/x", gone},
		{"5x; url=http://app.internal/x", gone},
		{"soon; url=http://elsewhere.example/x", NULL},
		{"", NULL},
	};

	expect_all(reference_refresh, pairs, ARRAY_LENGTH(pairs));
}

static void test_links(void **state)
{
	static const struct pair pairs[] = {
		{"<http://app.internal/v2/s.css>; rel=preload; as=style",
		 "<https://shop.example/api/s.css>; rel=preload; as=style"},
		{"</a,b>; rel=x, <http://app.internal/c,d>;rel=\"y, z\",</v2/e>",
		 "</a,b>; rel=x, <https://shop.example/c,d>;rel=\"y, z\", </api/e>"},
		{"<http://elsewhere.example/>; rel=x", NULL},
		{"</x>; rel=next; anchor=\"http://app.internal/v2/\"; title=\"a\"",
		 "</x>; rel=next; anchor=\"https://shop.example/api/\"; title=\"a\""},
		{"</v2/x>; Anchor = /v2/y", "</api/x>; Anchor = /api/y"},
		{"</x>; title=\"; anchor=http://app.internal\"", NULL},
		{"http://app.internal/; rel=x, </y>", "</y>"},
		{"<http://app.internal/; rel=x", gone},
		{"http://elsewhere.example/; rel=x", NULL},
		{", ,</x>,", NULL},
		{"<http:app.internal>, </v2/y>", "</api/y>"},
		{"", NULL},
	};

	expect_all(reference_link, pairs, ARRAY_LENGTH(pairs));
}

static void test_cookies(void **state)
{
	static const struct pair pairs[] = {
		{"a=b; Domain=app.internal; Path=/v2/; HttpOnly; Secure",
		 "a=b; Domain=shop.example; Path=/api/; HttpOnly; Secure"},
		{"a=b;domain = .app.internal ;path = /v2", "a=b;domain = shop.example ;path = /api"},
		{"a=b; Domain=internal", "a=b; Domain=shop.example"},
		{"a=b; Domain=.corp.example", "a=b; Domain=shop.example"},
		{"a=b; Domain=shop.example", NULL},
		{"a=b; Domain=.example", NULL},
		{"a=b; Domain=elsewhere.test", NULL},
		{"a=b; Path=/x", NULL},
		{"a=b; Path", NULL},
		{"a=b; Domain", NULL},
		{"a=b;", NULL},
		{"a=b", NULL},
		{"", NULL},
		{"a=app.internal; Comment=/v2/", NULL},
		{"a=b; Path=/v2/x; Path=/v2/y", "a=b; Path=/api/x; Path=/api/y"},
		{"__Host-a=b; Path=/v2/; Secure", NULL},
		{"__Secure-a=b; Path=/v2/; Secure", "__Secure-a=b; Path=/api/; Secure"},
		{"; Domain=app.internal", "; Domain=shop.example"},
	};
	struct world world;

	expect_all(reference_cookie, pairs, ARRAY_LENGTH(pairs));
	/* No public name, or one that no Domain can be: the cookie is the host's alone. */
	world_start(&world);
	world.map.authority = world.map.host = (struct span){0};
	expect(&world, reference_cookie, "a=b; Domain=app.internal; Path=/x", "a=b; Path=/x");
	expect(&world, reference_cookie, "a=b;Domain=app.internal", "a=b");
	expect(&world, reference_cookie, ";Domain=app.internal", gone);
	expect(&world, reference_cookie, ";Domain=app.internal;x", ";x");
	world.map.authority = world.map.host = SPAN("192.0.2.1");
	expect(&world, reference_cookie, "a=b; HttpOnly; Domain=app.internal", "a=b; HttpOnly");
	world_end(&world);
}

/* Nobody may do more than the server said. */
static void test_policies(void **state)
{
	static const struct pair pairs[] = {
		{"default-src 'self' http://app.internal https://cdn.example; img-src *",
		 "default-src 'self' https://cdn.example; img-src *"},
		{"script-src http://app.internal; style-src web:8080; font-src *.internal",
		 "script-src 'none'; style-src 'none'; font-src 'none'"},
		{"frame-ancestors web", "frame-ancestors 'none'"},
		{"connect-src wss://app.internal:8080/x 'self'", "connect-src 'self'"},
		{"report-uri http://app.internal/csp; default-src 'self'", "default-src 'self'"},
		{"report-uri http://app.internal/csp /csp", "report-uri /csp"},
		{"report-uri http://app.internal/csp", gone},
		{"trusted-types web; report-to web; sandbox allow-scripts", NULL},
		{"script-src 'nonce-app.internal' 'sha256-x' https: data:", NULL},
		{"script-src 'self', img-src app.internal", "script-src 'self', img-src 'none'"},
		{"script-src http://user@app.internal", "script-src 'none'"},
		{"script-src shop.example *.example", NULL},
		{";;", NULL},
		{"", NULL},
	};

	expect_all(reference_policy, pairs, ARRAY_LENGTH(pairs));
}

static void test_what_grants_something(void **state)
{
	struct world world;

	world_start(&world);
	expect(&world, reference_whole, "http://app.internal:8080", gone);
	expect(&world, reference_whole, "http://web", gone);
	expect(&world, reference_whole, "*", NULL);
	expect(&world, reference_whole, "null", NULL);
	expect(&world, reference_whole, "https://shop.example", NULL);
	expect(&world, reference_whole, "{\"endpoints\":[{\"url\":\"https://app.internal/r\"}]}", gone);
	expect(&world, reference_whole, "http://[fd00::8]:80/x", gone);
	expect(&world, reference_whole, "http://[::1/x", NULL);
	expect(&world, reference_whole, "the web is wide", NULL);
	expect(&world, reference_list, "h2=\"app.internal:443\"; ma=60, h3=\":443\"", "h3=\":443\"");
	expect(&world, reference_list, "h2=\"web:443\"", gone);
	expect(&world, reference_list, "a=\"https://x.example/,y\", b=\"https://app.internal/\"",
	       "a=\"https://x.example/,y\"");
	expect(&world, reference_list, "clear", NULL);
	expect(&world, reference_permissions, "geolocation=(self \"https://app.internal\"), camera=()",
	       "geolocation=(self ), camera=()");
	expect(&world, reference_permissions, "geolocation=\"https://app.internal\"", "geolocation=()");
	expect(&world, reference_permissions, "geolocation=https://app.internal", gone);
	expect(&world, reference_permissions, "geolocation=*", NULL);
	expect(&world, reference_frame, "ALLOW-FROM http://app.internal/", "DENY");
	expect(&world, reference_frame, "SAMEORIGIN", NULL);
	world_end(&world);
}

static enum reference_fate (*const readers[])(const struct reference_map *map, struct span *value) = {
	reference_location, reference_refresh, reference_link,        reference_cookie, reference_whole,
	reference_list,     reference_policy,  reference_permissions, reference_frame,
};

/* Cut at every byte: nothing is read beyond the end, and what has the whole name in it and is a value still never shows it. */
static void test_cut_anywhere(void **state)
{
	static const char *const values[] = {
		"http://user:x@app.internal:8080/v2/x?y#z",
		"5; url=\"http://app.internal/v2/x\"",
		"<http://app.internal/a>; rel=\"x\"; anchor=\"http://app.internal/v2/\", <//app.internal/>",
		"a=b; Domain=.app.internal; Path=/v2/x",
		"default-src http://app.internal *.internal; report-uri http://app.internal/ ; img-src [::1]",
		"h2=\"app.internal:443\"; ma=1, h3=\"[fd00::8]:443\"",
		"geolocation=(\"https://app.internal\" self), camera=\"http://app.internal\"",
	};
	struct world world;

	for (unsigned i = 0; i < ARRAY_LENGTH(values); i++) {
		for (size_t cut = 0; cut <= strlen(values[i]); cut++) {
			for (unsigned j = 0; j < ARRAY_LENGTH(readers); j++) {
				world_start(&world);
				uint8_t *copy = malloc(cut + 1); /* of its own: what is read beyond is seen */
				struct span value = span_make(copy, cut);
				memcpy(copy, values[i], cut);
				enum reference_fate fate = readers[j](&world.map, &value);
				assert_int_not_equal(fate, REFERENCE_MEMORY);
				if (fate == REFERENCE_CHANGED)
					assert_true(http_is_field_value(value) && value.len > 0);
				free(copy);
				world_end(&world);
			}
		}
	}
}

/* Out of memory is said, wherever it comes. */
static void test_without_memory(void **state)
{
	struct memory memory;
	struct arena arena;
	struct world world;

	world_start(&world);
	memory_init(&memory, 1);
	arena_init(&arena, &memory, NULL, NULL, 0);
	world.map.arena = &arena;
	struct pair pairs[] = {{"http://app.internal/v2/", NULL},
			       {"5; url=/v2/", NULL},
			       {"</v2/>", NULL},
			       {"a=b; Path=/v2/", NULL},
			       {NULL, NULL},
			       {"http://app.internal, x", NULL},
			       {"img-src app.internal", NULL},
			       {"a=(\"http://app.internal\")", NULL}};
	for (unsigned i = 0; i < ARRAY_LENGTH(pairs); i++) {
		if (!pairs[i].value)
			continue;
		struct span value = span_of(pairs[i].value);
		assert_int_equal(readers[i](&world.map, &value), REFERENCE_MEMORY);
	}
	arena_fini(&arena);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_locations),
		cmocka_unit_test(test_relative),
		cmocka_unit_test(test_paths_that_are_public_already),
		cmocka_unit_test(test_from_http_to_https),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_what_grants_something),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
