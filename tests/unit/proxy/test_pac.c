/* The script for browsers: nothing that is put into it ends the text that it stands in. What the script does is judged by engines (tests/e2e/test_pac.py). */
#include "config/snapshot.h"
#include "proxy/pac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ROUNDS = 5000, LONGEST = 400 };

static struct memory memory;
static struct snapshot *snapshot;

static int set_up(void **state)
{
	static const char yaml[] =
		"forward: [{listen: 127.0.0.1:1, pac: true, rules: [{allow: {domains: [a.example]}}]}]\n";
	struct diagnostics diagnostics;
	struct arena arena;

	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	diagnostics_init(&diagnostics, &arena, NULL);
	snapshot = snapshot_from_yaml(span_of(yaml), "", &memory, &diagnostics);
	arena_fini(&arena);
	assert_non_null(snapshot);
	return 0;
}

static int tear_down(void **state)
{
	snapshot_release(snapshot);
	assert_int_equal(atomic_load(&memory.used), 0);
	return 0;
}

/* The text in quotes behind "var via = ", as an engine reads it; the length, or -1: it is no such text. */
static int unquote(struct span script, uint8_t *out)
{
	ptrdiff_t at = span_search(script, SPAN("var via = \""));
	int len = 0;

	assert_true(at > 0);
	for (const uint8_t *byte = script.at + at + 11; *byte != '"'; byte++) {
		if (*byte < 0x20 || *byte >= 0x7f || *byte == '\'' || *byte == '<')
			return -1;
		if (*byte == '\\') {
			unsigned value;
			if (sscanf((const char *)byte, "\\x%2x", &value) != 1)
				return -1;
			out[len++] = (uint8_t)value;
			byte += 3;
		} else {
			out[len++] = *byte;
		}
	}
	return len;
}

static void test_no_text_ends_its_quotes(void **state)
{
	static const uint8_t nasty[] = "\"\\'\n\r\t;</>&{}()\0\x7f\x80\xe2\x80\xa8 ax1.";
	struct xorshift {
		uint64_t state;
	} draw = {88172645463325252u};
	uint8_t address[LONGEST], out[2 * LONGEST];
	char expected[2 * LONGEST];

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct arena arena;
		size_t len = 0, most = round % 290;
		arena_init(&arena, &memory, NULL, NULL, 0);
		for (; len < most; len++) {
			draw.state ^= draw.state << 13;
			draw.state ^= draw.state >> 7;
			draw.state ^= draw.state << 17;
			address[len] = round % 2 ? (uint8_t)draw.state :
						   nasty[draw.state % (sizeof(nasty) - 1)];
			if (address[len] == 0)
				address[len] = '"'; /* texts of the configuration and of requests have none */
		}
		struct span script =
			pac_script(snapshot->listeners[0].pac, span_make(address, len), true, false, &arena);
		assert_non_null(script.at);
		int got = unquote(script, out);
		int wanted =
			snprintf(expected, sizeof(expected), "HTTPS %.*s", (int)len, (const char *)address);
		assert_int_equal(got, wanted);
		assert_memory_equal(out, expected, (size_t)got);
		/* What follows is where it was. */
		assert_true(span_search(script, SPAN("\";\n\tvar direct = \"DIRECT\"")) > 0);
		assert_true(span_search(script, SPAN("if (named([\"a.example\"])) return via;")) > 0);
		arena_fini(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_text_ends_its_quotes),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
