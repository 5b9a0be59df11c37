/*
 * Forward masks and Via: what servers see of client and proxy, and how loops are found.
 */
#include "mask_fixture.h"

#include "mask/forward_mask.h"
#include "mask/forwarded.h"
#include "route/settings.h"

#define OWN                                                                                                  \
	{"Via", "1.1 before"}, {"X-Forwarded-For", "198.51.100.7"}, {"forwarded", "for=198.51.100.7"},       \
		{"Proxy-Authorization", "Basic eDp5"}, {"X-Forwarded-Host", "inner.example"},                \
		{"X_Forwarded_For", "198.51.100.7"}, {"X-Real-IP", "198.51.100.7"},                          \
		{"CLIENT-IP", "198.51.100.7"}, {"True-Client-IP", "x"}, {"CF-Connecting-IP", "x"},           \
		{"Proxy-Anything", "x"}, {"X-Proxy-ID", "x"}, {"X-Remote-Addr", "x"}, {"X-Msisdn", "x"},     \
	{                                                                                                    \
		"X_Real-IP", "x"                                                                             \
	}

static const char *const own[][2] = {{"User-Agent", "b/1"}, OWN, {"Cookie", "a=b"}, {"X-Forward", "no"}};

static void make(struct fixture *fixture, struct http_head *head, const char *const (*fields)[2], size_t count)
{
	fixture_start(fixture);
	head_make(fixture, head, "GET", "a.test", "/");
	for (size_t i = 0; i < count; i++)
		head_add(head, fields[i][0], fields[i][1]);
}

static struct forward_mask_settings settings_of(enum forward_mask_kind kind)
{
	return (struct forward_mask_settings){
		.kind = kind, .client_address = true, .cookies = true, .alt_svc = true, .place = {3, 5}};
}

static const struct forward_mask *compile(struct fixture *fixture, const struct forward_mask_settings *settings)
{
	const struct forward_mask *mask = NULL;

	assert_true(forward_mask_compile(settings, &fixture->arena, &fixture->diagnostics, &mask));
	assert_int_equal(fixture->diagnostics.errors, 0);
	assert_int_equal(forward_mask_kind(mask), settings->kind);
	return mask;
}

/* What becomes of `fields` by the mask of these settings, for a client at this address. */
static void check_fields(const struct forward_mask_settings *settings, const char *client,
			 const char *const (*fields)[2], size_t count, const char *expected)
{
	struct address address = ip(client);
	struct fixture fixture;
	struct http_head head;

	make(&fixture, &head, fields, count);
	assert_true(forward_mask_request(compile(&fixture, settings), &address, SPAN("masked"), &head));
	assert_fields(&head.fields, expected);
	fixture_end(&fixture);
}

static void check(enum forward_mask_kind kind, const char *client, const char *expected)
{
	struct forward_mask_settings settings = settings_of(kind);

	check_fields(&settings, client, own, ARRAY_LENGTH(own), expected);
}

static void test_elite_tells_nothing(void **state)
{
	check(FORWARD_ELITE, "127.0.0.77", "User-Agent: b/1\nCookie: a=b\nX-Forward: no\n");
}

static void test_anonymous_tells_of_the_proxy(void **state)
{
	check(FORWARD_ANONYMOUS, "127.0.0.77",
	      "User-Agent: b/1\nVia: 1.1 before, 1.1 masked\nCookie: a=b\nX-Forward: no\n");
}

