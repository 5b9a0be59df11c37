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

static void check(enum forward_mask_kind mask, const char *client, const char *expected)
{
	struct address address = ip(client);
	struct fixture fixture;
	struct http_head head;

	make(&fixture, &head, own, ARRAY_LENGTH(own));
	assert_true(forward_mask_request(mask, &address, SPAN("masked"), &head));
	assert_fields(&head.fields, expected);
	fixture_end(&fixture);
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
	struct address client = ip("2001:db8::1"), local = ip("unix");
	struct fixture fixture;
	struct http_head head;

	make(&fixture, &head, own, 4);
	assert_true(forward_mask_request(FORWARD_TRANSPARENT, &client, SPAN("masked"), &head));
	assert_fields(&head.fields, "User-Agent: b/1\nVia: 1.1 before, 1.1 masked\n"
				    "X-Forwarded-For: 198.51.100.7, 2001:db8::1\n"
				    "Forwarded: for=198.51.100.7, for=\"[2001:db8::1]\"\n");
	fixture_end(&fixture);
	make(&fixture, &head, NULL, 0);
	head.version = HTTP_VERSION_10;
	assert_true(forward_mask_request(FORWARD_TRANSPARENT, &local, SPAN("masked"), &head));
	assert_fields(&head.fields, "Via: 1.0 masked\n");
	fixture_end(&fixture);
	make(&fixture, &head, NULL, 0);
	client = ip("::ffff:192.0.2.1");
	assert_true(forward_mask_request(FORWARD_TRANSPARENT, &client, SPAN("masked"), &head));
	assert_fields(&head.fields, "X-Forwarded-For: 192.0.2.1\nForwarded: for=192.0.2.1\nVia: 1.1 masked\n");
	fixture_end(&fixture);
}

static void test_responses(void **state)
{
	static const char *const fields[][2] = {{"Server", "x"},
						{"Via", "1.1 cdn"},
						{"Proxy-Authenticate", "Basic realm=x"},
						{"Proxy-Authentication-Info", "x"},
						{"Set-Cookie", "a=b"}};
	struct fixture fixture;
	struct http_head head;

	make(&fixture, &head, fields, ARRAY_LENGTH(fields));
	assert_true(forward_mask_response(FORWARD_ELITE, SPAN("masked"), &head));
	assert_fields(&head.fields, "Server: x\nVia: 1.1 cdn\nSet-Cookie: a=b\n");
	assert_true(forward_mask_response(FORWARD_ANONYMOUS, SPAN("masked"), &head));
	assert_fields(&head.fields, "Server: x\nVia: 1.1 cdn, 1.1 masked\nSet-Cookie: a=b\n");
	fixture_end(&fixture);
}

static void test_names(void **state)
{
	static const char *const telling[] = {"via",
					      "VIA",
					      "X-Forwarded",
					      "x-forwarded-anything",
					      "FORWARDED",
					      "Forwarded-For",
					      "Proxy-Connection",
					      "X_REAL_IP",
					      "X-Client-IP",
					      "X-Cluster-Client-IP"};
	static const char *const plain[] = {"",
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
					    "Forwardedx",
					    "X-Upload-Type"};

	for (size_t i = 0; i < ARRAY_LENGTH(telling); i++)
		assert_true(forward_mask_names(span_of(telling[i])));
	for (size_t i = 0; i < ARRAY_LENGTH(plain); i++)
		assert_false(forward_mask_names(span_of(plain[i])));
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
	struct address client = ip("192.0.2.1");
	struct fixture fixture;
	struct http_head head;

	for (uint64_t every = 1; every < 5; every++) {
		make(&fixture, &head, own, ARRAY_LENGTH(own));
		memory_fail_every(&fixture.memory, every);
		for (int i = 0; i < 60; i++)
			(void)!forward_mask_request(FORWARD_TRANSPARENT, &client, SPAN("masked"), &head);
		memory_fail_every(&fixture.memory, 0);
		fixture_end(&fixture);
	}
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
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_loops_are_found_in_via),
		cmocka_unit_test(test_allocation_failures),
		cmocka_unit_test(test_choices_and_enums_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
