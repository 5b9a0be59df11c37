/*
 * Authorities, targets, and paths for routing.
 */
#include "http/http_support.h"

#include "http/target.h"
#include "net/address.h"

struct authority {
	const char *text, *host; /* host NULL: refused */
	unsigned port;
	unsigned family;
};

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct authority authorities[] = {
	{"a", "a", 0, 0},
	{"a.test", "a.test", 0, 0},
	{"A.Test:80", "a.test", 80, 0},
	{"a.test.:8080", "a.test", 8080, 0},
	{"a.test:", "a.test", 0, 0},
	{"a.test:00080", "a.test", 80, 0},
	{"a.test:65535", "a.test", 65535, 0},
	{"a_b-c.test", "a_b-c.test", 0, 0},
	{"xn--bcher-kva.example", "xn--bcher-kva.example", 0, 0},
	{"1.a", "1.a", 0, 0},
	{"1a", "1a", 0, 0},
	{"0xg", "0xg", 0, 0},
	{"a.0xg", "a.0xg", 0, 0},
	{"127.0.0.1", "127.0.0.1", 0, ADDRESS_V4},
	{"127.0.0.1:1", "127.0.0.1", 1, ADDRESS_V4},
	{"[::1]", "::1", 0, ADDRESS_V6},
	{"[::1]:443", "::1", 443, ADDRESS_V6},
	{"[2001:DB8::A]", "2001:db8::a", 0, ADDRESS_V6},
	{"[::ffff:1.2.3.4]", "::ffff:1.2.3.4", 0, ADDRESS_V6},
	{A63 ".test", A63 ".test", 0, 0},
	{A63 "." A63 "." A63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	 A63 "." A63 "." A63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0, 0},
	{A63 "." A63 "." A63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, 0, 0},
	{A63 "a.test", NULL, 0, 0},
	{"", NULL, 0, 0},
	{".", NULL, 0, 0},
	{"..", NULL, 0, 0},
	{".a", NULL, 0, 0},
	{"a..b", NULL, 0, 0},
	{"a..", NULL, 0, 0},
	{":80", NULL, 0, 0},
	{"a:0", NULL, 0, 0},
	{"a:65536", NULL, 0, 0},
	{"a:18446744073709551696", NULL, 0, 0},
	{"a:+80", NULL, 0, 0},
	{"a: 80", NULL, 0, 0},
	{"a:80:80", NULL, 0, 0},
	{"a:8x", NULL, 0, 0},
	{"u@a", NULL, 0, 0},
	{"u:p@a", NULL, 0, 0},
	{"a@b@c", NULL, 0, 0},
	{"a b", NULL, 0, 0},
	{"a/b", NULL, 0, 0},
	{"a\\b", NULL, 0, 0},
	{"a%41", NULL, 0, 0},
	{"a!b", NULL, 0, 0},
	{"a*b", NULL, 0, 0},
	{"a~b", NULL, 0, 0},
	{"\xc3\xa9.test", NULL, 0, 0},
	{"1", NULL, 0, 0},
	{"127.1", NULL, 0, 0},
	{"2130706433", NULL, 0, 0},
	{"0x7f000001", NULL, 0, 0},
	{"0x7f.0.0.1", NULL, 0, 0},
	{"127.0.0.0x1", NULL, 0, 0},
	{"a.0x", NULL, 0, 0},
	{"a.0XfF", NULL, 0, 0},
	{"a.1", NULL, 0, 0},
	{"127.0.0.01", NULL, 0, 0},
	{"127.0.0.256", NULL, 0, 0},
	{"127.0.0.1.", NULL, 0, 0},
	{"1.2.3.4.5", NULL, 0, 0},
	{"[::1", NULL, 0, 0},
	{"[]", NULL, 0, 0},
	{"[", NULL, 0, 0},
	{"]", NULL, 0, 0},
	{"[::g]", NULL, 0, 0},
	{"[127.0.0.1]", NULL, 0, 0},
	{"[a.test]", NULL, 0, 0},
	{"[::1%25eth0]", NULL, 0, 0},
	{"[v1.a]", NULL, 0, 0},
	{"[::1]x", NULL, 0, 0},
	{"[::1]]", NULL, 0, 0},
	{"[[::1]]", NULL, 0, 0},
	{"::1", NULL, 0, 0},
	{"[::1]:x", NULL, 0, 0},
};

