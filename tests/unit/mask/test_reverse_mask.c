/*
 * The reverse mask on whole heads: what is dropped, what never is, what the configuration changes of it, and what it costs.
 */
#include "mask_fixture.h"

#include "mask/reverse_mask.h"
#include "mask/reverse_mask_list.h"

struct world {
	struct fixture fixture;
	struct inside *inside;
	struct reverse_mask_settings settings;
	const struct reverse_mask *mask;
	struct http_authority asked;
	struct reverse_mask_view view;
	struct http_head head;
};

static void world_start(struct world *world)
{
	memset(world, 0, sizeof(*world));
	fixture_start(&world->fixture);
	world->inside = inside_new(&world->fixture.arena);
	assert_true(world->inside && inside_add(world->inside, SPAN("app.internal"), 8080));
	world->settings.enabled = world->settings.reasons = world->settings.references = true;
	world->settings.place.line = 3;
	world->asked.host = SPAN("shop.example");
	world->view = (struct reverse_mask_view){
		.server = SPAN("app.internal"),
		.server_port = 8080,
		.asked = &world->asked,
		.authority = SPAN("shop.example"),
		.checked = true,
		.scheme = SPAN("https"),
	};
	world->head = (struct http_head){.status = 404, .reason = SPAN("No such bean in app.internal")};
	http_fields_init(&world->head.fields, &world->fixture.arena);
}

static bool compile(struct world *world)
{
	return reverse_mask_compile(&world->settings, world->inside, &world->fixture.arena,
				    &world->fixture.diagnostics, &world->mask);
}

static void world_end(struct world *world)
{
	reverse_mask_free(world->mask);
	inside_free(world->inside);
	fixture_end(&world->fixture);
}

static void add(struct world *world, const char *name, const char *value)
{
	assert_true(http_fields_add(&world->head.fields, http_field_identify(span_of(name)), span_of(name),
				    span_of(value)));
}

static void apply(struct world *world)
{
	assert_true(reverse_mask_head(world->mask, &world->view, &world->head));
}

static void test_head(void **state)
{
	struct world world;

	world_start(&world);
	assert_true(compile(&world));
	add(&world, "Server", "Apache/2.4.1 (Unix)");
	add(&world, "X_Powered_BY", "PHP/8");
	add(&world, "Location", "http://app.internal:8080/x");
	add(&world, "X-Accel-Redirect", "/internal/file");
	add(&world, "Access-Control-Allow-Origin", "http://app.internal");
	add(&world, "ETag", "\"1\"");
	add(&world, "Set-Cookie", "a=b; Domain=app.internal");
	add(&world, "Set-Cookie", "c=d");
	apply(&world);
	assert_fields(&world.head.fields, "Location: https://shop.example/x\nETag: \"1\"\n"
					  "Set-Cookie: a=b; Domain=shop.example\nSet-Cookie: c=d\n");
	assert_span(world.head.reason, "Not Found");
	world_end(&world);
}

/* `public` says what clients know; a port that nobody has checked is never said. */
static void test_public(void **state)
{
	struct world world;

	world_start(&world);
	world.settings.public = string_of("https://Www.Shop.example:8443");
	assert_true(compile(&world));
	world.view.scheme = SPAN("http");
	add(&world, "Location", "http://app.internal:8080/x");
	add(&world, "Set-Cookie", "a=b; Domain=app.internal");
	apply(&world);
	assert_fields(&world.head.fields, "Location: https://Www.Shop.example:8443/x\n"
					  "Set-Cookie: a=b; Domain=www.shop.example\n");
	world_end(&world);

	world_start(&world);
	assert_true(compile(&world));
	world.view.checked = false;
	add(&world, "Location", "http://app.internal:8080/x");
	apply(&world);
	assert_fields(&world.head.fields, "Location: /x\n");
	world_end(&world);
}

