/*
 * Maps, random numbers and diagnostics.
 */
#include "core/diagnostic.h"
#include "core/map.h"
#include "core/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { KEYS = 3000 };

static char keys[KEYS][16];

static struct span key_of(size_t i)
{
	snprintf(keys[i], sizeof(keys[i]), "key-%zu", i);
	return span_of(keys[i]);
}

static void test_put_get_remove(void **state)
{
	struct memory memory;
	struct map map;
	memory_init(&memory, 0);
	map_init(&map, &memory);
	assert_null(map_get(&map, SPAN("nothing")));
	assert_null(map_remove(&map, SPAN("nothing")));
	for (size_t i = 0; i < KEYS; i++)
		assert_true(map_put(&map, key_of(i), &keys[i]));
	assert_int_equal(map.count, KEYS);
	assert_true(map.capacity * 3 >= map.count * 4);
	for (size_t i = 0; i < KEYS; i += 2)
		assert_ptr_equal(map_remove(&map, key_of(i)), &keys[i]);
	for (size_t i = 0; i < KEYS; i++)
		assert_ptr_equal(map_get(&map, key_of(i)), i % 2 ? &keys[i] : NULL);
	assert_true(map_put(&map, key_of(1), &keys[2])); /* replaces */
	assert_ptr_equal(map_get(&map, key_of(1)), &keys[2]);
	assert_int_equal(map.count, KEYS / 2);
	assert_true(map_put(&map, (struct span){0}, &keys[0]));
	assert_ptr_equal(map_get(&map, SPAN("")), &keys[0]);
	map_fini(&map);
	assert_int_equal(atomic_load(&memory.used), 0);
}

/* A table that is always half full of short-lived keys does not grow, however many come and go. */
static void test_churn_stays_small(void **state)
{
	struct map map;
	map_init(&map, NULL);
	for (size_t round = 0; round < 20; round++) {
		for (size_t i = 0; i < KEYS; i++) {
			assert_true(map_put(&map, key_of(i), &keys[i]));
			if (i >= 5)
				assert_non_null(map_remove(&map, key_of(i - 5)));
		}
		for (size_t i = KEYS - 5; i < KEYS; i++)
			assert_non_null(map_remove(&map, key_of(i)));
	}
	assert_int_equal(map.count, 0);
	assert_int_equal(map.capacity, 16);
	map_fini(&map);
}

static void test_walk_and_remove(void **state)
{
	struct map map;
	bool seen[KEYS] = {false};
	size_t cursor = 0, count = 0;
	struct map_entry *entry;
	map_init(&map, NULL);
	for (size_t i = 0; i < KEYS; i++)
		assert_true(map_put(&map, key_of(i), &keys[i]));
	while ((entry = map_next(&map, &cursor))) {
		size_t i = (size_t)((char(*)[16])entry->value - keys);
		assert_false(seen[i]);
		seen[i] = true;
		count++;
		assert_non_null(map_remove(&map, entry->key));
	}
	assert_int_equal(count, KEYS);
	assert_int_equal(map.count, 0);
	map_fini(&map);
}

static void test_map_without_memory(void **state)
{
	struct memory memory;
	struct map map;
	size_t stored = 0;
	memory_init(&memory, 20000);
	map_init(&map, &memory);
	while (stored < KEYS && map_put(&map, key_of(stored), &keys[stored]))
		stored++;
	assert_true(stored > 0 && stored < KEYS);
	for (size_t i = 0; i < KEYS; i++)
		assert_ptr_equal(map_get(&map, key_of(i)), i < stored ? &keys[i] : NULL);
	memory_fail_every(&memory, 1);
	assert_false(map_put(&map, key_of(stored), &keys[0]));
	map_fini(&map);
	assert_int_equal(atomic_load(&memory.used), 0);
}

static void test_random(void **state)
{
	struct random a, b;
	unsigned counts[10] = {0};
	random_init(&a);
	random_init(&b);
	assert_true(random_next(&a) != random_next(&b));
	for (int i = 0; i < 100000; i++) {
		uint32_t value = random_below(&a, 10);
		assert_true(value < 10);
		counts[value]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(counts[i], 9000, 11000);
	assert_int_equal(random_below(&a, 1), 0);
}

static void test_diagnostics(void **state)
{
	struct memory memory;
	struct arena arena;
	struct diagnostics diagnostics;
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	diagnostics_init(&diagnostics, &arena, "guise.yaml");
	diagnostics_error(&diagnostics, (struct setting_place){12, 5}, "unknown key \"%s\"", "lisen");
	diagnostics_warning(&diagnostics, (struct setting_place){0, 0}, "careful");
	assert_int_equal(diagnostics.errors, 1);
	assert_int_equal(diagnostics.warnings, 1);
	assert_string_equal(diagnostics.first->text, "unknown key \"lisen\"");
	assert_int_equal(diagnostics.first->place.line, 12);
	assert_true(diagnostics.first->next->warning);
	arena_fini(&arena);
	memory_fail_every(&memory, 1);
	arena_init(&arena, &memory, NULL, NULL, 0);
	diagnostics_init(&diagnostics, &arena, NULL);
	diagnostics_error(&diagnostics, (struct setting_place){1, 1}, "lost");
	assert_int_equal(diagnostics.errors, 1);
	arena_fini(&arena);
}

static void test_suggest(void **state)
{
	static const char *const candidates[] = {"listen", "limits", "log", "upstreams", "workers", NULL};
	assert_string_equal(diagnostics_suggest("lisen", candidates), "listen");
	assert_string_equal(diagnostics_suggest("lsiten", candidates), "listen");
	assert_string_equal(diagnostics_suggest("Workers", candidates), "workers");
	assert_string_equal(diagnostics_suggest("upstream", candidates), "upstreams");
	assert_string_equal(diagnostics_suggest("olg", candidates), "log");
	assert_null(diagnostics_suggest("cache", candidates));
	assert_null(diagnostics_suggest("", candidates));
	assert_null(diagnostics_suggest("x", candidates));
	static char longest[200];
	memset(longest, 'l', sizeof(longest) - 1);
	assert_null(diagnostics_suggest(longest, candidates));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_get_remove),  cmocka_unit_test(test_churn_stays_small),
		cmocka_unit_test(test_walk_and_remove), cmocka_unit_test(test_map_without_memory),
		cmocka_unit_test(test_random),          cmocka_unit_test(test_diagnostics),
		cmocka_unit_test(test_suggest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