static void test_authorities(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(authorities); i++) {
		const struct authority *want = &authorities[i];
		struct http_authority got;
		struct error error = ERROR_OK;
		struct bench bench;
		bench_init(&bench);
		bool good = http_authority_parse(span_of(want->text), &bench.arena, &got, &error);
		if (good != (want->host != NULL))
			fail_msg("%s: %s", want->text, good ? "accepted" : error_text(&error));
		if (good) {
			assert_span(got.host, span_of(want->host));
			assert_int_equal(got.port, want->port);
			assert_int_equal(got.ip_family, want->family);
		} else {
			assert_int_equal(error.code, ERROR_BAD_TARGET);
			assert_non_null(error.text);
		}
		bench_fini(&bench);
	}
}

static void test_addresses(void **state)
{
	struct bench bench;
	struct http_authority got;
	struct error error;
	bench_init(&bench);
	assert_true(http_authority_parse(SPAN("10.20.30.40"), &bench.arena, &got, &error));
	assert_memory_equal(got.ip, "\x0a\x14\x1e\x28", 4);
	assert_true(http_authority_parse(SPAN("[2001:db8::1]"), &bench.arena, &got, &error));
	assert_memory_equal(got.ip, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	memory_fail_every(&bench.memory, 1);
	arena_fini(&bench.arena);
	arena_init(&bench.arena, &bench.memory, NULL, NULL, 0);
	assert_false(http_authority_parse(SPAN("A.test"), &bench.arena, &got, &error));
	assert_int_equal(error.code, ERROR_MEMORY);
	assert_true(http_authority_parse(SPAN("a.test"), &bench.arena, &got, &error));
	bench_fini(&bench);
}

struct target {
	const char *method, *text;
	int form; /* -1: refused */
	const char *scheme, *authority, *path;
};

#define ORIGIN HTTP_TARGET_ORIGIN
#define ABSOLUTE HTTP_TARGET_ABSOLUTE
#define AUTHORITY HTTP_TARGET_AUTHORITY
#define ASTERISK HTTP_TARGET_ASTERISK

static const struct target targets[] = {
	{"GET", "/", ORIGIN, "", "", "/"},
	{"GET", "//a/b", ORIGIN, "", "", "//a/b"},
	{"GET", "/http://a/", ORIGIN, "", "", "/http://a/"},
	{"GET", "/a?b", ORIGIN, "", "", "/a?b"},
	{"GET", "http://a", ABSOLUTE, "http", "a", "/"},
	{"GET", "HTTPS://A:1/b?c", ABSOLUTE, "https", "A:1", "/b?c"},
	{"GET", "http://a:/b", ABSOLUTE, "http", "a", "/b"},
	{"GET", "http://a?", ABSOLUTE, "http", "a", "/?"},
	{"GET", "http://a?b/c@d", ABSOLUTE, "http", "a", "/?b/c@d"},
	{"GET", "http://[::1]:8/x", ABSOLUTE, "http", "[::1]:8", "/x"},
	{"OPTIONS", "http://a", ABSOLUTE, "http", "a", "*"},
	{"OPTIONS", "http://a/", ABSOLUTE, "http", "a", "/"},
	{"OPTIONS", "http://a?b", ABSOLUTE, "http", "a", "/?b"},
	{"OPTIONS", "*", ASTERISK, "", "", "*"},
	{"CONNECT", "a:1", AUTHORITY, "", "a:1", ""},
	{"CONNECT", "[::1]:1", AUTHORITY, "", "[::1]:1", ""},
	{"CONNECT", "a", -1, NULL, NULL, NULL},
	{"CONNECT", "a:", -1, NULL, NULL, NULL},
	{"CONNECT", "a:0", -1, NULL, NULL, NULL},
	{"CONNECT", "u@a:1", -1, NULL, NULL, NULL},
	{"CONNECT", "http://a:1", -1, NULL, NULL, NULL},
	{"CONNECT", "*", -1, NULL, NULL, NULL},
	{"CONNECT", "a:1/", -1, NULL, NULL, NULL},
	{"GET", "", -1, NULL, NULL, NULL},
	{"GET", "*", -1, NULL, NULL, NULL},
	{"OPTIONS", "*x", -1, NULL, NULL, NULL},
	{"GET", "a", -1, NULL, NULL, NULL},
	{"GET", "a:80", -1, NULL, NULL, NULL},
	{"GET", "?a", -1, NULL, NULL, NULL},
	{"GET", "../a", -1, NULL, NULL, NULL},
	{"GET", "http:", -1, NULL, NULL, NULL},
	{"GET", "http:/a", -1, NULL, NULL, NULL},
	{"GET", "http://", -1, NULL, NULL, NULL},
	{"GET", "http:///a", -1, NULL, NULL, NULL},
	{"GET", "http://?a", -1, NULL, NULL, NULL},
	{"GET", "://a", -1, NULL, NULL, NULL},
	{"GET", "ftp://a/", -1, NULL, NULL, NULL},
	{"GET", "httpx://a/", -1, NULL, NULL, NULL},
	{"GET", "http://u@a/", -1, NULL, NULL, NULL},
	{"GET", "http://a\\b/", -1, NULL, NULL, NULL},
	{"GET", "http://a b/", -1, NULL, NULL, NULL},
	{"GET", "/a b", -1, NULL, NULL, NULL},
	{"GET", "/a\tb", -1, NULL, NULL, NULL},
	{"GET", "/a#b", -1, NULL, NULL, NULL},
	{"GET", "/a\x7f", -1, NULL, NULL, NULL},
	{"GET", "/\x80", -1, NULL, NULL, NULL},
	{"GET", "http://a/#", -1, NULL, NULL, NULL},
};

static void test_targets(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(targets); i++) {
		const struct target *want = &targets[i];
		struct http_head head = {.method = (uint8_t)http_method_identify(span_of(want->method))};
		struct error error = ERROR_OK;
		struct bench bench;
		bench_init(&bench);
		bool good = http_target_parse(span_of(want->text), &bench.arena, &head, &error);
		if (good != (want->form >= 0))
			fail_msg("%s %s: %s", want->method, want->text, good ? "accepted" : error_text(&error));
		if (good) {
			assert_int_equal(head.target_form, want->form);
			assert_span(head.scheme, span_of(want->scheme));
			assert_span(head.authority, span_of(want->authority));
			assert_span(head.path, span_of(want->path));
		} else {
			assert_int_equal(error.code, ERROR_BAD_TARGET);
		}
		bench_fini(&bench);
	}
}