static void test_keep_drop_and_server(void **state)
{
	struct world world;

	world_start(&world);
	world.settings.keep = strings_of(&world.fixture, "X-Powered-* Location");
	world.settings.drop = strings_of(&world.fixture, "X-Build* ETag X-Powered-By");
	world.settings.server = string_of("shop");
	assert_true(compile(&world));
	add(&world, "Server", "a");
	add(&world, "X-Powered-By", "b");
	add(&world, "X-Powered-CMS", "c");
	add(&world, "X-Build-Id", "d");
	add(&world, "etag", "e");
	add(&world, "Location", "http://app.internal/");
	apply(&world);
	assert_fields(&world.head.fields, "X-Powered-CMS: c\nLocation: http://app.internal/\nServer: shop\n");
	world_end(&world);

	/* In an interim head and in trailers nothing is added. */
	world_start(&world);
	world.settings.server = string_of("shop");
	assert_true(compile(&world));
	add(&world, "Server", "a");
	add(&world, "Link", "<http://app.internal/x>");
	world.head.status = 103;
	assert_true(reverse_mask_interim(world.mask, &world.view, &world.head));
	assert_fields(&world.head.fields, "Link: <https://shop.example/x>\n");
	assert_span(world.head.reason, "Early Hints");
	add(&world, "X-Runtime", "1");
	add(&world, "grpc-status", "0");
	assert_true(reverse_mask_trailers(world.mask, &world.view, &world.head.fields));
	assert_fields(&world.head.fields, "Link: <https://shop.example/x>\ngrpc-status: 0\n");
	world_end(&world);
}

static void test_parts_that_are_off(void **state)
{
	struct world world;

	world_start(&world);
	world.settings.reasons = world.settings.references = false;
	assert_true(compile(&world));
	add(&world, "Via", "1.1 app");
	add(&world, "Location", "http://app.internal/");
	apply(&world);
	assert_fields(&world.head.fields, "Location: http://app.internal/\n");
	assert_span(world.head.reason, "No such bean in app.internal");
	world_end(&world);

	world_start(&world);
	world.settings.enabled = false;
	assert_true(compile(&world));
	assert_null(world.mask);
	world_end(&world);
}

static void refused(const char *public, const char *keep, const char *server, const char *words)
{
	struct world world;

	world_start(&world);
	world.settings.public = string_of(public);
	world.settings.drop = strings_of(&world.fixture, "X-A");
	world.settings.keep = strings_of(&world.fixture, keep);
	world.settings.server = string_of(server);
	assert_false(compile(&world));
	assert_null(world.mask);
	if (!said(&world.fixture, words))
		fail_msg("it was not said \"%s\"", words);
	world_end(&world);
}

static void test_wrong_settings(void **state)
{
	refused("ftp://shop.example", "X-B", "", "the scheme is http or https");
	refused("https://shop.example/shop", "X-B", "", "without a path");
	refused("https://", "X-B", "", "is no host: empty host");
	refused("https://a@b", "X-B", "", "is no host");
	refused("", "x-a", "", "\"x-a\" is in both \"keep\" and \"drop\"");
	refused("", "server", "shop", "\"server\" says something else of it");
}

/* Whatever stands in the list goes, alone and with more behind it where it is a beginning. */
static void test_list(void **state)
{
	struct world world;
	char name[128];

	world_start(&world);
	assert_true(compile(&world));
	for (const struct reverse_mask_rows *rows = reverse_mask_list; rows->rows; rows++) {
		for (const char *const *row = rows->rows; *row; row++) {
			bool begins = (*row)[strlen(*row) - 1] == '*';
			snprintf(name, sizeof(name), "%.*s%s", (int)strlen(*row) - begins, *row,
				 begins ? "zq" : "");
			http_fields_init(&world.head.fields, &world.fixture.arena);
			add(&world, name, "x");
			apply(&world);
			bool there = http_fields_find_name(&world.head.fields, span_of(name)) != NULL;
			bool drops = rows->treatment == TREAT_DROP || rows->treatment == TREAT_SERVER;
			if (there == drops)
				fail_msg("%s", name);
		}
	}
	world_end(&world);
}