static void test_transparent_tells_of_both(void **state)
{
	struct forward_mask_settings settings = settings_of(FORWARD_TRANSPARENT);
	struct address local = ip("unix");
	struct fixture fixture;
	struct http_head head;

	check_fields(&settings, "2001:db8::1", own, 4,
		     "User-Agent: b/1\nVia: 1.1 before, 1.1 masked\n"
		     "X-Forwarded-For: 198.51.100.7, 2001:db8::1\n"
		     "Forwarded: for=198.51.100.7, for=\"[2001:db8::1]\"\n");
	make(&fixture, &head, NULL, 0);
	head.version = HTTP_VERSION_10;
	assert_true(forward_mask_request(compile(&fixture, &settings), &local, SPAN("masked"), &head));
	assert_fields(&head.fields, "Via: 1.0 masked\n");
	fixture_end(&fixture);
	check_fields(&settings, "::ffff:192.0.2.1", NULL, 0,
		     "X-Forwarded-For: 192.0.2.1\nForwarded: for=192.0.2.1\nVia: 1.1 masked\n");
}

/* A client that says who it is by itself is believed by no server that trusts the proxy: the field is the proxy's. */
static void test_transparent_keeps_what_others_told(void **state)
{
	static const char *const fields[][2] = {{"X-Client-IP", "198.51.100.7"},
						{"Proxy-Authorization", "Basic eDp5"},
						{"X-Own", "192.0.2.1"}};
	struct forward_mask_settings settings = settings_of(FORWARD_TRANSPARENT);

	check_fields(&settings, "192.0.2.1", fields, ARRAY_LENGTH(fields),
		     "X-Client-IP: 198.51.100.7\nX-Own: 192.0.2.1\nX-Forwarded-For: 192.0.2.1\n"
		     "Forwarded: for=192.0.2.1\nVia: 1.1 masked\n");
}

static const char *const answer[][2] = {{"Server", "x"},
					{"Via", "1.1 cdn"},
					{"Proxy-Authenticate", "Basic realm=x"},
					{"Proxy-Authentication-Info", "x"},
					{"Alt-Svc", "h3=\":443\""},
					{"Set-Cookie", "a=b"}};

static void test_responses(void **state)
{
	struct forward_mask_settings elite = settings_of(FORWARD_ELITE), other = settings_of(FORWARD_ANONYMOUS);
	struct fixture fixture;
	struct http_head head;

	make(&fixture, &head, answer, ARRAY_LENGTH(answer));
	assert_true(forward_mask_response(compile(&fixture, &elite), SPAN("masked"), &head));
	assert_fields(&head.fields, "Server: x\nVia: 1.1 cdn\nAlt-Svc: h3=\":443\"\nSet-Cookie: a=b\n");
	assert_true(forward_mask_response(compile(&fixture, &other), SPAN("masked"), &head));
	assert_fields(&head.fields,
		      "Server: x\nVia: 1.1 cdn, 1.1 masked\nAlt-Svc: h3=\":443\"\nSet-Cookie: a=b\n");
	fixture_end(&fixture);
	elite.cookies = elite.alt_svc = false;
	make(&fixture, &head, answer, ARRAY_LENGTH(answer));
	forward_mask_hide(compile(&fixture, &elite), &head.fields);
	assert_fields(&head.fields, "Server: x\nVia: 1.1 cdn\n");
	fixture_end(&fixture);
}

/* One field of each name, and the mask of these settings; is it there afterwards? */
static void check_name(const struct forward_mask_settings *settings, const char *name, bool passes)
{
	const char *const fields[][2] = {{name, "x"}};
	struct address client = ip("192.0.2.1");
	struct fixture fixture;
	struct http_head head;

	make(&fixture, &head, fields, 1);
	assert_true(forward_mask_request(compile(&fixture, settings), &client, SPAN("masked"), &head));
	if (!head.fields.items[0].dropped != passes)
		fail_msg("%s %s", name, passes ? "was dropped" : "passed");
	fixture_end(&fixture);
}

