/* The automaton against a search that looks at every place: random patterns, random texts of few letters, large sets. */
#include "mask/automaton.h"

#include "../../support/arena.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATTERNS = 40, TEXT = 300 };

static size_t random_text(uint8_t *out, size_t most, unsigned letters)
{
	size_t len = 1 + (size_t)rand() % most;

	for (size_t i = 0; i < len; i++) {
		out[i] = (uint8_t)("abcdefgh.\xc3"[(unsigned)rand() % letters]);
		if (rand() % 3 == 0 && ascii_is_alpha(out[i]))
			out[i] = (uint8_t)(out[i] - 32);
	}
	return len;
}

static bool ends_with(struct span text, size_t end, struct span pattern)
{
	return end >= pattern.len &&
	       span_equal_nocase(span_make(text.at + end - pattern.len, pattern.len), pattern);
}

/* At each place, exactly the patterns that end there are told, longest first, equal ones once. */
static void compare(const struct span *patterns, size_t count, struct span text)
{
	const struct automaton *automaton = automaton_build(patterns, count, &arena);
	uint32_t state = 0;

	assert_non_null(automaton);
	for (size_t end = 1; end <= text.len; end++) {
		bool told[PATTERNS] = {false};
		size_t last = SIZE_MAX, depth = 0;
		state = automaton_step(automaton, state, text.at[end - 1]);
		uint32_t at = state;
		for (ptrdiff_t index; (index = automaton_match(automaton, &at)) >= 0;) {
			assert_true(ends_with(text, end, patterns[index]));
			assert_true(patterns[index].len < last);
			last = patterns[index].len;
			for (size_t i = 0; i < count; i++)
				told[i] |= span_equal_nocase(patterns[i], patterns[index]);
		}
		for (size_t i = 0; i < count; i++) {
			assert_int_equal(told[i], ends_with(text, end, patterns[i]));
			for (size_t len = patterns[i].len; len > depth; len--)
				if (ends_with(text, end, span_first(patterns[i], len)))
					depth = len;
		}
		assert_int_equal(automaton->depths[state], depth);
	}
}

static void test_it_finds_what_a_naive_search_finds(void **state)
{
	static uint8_t bytes[PATTERNS][16], text[TEXT];
	struct span patterns[PATTERNS];

	srand(7);
	for (unsigned round = 0; round < 400; round++) {
		unsigned letters = 2 + (unsigned)rand() % 9;
		size_t count = (size_t)rand() % (PATTERNS + 1);
		for (size_t i = 0; i < count; i++)
			patterns[i] = span_make(bytes[i], random_text(bytes[i], round % 2 ? 4 : 16, letters));
		compare(patterns, count, span_make(text, random_text(text, TEXT, letters)));
	}
}

/* More states than have rows: those behind are walked by links. */
static void test_a_large_set_is_compact(void **state)
{
	enum { NAMES = 5000 };
	static char names[NAMES][40];
	static struct span patterns[NAMES];
	char text[64];

	for (size_t i = 0; i < NAMES; i++)
		patterns[i] = span_make(names[i], (size_t)snprintf(names[i], sizeof(names[i]),
								   "host-%zu.rack%zu.internal.example",
								   i * 7919 % NAMES, i % 13));
	const struct automaton *automaton = automaton_build(patterns, NAMES, &arena);
	assert_non_null(automaton);
	assert_true(automaton->states > automaton->dense);
	assert_true(atomic_load(&memory.used) < 4 * 1024 * 1024);
	for (size_t i = 0; i < NAMES; i += 97) {
		uint32_t at = 0;
		size_t len = (size_t)snprintf(text, sizeof(text), "x%s", names[i]);
		for (size_t j = 0; j < len; j++)
			at = automaton_step(automaton, at, (uint8_t)text[j]);
		ptrdiff_t index = automaton_match(automaton, &at);
		assert_true(index >= 0);
		assert_true(span_equal(patterns[index], patterns[i]));
	}
}

static void test_of_the_same_the_first_one_counts(void **state)
{
	const struct span patterns[] = {SPAN("b"), SPAN("Ab"), SPAN("aB")};
	const struct automaton *automaton = automaton_build(patterns, ARRAY_LENGTH(patterns), &arena);
	uint32_t at;

	at = automaton_step(automaton, automaton_step(automaton, 0, 'A'), 'B');
	assert_int_equal(automaton_match(automaton, &at), 1);
	assert_int_equal(automaton_match(automaton, &at), 0);
	assert_int_equal(automaton_match(automaton, &at), -1);
}

static void test_no_memory_is_told(void **state)
{
	const struct span patterns[] = {SPAN("one"), SPAN("two")};

	for (unsigned every = 1; every < 8; every++) {
		struct memory scarce;
		struct arena small;
		memory_init(&scarce, 0);
		arena_init(&small, &scarce, NULL, NULL, 0);
		memory_fail_every(&scarce, every);
		const struct automaton *automaton = automaton_build(patterns, 2, &small);
		assert_true(every > 1 || !automaton);
		arena_fini(&small);
		assert_int_equal(atomic_load(&scarce.used), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_finds_what_a_naive_search_finds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_large_set_is_compact, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_of_the_same_the_first_one_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_memory_is_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