static const char *const needed[] = {
	"Accept-CH",
	"Accept-Patch",
	"Accept-Post",
	"Accept-Query",
	"Accept-Ranges",
	"Access-Control-Allow-Credentials",
	"Access-Control-Allow-Headers",
	"Access-Control-Allow-Methods",
	"Access-Control-Allow-Origin",
	"Access-Control-Expose-Headers",
	"Access-Control-Max-Age",
	"Age",
	"Allow",
	"Alt-Svc",
	"Authentication-Info",
	"Cache-Control",
	"CDN-Cache-Control",
	"Clear-Site-Data",
	"Content-Digest",
	"Content-Disposition",
	"Content-Encoding",
	"Content-Language",
	"Content-Length",
	"Content-Location",
	"Content-MD5",
	"Content-Range",
	"Content-Security-Policy",
	"Content-Security-Policy-Report-Only",
	"Content-Type",
	"Critical-CH",
	"Cross-Origin-Embedder-Policy",
	"Cross-Origin-Opener-Policy",
	"Cross-Origin-Resource-Policy",
	"Date",
	"DAV",
	"Deprecation",
	"Digest",
	"Docker-Content-Digest",
	"Docker-Distribution-Api-Version",
	"Docker-Upload-UUID",
	"Early-Data",
	"ETag",
	"Expect-CT",
	"Expires",
	"Grpc-Accept-Encoding",
	"grpc-encoding",
	"grpc-message",
	"grpc-status",
	"grpc-status-details-bin",
	"HX-Redirect",
	"HX-Refresh",
	"HX-Retarget",
	"HX-Trigger",
	"Idempotency-Key",
	"Last-Event-ID",
	"Last-Modified",
	"Link",
	"Location",
	"Lock-Token",
	"MS-Author-Via",
	"NEL",
	"No-Vary-Search",
	"OData-Version",
	"Observe-Browsing-Topics",
	"Origin-Agent-Cluster",
	"Origin-Trial",
	"Permissions-Policy",
	"Pragma",
	"Preference-Applied",
	"Prefer",
	"Public-Key-Pins",
	"RateLimit",
	"RateLimit-Limit",
	"RateLimit-Policy",
	"RateLimit-Remaining",
	"RateLimit-Reset",
	"Referrer-Policy",
	"Refresh",
	"Report-To",
	"Reporting-Endpoints",
	"Repr-Digest",
	"Retry-After",
	"Schedule-Tag",
	"Sec-WebSocket-Accept",
	"Sec-WebSocket-Extensions",
	"Sec-WebSocket-Protocol",
	"Service-Worker-Allowed",
	"Set-Cookie",
	"Set-Login",
	"Signature",
	"Signature-Input",
	"SourceMap",
	"Speculation-Rules",
	"Strict-Transport-Security",
	"Sunset",
	"Supports-Loading-Mode",
	"Surrogate-Control",
	"Tk",
	"Timing-Allow-Origin",
	"Trailer",
	"Tus-Resumable",
	"Upload-Offset",
	"Vary",
	"Want-Content-Digest",
	"Warning",
	"WWW-Authenticate",
	"X-Amz-Meta-Author",
	"X-Amz-Version-Id",
	"X-Amz-Checksum-Crc32",
	"X-Amzn-ErrorType",
	"X-Api-Version",
	"X-Build",
	"X-Content-Duration",
	"X-Content-Type-Options",
	"X-Correlation-Id",
	"X-CSRF-Token",
	"X-DNS-Prefetch-Control",
	"X-Download-Options",
	"X-Elastic-Product",
	"X-Frame-Options",
	"X-GitHub-Media-Type",
	"X-Goog-Generation",
	"X-Inertia",
	"X-Next-Page",
	"X-OAuth-Scopes",
	"X-Page",
	"X-Per-Page",
	"X-Permitted-Cross-Domain-Policies",
	"X-Pingback",
	"X-RateLimit-Limit",
	"X-RateLimit-Remaining",
	"X-RateLimit-Reset",
	"X-Request-Id",
	"X-Robots-Tag",
	"X-Shopify-Shop-Api-Call-Limit",
	"X-Total",
	"X-Total-Count",
	"X-Total-Pages",
	"X-UA-Compatible",
	"X-Version",
	"X-WP-Nonce",
	"X-WP-Total",
	"X-WP-TotalPages",
	"X-XSRF-TOKEN",
	"X-XSS-Protection",
	"Api-Supported-Versions",
	"Ms-Request-Id",
	"X-Ms-Version",
	"X-Ms-Request-Id",
	"X-Consul-Index",
	"X-Influxdb",
	"X-Subject-Token",
	"X-Auth-Token",
	"X-Object-Meta-A",
	"X-Container-Meta",
};

static void test_what_is_needed(void **state)
{
	struct world world;

	world_start(&world);
	assert_true(compile(&world));
	for (unsigned i = 0; i < ARRAY_LENGTH(needed); i++)
		add(&world, needed[i], "x");
	apply(&world);
	for (unsigned i = 0; i < ARRAY_LENGTH(needed); i++)
		if (!http_fields_find_name(&world.head.fields, span_of(needed[i])))
			fail_msg("%s", needed[i]);
	world_end(&world);
}