static void test_names(void **state)
{
	static const char *const telling[] = {
		"via",
		"VIA",
		"X-Forwarded",
		"x-forwarded-anything",
		"FORWARDED",
		"Forwarded-For",
		"Forwarded_For_Ip",
		"Proxy-Connection",
		"X_REAL_IP",
		"X-Client-IP",
		"X-Cluster-Client-IP",
		"CF-Connecting-IPv6",
		"Fastly-FF",
		"X-Up-Calling-Line-ID",
		"x_up_subno",
		"X-Nokia-MSISDN",
		"X-UIDH",
		"X-VF-ACR",
		"X-WAP-3GPP-IMSI",
		"WL-Proxy-Client-IP",
		"CDN-Loop",
		"CloudFront-Viewer-Address",
		"Client-Cert",
		"X-Azure-ClientIP",
		"HTTP_X_FORWARDED_FOR",
		"Proxy_Authorization",
	};
	static const char *const plain[] = {
		"X",
		"User-Agent",
		"X-Forward",
		"Viable",
		"Proxy",
		"X-Client-Data",
		"Referer",
		"X-Host",
		"Cookie",
		"Accept",
		"X-Requested-With",
		"Authorization",
		"X-Upload-Type",
		"Fastly-Key",
		"CF-Access-Client-Id",
		"Client-ID",
		"X-API-Key",
		"Sec-CH-UA",
		"Traceparent",
		"From",
		"X-Wap-Profile",
	};
	struct forward_mask_settings settings = settings_of(FORWARD_ELITE);

	for (size_t i = 0; i < ARRAY_LENGTH(telling); i++)
		check_name(&settings, telling[i], false);
	for (size_t i = 0; i < ARRAY_LENGTH(plain); i++)
		check_name(&settings, plain[i], true);
}

static void test_exceptions_and_additions(void **state)
{
	struct setting_string keep[] = {string_of("X-Forwarded-Proto"), string_of("CF-*"),
					string_of("X-Corp-Public")};
	struct setting_string drop[] = {string_of("X-Corp-*"), string_of("sec_ch_ua*"), string_of("Pragma")};
	struct forward_mask_settings settings = settings_of(FORWARD_ELITE);

	settings.keep = (struct setting_strings){.items = keep, .count = ARRAY_LENGTH(keep)};
	settings.drop = (struct setting_strings){.items = drop, .count = ARRAY_LENGTH(drop)};
	for (unsigned round = 0; round < 2; round++) {
		settings.unknown = round ? FORWARD_ALLOWLIST : FORWARD_PASS;
		check_name(&settings, "x-forwarded-proto", true);
		check_name(&settings, "X-Forwarded-For", false);
		check_name(&settings, "CF-Ray", true);
		check_name(&settings, "CF-Anything", true);
		check_name(&settings, "X-Corp-Id", false);
		check_name(&settings, "X_Corp_Public", true);
		check_name(&settings, "Sec-CH-UA-Model", false);
		check_name(&settings, "Pragma", false);
		check_name(&settings, "Accept", true);
		check_name(&settings, "Authorization", true);
		check_name(&settings, "Sec-Fetch-Site", true);
		check_name(&settings, "X-Anything", round == 0);
	}
	settings.kind = FORWARD_TRANSPARENT;
	check_name(&settings, "X-Corp-Id", false);
	check_name(&settings, "X-Forwarded-Host", true);
	check_name(&settings, "X-Anything", false);
}

static void test_client_address(void **state)
{
	static const char *const fields[][2] = {{"User-Agent", "Mozilla/5.0 Chrome/192.0.2.11"},
						{"X-Own", "me=192.0.2.1;"},
						{"X-Other", "192.0.2.11"},
						{"Cookie", "ip=[::FFFF:c000:201]"}};
	struct forward_mask_settings settings = settings_of(FORWARD_ANONYMOUS);
	struct address client = ip("192.0.2.1"), local = ip("127.0.0.1");
	struct fixture fixture;

	check_fields(&settings, "192.0.2.1", fields, ARRAY_LENGTH(fields),
		     "User-Agent: Mozilla/5.0 Chrome/192.0.2.11\nX-Other: 192.0.2.11\nVia: 1.1 masked\n");
	fixture_start(&fixture);
	const struct forward_mask *mask = compile(&fixture, &settings);
	assert_true(forward_mask_is_told(mask, &client, SPAN("/?me=192.0.2.1")));
	assert_false(forward_mask_is_told(mask, &client, SPAN("/?me=192.0.2.12")));
	assert_false(forward_mask_is_told(mask, &local, SPAN("/?me=127.0.0.1")));
	settings.client_address = false;
	assert_false(forward_mask_is_told(compile(&fixture, &settings), &client, SPAN("/?me=192.0.2.1")));
	fixture_end(&fixture);
	check_fields(&settings, "192.0.2.1", fields + 1, 1, "X-Own: me=192.0.2.1;\nVia: 1.1 masked\n");
}

