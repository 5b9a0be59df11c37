/*
 * Templates and field edits: what they render, what they refuse, and that nothing splits a head.
 */
#include "mask_fixture.h"

#include "mask/edit.h"

static const struct template *compile(struct fixture *fixture, const char *text, bool location)
{
	struct setting_place place = {.line = 5, .column = 2};

	if (location)
		return template_compile_location(span_of(text), place, &fixture->arena, &fixture->diagnostics);
	return template_compile(span_of(text), place, &fixture->arena, &fixture->diagnostics);
}

static void check(const char *text, bool location, const char *host, const char *path, const char *expected)
{
	struct fixture fixture;
	struct http_head head;
	struct template_context context = {.request = &head, .client = SPAN("192.0.2.7"), .name = SPAN("guise")};
	const struct template *template;
	struct span out;

	fixture_start(&fixture);
	head_make(&fixture, &head, "GET", host, path);
	template = compile(&fixture, text, location);
	assert_non_null(template);
	assert_true(template_render(template, &context, &fixture.arena, &out));
	assert_span(out, expected);
	fixture_end(&fixture);
}

static void test_variables(void **state)
{
	check("", false, "a.test", "/", "");
	check("plain", false, "a.test", "/", "plain");
	check("{client}|{method}|{path}|{query}|{scheme}|{host}|{name}|{uri}|{{", false, "A.test:81",
	      "/p?q=1", "192.0.2.7|GET|/p|q=1|http|a.test|guise|/p?q=1|{");
	check("{{host}}{{{host}}", false, "a.test", "/", "{host}}{a.test}");
	check("}{{", false, "a.test", "/", "}{");
	check("{host}", false, "[2001:DB8::1]:81", "/", "[2001:db8::1]");
	check("{uri} {path} [{query}]", false, "a.test", "*", "/ / []");
	check("  {query}  ", false, "a.test", "/", "");
}

static void test_locations(void **state)
{
	check("https://{host}{uri}", true, "a.test:8080", "/a/b?c=d", "https://a.test/a/b?c=d");
	check("https://{host}:8443{uri}", true, "[::1]", "/", "https://[::1]:8443/");
	check("https://b.test{path}?{query}&m={method}&{{", true, "a", "/a%0d%0aX:%20y?q=%0d%0a",
	      "https://b.test/a%0d%0aX:%20y?q=%0d%0a&m=GET&{");
	check("https://b.test{uri}", true, "a", "/\"<>\\^`{|}%%4%41",
	      "https://b.test/%22%3C%3E%5C%5E%60%7B%7C%7D%25%254%41");
	check("https://b.test/\xc3\xa9", true, "a", "/", "https://b.test/%C3%A9");
}

/* A path of the client's never names another host. */
static void test_location_stays_here(void **state)
{
	check("{uri}", true, "a", "//evil.test/x", "/evil.test/x");
	check("{path}", true, "a", "///evil.test", "/evil.test");
	check("/{path}", true, "a", "/evil.test", "/evil.test");
	check("{uri}", true, "a", "/\\evil.test", "/%5Cevil.test");
	check("//b.test{uri}", true, "a", "/x", "//b.test/x");
	check("https://b.test{uri}", true, "a", "//x", "https://b.test//x");
}

/* Values that no codec should ever let in do not split a head either. */
static void test_control_bytes_do_not_come_out(void **state)
{
	struct fixture fixture;
	struct http_head head;
	struct template_context context = {.request = &head, .name = SPAN("guise")};
	struct span out;

	fixture_start(&fixture);
	head_make(&fixture, &head, "GET", "a", "/");
	head.path = span_make("/a\r\nX: y\0z\x7f", 11);
	context.client = SPAN("1\r\n2");
	for (int location = 0; location < 2; location++) {
		assert_true(template_render(compile(&fixture, "{uri}{client}", location), &context,
					    &fixture.arena, &out));
		for (size_t i = 0; i < out.len; i++)
			assert_true(out.at[i] >= ' ' && out.at[i] != 0x7f);
	}
	assert_span(out, "/a%0D%0AX:%20y%00z%7F1%0D%0A2");
	fixture_end(&fixture);
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"{hots}", "unknown variable \"{hots}\", did you mean \"{host}\"?"},
		{"{}", "unknown variable \"{}\""},
		{"{remote_address}", "unknown variable \"{remote_address}\"; there are"},
		{"a{host", "without \"}\""},
		{"{", "without \"}\""},
		{"a\r\nb", "control byte"},
		{"{Host}", "\"{host}\""},
	};
	struct fixture fixture;

	fixture_start(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		assert_null(compile(&fixture, cases[i].text, i % 2));
		assert_int_equal(fixture.diagnostics.errors, i + 1);
		if (!said(&fixture, cases[i].expected))
			fail_msg("nothing said of %s", cases[i].expected);
	}
	assert_null(compile(&fixture, "", true));
	fixture_end(&fixture);
}