/* Nothing is allocated for a head in which nothing leads inside. */
static void test_costs_no_memory(void **state)
{
	static const char *const fields[][2] = {
		{"Date", "Tue, 24 Nov 2026 03:05:36 GMT"},
		{"Content-Type", "text/html"},
		{"Server", "nginx"},
		{"X-Powered-By", "PHP"},
		{"Location", "https://shop.example/x"},
		{"Link", "</style.css>; rel=preload, <https://cdn.example/a,b>; rel=x; anchor=\"#a\""},
		{"Refresh", "5; url=/x"},
		{"Set-Cookie", "a=b; Path=/; Domain=shop.example; HttpOnly"},
		{"Content-Security-Policy", "default-src 'self' https://cdn.example; report-uri /csp"},
		{"Access-Control-Allow-Origin", "https://shop.example"},
		{"Alt-Svc", "h3=\":443\""},
		{"Permissions-Policy", "camera=(self \"https://cdn.example\")"},
		{"X-Frame-Options", "SAMEORIGIN"},
	};
	struct world world;

	world_start(&world);
	assert_true(compile(&world));
	for (unsigned i = 0; i < ARRAY_LENGTH(fields); i++)
		add(&world, fields[i][0], fields[i][1]);
	const uint8_t *at = world.fixture.arena.at;
	struct arena_page *pages = world.fixture.arena.pages;
	apply(&world);
	assert_ptr_equal(world.fixture.arena.at, at);
	assert_ptr_equal(world.fixture.arena.pages, pages);
	assert_int_equal(http_fields_count_id(&world.head.fields, HTTP_FIELD_SERVER), 0);
	world_end(&world);
}

/* Each name once, whatever its case; so many in a second, and so many in all. */
static void test_names_are_told_once(void **state)
{
	struct told_names *told = calloc(1, sizeof(*told));
	unsigned count = 0;
	char name[32];

	assert_true(told_names_first(told, SPAN("X-Runtime"), 5000));
	assert_false(told_names_first(told, SPAN("x-runtime"), 5000));
	for (unsigned i = 0; i < TOLD_NAMES + 50; i++) {
		snprintf(name, sizeof(name), "x-made-up-%u", i);
		count += told_names_first(told, span_of(name), 5000);
	}
	assert_int_equal(count, TOLD_A_SECOND - 1);
	assert_true(told_names_first(told, SPAN("x-made-up-100"), 6000)); /* in another second it is */
	for (unsigned second = 7; second < 60; second++) {
		for (unsigned i = 0; i < TOLD_NAMES + 50; i++) {
			snprintf(name, sizeof(name), "x-made-up-%u", i);
			count += told_names_first(told, span_of(name), second * 1000);
		}
	}
	assert_int_equal(count, TOLD_NAMES - 2);
	assert_false(told_names_first(told, SPAN("x-one-more"), 100000));
	free(told);
}

static char *read_page(const char *path)
{
	FILE *file = fopen(path, "r");
	char *page = calloc(1, 256 * 1024);

	assert_non_null(file);
	assert_true(fread(page, 1, 256 * 1024 - 1, file) > 0);
	fclose(file);
	return page;
}

/* The page shows the list: all of it, with its reasons, and nothing beside it. */
static void test_page_has_the_list(void **state)
{
	char *page = read_page(TEST_SOURCE_ROOT "/docs/reverse-mask.md"), word[160];
	char *list = strstr(page, "\n## The list\n"), *end = list ? strstr(list + 1, "\n## ") : NULL;
	unsigned rows_count = 0, words = 0;

	assert_true(list && end);
	*end = '\0';
	for (const struct reverse_mask_rows *rows = reverse_mask_list; rows->rows; rows++) {
		snprintf(word, sizeof(word), "**%s**", rows->why);
		if (!strstr(list, word))
			fail_msg("%s", word);
		for (const char *const *row = rows->rows; *row; row++) {
			snprintf(word, sizeof(word), "`%s`", *row);
			rows_count++;
			if (!strstr(list, word))
				fail_msg("%s", word);
		}
	}
	list = strstr(list, "\n**");
	for (char *at = list; at && (at = strchr(at, '`')); at++) {
		if (at[-1] == '\n' || at[-1] == ' ')
			words += at[1] != '\'' && strncmp(at, "`server` says", 13) != 0;
	}
	assert_int_equal(words, rows_count);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_keep_drop_and_server),
		cmocka_unit_test(test_parts_that_are_off),
		cmocka_unit_test(test_wrong_settings),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_what_is_needed),
		cmocka_unit_test(test_costs_no_memory),
		cmocka_unit_test(test_names_are_told_once),
		cmocka_unit_test(test_page_has_the_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