static void test_trailers(void **state)
{
	static const char *const fields[][2] = {
		{"X-Sum", "1"}, {"X-Forwarded-For", "x"}, {"X-Where", "192.0.2.1"}, {"X-Corp", "1"}};
	struct setting_string drop = string_of("X-Corp");
	struct forward_mask_settings settings = settings_of(FORWARD_ELITE);
	struct address client = ip("192.0.2.1");
	struct fixture fixture;
	struct http_head head;

	settings.drop = (struct setting_strings){.items = &drop, .count = 1};
	make(&fixture, &head, fields, ARRAY_LENGTH(fields));
	forward_mask_trailers(compile(&fixture, &settings), &client, &head.fields);
	assert_fields(&head.fields, "X-Sum: 1\n");
	fixture_end(&fixture);
}

static void test_steps(void **state)
{
	static const char *const fields[][2] = {{"cookie", "a=b"},         {"x-b", "2"},
						{"ACCEPT-LANGUAGE", "de"}, {"user-agent", "b/1"},
						{"User-Agent", "b/2"},     {"X-A", "1"}};
	struct forward_mask_settings settings = settings_of(FORWARD_ELITE);

	settings.user_agent = string_of("plain");
	settings.accept_language = string_of("en");
	settings.dnt = settings.gpc = true;
	settings.cookies = false;
	check_fields(&settings, "192.0.2.1", fields, ARRAY_LENGTH(fields),
		     "x-b: 2\nAccept-Language: en\nUser-Agent: plain\nX-A: 1\nDNT: 1\nSec-GPC: 1\n");
	settings = settings_of(FORWARD_ELITE);
	settings.order = true;
	check_fields(&settings, "192.0.2.1", fields, ARRAY_LENGTH(fields),
		     "Accept-Language: de\nCookie: a=b\nUser-Agent: b/1\nUser-Agent: b/2\nX-A: 1\nX-B: 2\n");
}

static void test_referer(void **state)
{
	static const struct {
		const char *value, *origin;
		bool same;
	} cases[] = {
		{"http://a.test/x?y", "http://a.test/", true},
		{"http://A.test:80/x", "http://A.test:80/", true},
		{"HTTP://a.test", "HTTP://a.test/", true},
		{"https://a.test/x", "https://a.test/", false},
		{"http://b.test/x?http://a.test/", "http://b.test/", false},
		{"http://a.test:81/", "http://a.test:81/", false},
		{"http://user:word@a.test/x", "http://a.test/", true},
		{"http://a.test#x@b.test", "http://a.test/", true},
		{"http://[2001:db8::1]:8080/x", "http://[2001:db8::1]:8080/", false},
		{"/relative", NULL, false},
		{"about:blank", NULL, false},
		{"android-app://com.example/", NULL, false},
		{"http://", NULL, false},
		{"http://a test/", NULL, false},
		{"", NULL, false},
	};
	struct forward_mask_settings settings = settings_of(FORWARD_ELITE);

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const char *const fields[][2] = {{"Referer", cases[i].value}};
		char expected[200] = "";

		if (cases[i].origin)
			snprintf(expected, sizeof(expected), "Referer: %s\n", cases[i].origin);
		settings.referer = FORWARD_REFERER_ORIGIN;
		check_fields(&settings, "192.0.2.1", fields, 1, expected);
		snprintf(expected, sizeof(expected), "Referer: %s\n", cases[i].value);
		settings.referer = FORWARD_REFERER_SAME_ORIGIN;
		check_fields(&settings, "192.0.2.1", fields, 1, cases[i].same ? expected : "");
		settings.referer = FORWARD_REFERER_NONE;
		check_fields(&settings, "192.0.2.1", fields, 1, "");
	}
}