static void test_edits(void **state)
{
	struct setting_pairs set = {.items = NULL}, add = set;
	struct setting_strings removed;
	struct template_context context = {.client = SPAN("192.0.2.7")};
	const struct edits *edits;
	struct fixture fixture;
	struct http_head head;

	fixture_start(&fixture);
	head_make(&fixture, &head, "GET", "a.test", "/p");
	context.request = &head;
	head_add(&head, "X-Set", "old");
	head_add(&head, "X-Gone", "1");
	head_add(&head, "x-set", "older");
	head_add(&head, "X-Add", "one");
	head_add(&head, "x-gone", "2");
	head_add(&head, "Cookie", "c");
	head_add(&head, "Keep", "k");
	pair_add(&fixture, &set, "x-set", "{client}{path}");
	pair_add(&fixture, &set, "User-Agent", "u");
	pair_add(&fixture, &add, "X-Add", "two");
	pair_add(&fixture, &add, "X-GONE", "again");
	removed = strings_of(&fixture, "X-Gone cookie absent");
	assert_true(edits_compile(&set, &add, &removed, &fixture.arena, &fixture.diagnostics, &edits));
	assert_true(edits_apply(edits, &head.fields, &context));
	assert_fields(&head.fields,
		      "x-set: 192.0.2.7/p\nX-Add: one\nKeep: k\nUser-Agent: u\nX-Add: two\nX-GONE: again\n");

	set.count = add.count = removed.count = 0;
	assert_true(edits_compile(&set, &add, &removed, &fixture.arena, &fixture.diagnostics, &edits));
	assert_null(edits);
	assert_true(edits_apply(NULL, &head.fields, &context));
	fixture_end(&fixture);
}

static void test_edits_leave_framing_alone(void **state)
{
	static const char *const names[] = {
		"host",    "Content-Length", "TRANSFER-ENCODING", "Connection", "Keep-Alive", "TE",
		"Trailer", "Upgrade",        "Proxy-Connection",  "bad name",   "",           "a:b"};
	struct fixture fixture;

	fixture_start(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		for (int where = 0; where < 3; where++) {
			struct setting_pairs pairs = {.items = NULL}, none = pairs;
			struct setting_string name = string_of(names[i]);
			struct setting_strings one = {.items = &name, .count = where == 2};
			const struct edits *edits;
			unsigned before = fixture.diagnostics.errors;

			pair_add(&fixture, &pairs, names[i], "x");
			assert_false(edits_compile(where == 0 ? &pairs : &none, where == 1 ? &pairs : &none,
						   &one, &fixture.arena, &fixture.diagnostics, &edits));
			assert_null(edits);
			assert_int_equal(fixture.diagnostics.errors, before + 1);
		}
	}
	assert_true(said(&fixture, "use \"set_host\""));
	fixture_end(&fixture);
}

static void test_allocation_failures(void **state)
{
	struct setting_pairs set = {.items = NULL}, none = set;
	struct setting_strings nothing = {.items = NULL};
	struct template_context context = {.client = SPAN("192.0.2.7")};
	struct fixture fixture;
	struct http_head head;

	fixture_start(&fixture);
	head_make(&fixture, &head, "GET", "a.test", "/p");
	context.request = &head;
	for (int i = 0; i < 40; i++)
		pair_add(&fixture, &set, "X-Set",
			 "{client}{path} and a long text to fill pages with, more and more of it");
	for (uint64_t every = 1; every < 12; every++) {
		const struct edits *edits;

		memory_fail_every(&fixture.memory, every);
		for (int i = 0; i < 30; i++) {
			if (!edits_compile(&none, &set, &nothing, &fixture.arena, &fixture.diagnostics, &edits))
				continue;
			(void)!edits_apply(edits, &head.fields, &context);
		}
		memory_fail_every(&fixture.memory, 0);
	}
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_locations),
		cmocka_unit_test(test_location_stays_here),
		cmocka_unit_test(test_control_bytes_do_not_come_out),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_edits_leave_framing_alone),
		cmocka_unit_test(test_allocation_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