static void test_parts(void **state)
{
	assert_span(http_path_only(SPAN("/a?b?c")), SPAN("/a"));
	assert_span(http_path_only(SPAN("/a")), SPAN("/a"));
	assert_span(http_query_only(SPAN("/a?b?c")), SPAN("b?c"));
	assert_span(http_query_only(SPAN("/a?")), SPAN(""));
	assert_span(http_query_only(SPAN("/a")), SPAN(""));
	assert_int_equal(http_scheme_port(SPAN("http")), 80);
	assert_int_equal(http_scheme_port(SPAN("https")), 443);
}

static const char *const normals[][2] = {
	{"/", "/"},
	{"*", "*"},
	{"", ""},
	{"/a/b", "/a/b"},
	{"/a?../%zz", "/a"},
	{"/%61%2Db%7e", "/a-b~"},
	{"/a%2fb%2F", "/a/b/"},
	{"/%c3%a9%20", "/%C3%A9%20"},
	{"/%25%32%65", "/%252e"},
	{"/a/./b", "/a/b"},
	{"/a/.", "/a/"},
	{"/a/..", "/"},
	{"/a/../b", "/b"},
	{"/a/b/../../c", "/c"},
	{"/a/b/..", "/a/"},
	{"/.", "/"},
	{"/./", "/"},
	{"/a//b", "/a/b"},
	{"//", "/"},
	{"///a/////b//", "/a/b/"},
	{"/a/%2Fb", "/a/b"},
	{"//a/../b", "/b"},
	{"/a/b/..//c", "/a/c"},
	{"/a//../b", NULL},
	{"//..", NULL},
	{"/.a/..b/c./d../...", "/.a/..b/c./d../..."},
	{"/a/%2e%2e/b", "/b"},
	{"/a/.%2E%2fb", "/b"},
	{"/a%2f..%2fb", "/b"},
	{"/a/;/../b", "/a/b"},
	{"/..", NULL},
	{"/../a", NULL},
	{"/a/../..", NULL},
	{"/%2e%2e/a", NULL},
	{"/a%2f..%2f..%2fb", NULL},
	{"/%", NULL},
	{"/%1", NULL},
	{"/%zz", NULL},
	{"/%1z", NULL},
	{"/%00", NULL},
};

static void test_normal_paths(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(normals); i++) {
		struct bench bench;
		struct span got;
		bench_init(&bench);
		bool good = http_path_normalise(span_of(normals[i][0]), &bench.arena, &got);
		if (good != (normals[i][1] != NULL))
			fail_msg("%s", normals[i][0]);
		if (good) {
			assert_span(got, span_of(normals[i][1]));
			struct span again;
			if (!strstr(normals[i][0], "%25")) { /* normal is normal */
				assert_true(http_path_normalise(got, &bench.arena, &again));
				assert_span(again, got);
			}
		}
		bench_fini(&bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_authorities),  cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_targets),      cmocka_unit_test(test_parts),
		cmocka_unit_test(test_normal_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