/* Settings that contradict themselves: the first complaint, and where it points to. */
static void check_wrong(const struct forward_mask_settings *settings, const char *complaint)
{
	const struct forward_mask *mask = NULL;
	struct fixture fixture;

	fixture_start(&fixture);
	assert_false(forward_mask_compile(settings, &fixture.arena, &fixture.diagnostics, &mask));
	assert_true(said(&fixture, complaint));
	assert_int_equal(fixture.diagnostics.first->place.line, 7);
	fixture_end(&fixture);
}

static void test_contradictions(void **state)
{
	struct setting_string row;
	struct forward_mask_settings keep = settings_of(FORWARD_ELITE), drop;

	keep.keep = (struct setting_strings){.items = &row, .count = 1};
#define CHECK_ROW(settings, name, complaint) (row = string_of(name), check_wrong(&(settings), complaint))
	CHECK_ROW(keep, "Proxy_Authorization", "\"Proxy_Authorization\" cannot be kept");
	CHECK_ROW(keep, "proxy-*", "\"proxy-*\" cannot be kept");
	keep.cookies = false;
	CHECK_ROW(keep, "Cookie", "\"cookies: false\"");
	drop = settings_of(FORWARD_ANONYMOUS);
	drop.drop = keep.keep;
	CHECK_ROW(drop, "Via", "\"Via\" cannot be dropped");
	drop = settings_of(FORWARD_TRANSPARENT);
	drop.drop = keep.keep;
	CHECK_ROW(drop, "X-Forwarded-*", "\"kind: transparent\"");
	drop = settings_of(FORWARD_ELITE);
	drop.drop = keep.keep;
	CHECK_ROW(drop, "Host", "Host cannot be dropped");
	CHECK_ROW(drop, "content-length", "content-length cannot be dropped");
	drop.user_agent = string_of("x");
	CHECK_ROW(drop, "user_agent", "\"user_agent\" sets it");
	drop.keep = drop.drop;
	CHECK_ROW(drop, "X-A*", "is in \"keep\" too");
#undef CHECK_ROW
}

static void test_loops_are_found_in_via(void **state)
{
	static const struct {
		const char *via;
		bool here;
	} cases[] = {
		{"1.1 guise", true},
		{"1.0 other, 1.1 GUISE", true},
		{"HTTP/1.1 guise (comment)", true},
		{"1.1 guise(c), 1.1 x", true},
		{"1.1\tguise", true},
		{",, 1.1 guise ,", true},
		{"1.0 other, 1.1 guise2 (guise)", false},
		{"1.1 x (a, 1.1 guise)", false},
		{"1.1 x (a \\), 1.1 guise)", false},
		{"1.1 x ((a), 1.1 guise)", false},
		{"1.1 x (a) , 1.1 guise", true},
		{"guise", false},
		{"guise 1.1", false},
		{"1.1 guise.example", false},
		{"", false},
		{"1.1", false},
		{"1.1 x (\\", false},
		{"1.1 x )), 1.1 guise", true},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct fixture fixture;
		struct http_head head;

		make(&fixture, &head, NULL, 0);
		head_add(&head, "Via", "1.1 first");
		head_add(&head, "via", cases[i].via);
		if (via_has(&head.fields, SPAN("guise")) != cases[i].here)
			fail_msg("wrong answer for Via: %s", cases[i].via);
		fixture_end(&fixture);
	}
}

static void test_allocation_failures(void **state)
{
	struct forward_mask_settings settings = settings_of(FORWARD_TRANSPARENT);
	struct address client = ip("192.0.2.1");
	const struct forward_mask *mask;
	struct fixture fixture;
	struct http_head head;

	settings.order = true;
	settings.referer = FORWARD_REFERER_ORIGIN;
	for (uint64_t every = 1; every < 5; every++) {
		make(&fixture, &head, own, ARRAY_LENGTH(own));
		const struct forward_mask *good = compile(&fixture, &settings);
		memory_fail_every(&fixture.memory, every);
		for (int i = 0; i < 60; i++) {
			(void)!forward_mask_request(good, &client, SPAN("masked"), &head);
			(void)!forward_mask_compile(&settings, &fixture.arena, &fixture.diagnostics, &mask);
		}
		memory_fail_every(&fixture.memory, 0);
		fixture_end(&fixture);
	}
}

/* The usual request costs no memory at all: what is dropped is only marked. */
static void test_hot_path_allocates_nothing(void **state)
{
	struct forward_mask_settings settings = settings_of(FORWARD_ELITE);
	struct address client = ip("192.0.2.1");
	struct fixture fixture;
	struct http_head head;

	make(&fixture, &head, own, ARRAY_LENGTH(own));
	const struct forward_mask *mask = compile(&fixture, &settings);
	const uint8_t *at = fixture.arena.at;
	assert_true(forward_mask_request(mask, &client, SPAN("masked"), &head));
	assert_ptr_equal(fixture.arena.at, at);
	fixture_end(&fixture);
}

static const char *const *choices_of(const struct setting *rows, const char *key)
{
	for (; rows->key; rows++) {
		if (strcmp(rows->key, key) == 0)
			return rows->choices;
	}
	return NULL;
}

/* The rows stand in another room: their choices and these enums have one order. */
static void test_choices_and_enums_agree(void **state)
{
	const char *const *masks = choices_of(forward_mask_rows, "kind"), *const *styles = choices_of(
										  reverse_rows, "forwarded");

	assert_string_equal(masks[FORWARD_TRANSPARENT], "transparent");
	assert_string_equal(masks[FORWARD_ANONYMOUS], "anonymous");
	assert_string_equal(masks[FORWARD_ELITE], "elite");
	const char *const *unknowns = choices_of(forward_mask_rows, "unknown");
	const char *const *referers = choices_of(forward_mask_rows, "referer");
	assert_string_equal(unknowns[FORWARD_PASS], "pass");
	assert_string_equal(unknowns[FORWARD_ALLOWLIST], "allowlist");
	assert_string_equal(referers[FORWARD_REFERER_FULL], "full");
	assert_string_equal(referers[FORWARD_REFERER_ORIGIN], "origin");
	assert_string_equal(referers[FORWARD_REFERER_SAME_ORIGIN], "same_origin");
	assert_string_equal(referers[FORWARD_REFERER_NONE], "none");
	assert_string_equal(styles[FORWARDED_BOTH], "both");
	assert_string_equal(styles[FORWARDED_X], "x_forwarded");
	assert_string_equal(styles[FORWARDED_RFC7239], "rfc7239");
	assert_string_equal(styles[FORWARDED_OFF], "off");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elite_tells_nothing),
		cmocka_unit_test(test_anonymous_tells_of_the_proxy),
		cmocka_unit_test(test_transparent_tells_of_both),
		cmocka_unit_test(test_transparent_keeps_what_others_told),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_exceptions_and_additions),
		cmocka_unit_test(test_client_address),
		cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_referer),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_loops_are_found_in_via),
		cmocka_unit_test(test_allocation_failures),
		cmocka_unit_test(test_hot_path_allocates_nothing),
		cmocka_unit_test(test_choices_and_enums_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
