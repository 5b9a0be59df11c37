/*
 * The memory budget, pools and arenas, with failures injected.
 */
#include "../../support/traces.h"

#include "core/arena.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_budget(void **state)
{
	struct memory memory;
	memory_init(&memory, 1000);
	assert_true(memory_take(&memory, 800));
	assert_int_equal(memory_pressure(&memory), MEMORY_EASY);
	assert_true(memory_take(&memory, 1));
	assert_int_equal(memory_pressure(&memory), MEMORY_HIGH);
	assert_false(memory_take(&memory, 200));
	assert_false(memory_take(&memory, SIZE_MAX));
	assert_true(memory_take(&memory, 199));
	assert_int_equal(memory_pressure(&memory), MEMORY_FULL);
	memory_give(&memory, 1000);
	assert_int_equal(atomic_load(&memory.used), 0);
}

static void test_pool_keeps_few(void **state)
{
	struct memory memory;
	struct pool pool;
	void *objects[8];
	memory_init(&memory, 0);
	pool_init(&pool, &memory, 64, 3);
	for (int i = 0; i < 8; i++) {
		objects[i] = pool_get(&pool);
		assert_non_null(objects[i]);
		memset(objects[i], 0xaa, 64);
	}
	assert_int_equal(atomic_load(&memory.used), 8 * 64);
	for (int i = 0; i < 8; i++)
		pool_put(&pool, objects[i]);
	assert_int_equal(atomic_load(&memory.used), 3 * 64);
	void *again = pool_get(&pool);
	assert_ptr_equal(again, objects[2]);
	pool_put(&pool, again);
	pool_fini(&pool);
	assert_int_equal(atomic_load(&memory.used), 0);
}

static void test_pool_refuses_over_budget(void **state)
{
	struct memory memory;
	struct pool pool;
	memory_init(&memory, 100);
	pool_init(&pool, &memory, 64, 3);
	void *object = pool_get(&pool);
	assert_non_null(object);
	assert_null(pool_get(&pool));
	pool_put(&pool, object);
	pool_fini(&pool);
}

struct fixture {
	struct memory memory;
	struct pool pool;
};

static int set_up(void **state)
{
	static struct fixture fixture;
	memory_init(&fixture.memory, 0);
	pool_init(&fixture.pool, &fixture.memory, 4096, 4);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	pool_fini(&fixture->pool);
	return atomic_load(&fixture->memory.used) == 0 ? 0 : -1;
}

static void test_lent_first(void **state)
{
	struct fixture *fixture = *state;
	struct arena arena;
	uint8_t lent[203];
	memset(lent, 1, sizeof(lent));
	arena_init(&arena, &fixture->memory, &fixture->pool, lent + 1, 202);
	uint8_t *at = arena_alloc(&arena, 8);
	assert_true(at > lent && at < lent + sizeof(lent));
	assert_int_equal((uintptr_t)at % 8, 0);
	assert_int_equal(atomic_load(&fixture->memory.used), 0);
	while (at > lent && at < lent + sizeof(lent)) {
		assert_true(at + 24 <= lent + sizeof(lent));
		memset(at, 2, 8);
		at = arena_alloc(&arena, 24);
		assert_non_null(at);
	}
	assert_int_equal(atomic_load(&fixture->memory.used), 4096);
	arena_fini(&arena);
	memset(lent, 3, sizeof(lent)); /* usable again, ASan agrees */
}

static void test_sizes(void **state)
{
	struct fixture *fixture = *state;
	struct arena arena;
	arena_init(&arena, &fixture->memory, &fixture->pool, NULL, 0);
	assert_non_null(arena_alloc(&arena, 0));
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_alloc(&arena, SIZE_MAX / 2 + 1));
	assert_null(arena_zalloc(&arena, SIZE_MAX / 2, 3));
	for (size_t size = 1; size < 20000; size = size * 3 / 2 + 1) {
		uint8_t *at = arena_alloc(&arena, size);
		assert_non_null(at);
		assert_int_equal((uintptr_t)at % 8, 0);
		memset(at, 0xee, size);
	}
	uint64_t *cleared = arena_zalloc(&arena, 100, sizeof(uint64_t));
	for (int i = 0; i < 100; i++)
		assert_int_equal(cleared[i], 0);
	arena_fini(&arena);
}

/* A large request takes heap of its own and leaves the page before it in use. */
static void test_large_keeps_page(void **state)
{
	struct fixture *fixture = *state;
	struct arena arena;
	arena_init(&arena, &fixture->memory, &fixture->pool, NULL, 0);
	uint8_t *first = arena_alloc(&arena, 8);
	assert_non_null(arena_alloc(&arena, 100000));
	uint8_t *second = arena_alloc(&arena, 8);
	assert_ptr_equal(second, first + 8);
	arena_fini(&arena);
}

static void test_copy_and_format(void **state)
{
	struct fixture *fixture = *state;
	struct arena arena;
	arena_init(&arena, &fixture->memory, NULL, NULL, 0);
	struct span copy = arena_copy(&arena, SPAN("hello"));
	assert_true(span_equal(copy, SPAN("hello")));
	assert_non_null(arena_copy(&arena, (struct span){0}).at);
	struct span text = arena_format(&arena, "%s:%d", "host", 80);
	assert_true(span_equal(text, SPAN("host:80")));
	assert_int_equal(text.at[text.len], 0);
	arena_fini(&arena);
}

static void test_failures(void **state)
{
	struct fixture *fixture = *state;
	for (uint64_t every = 1; every < 12; every++) {
		struct arena arena;
		arena_init(&arena, &fixture->memory, every % 2 ? &fixture->pool : NULL, NULL, 0);
		memory_fail_every(&fixture->memory, every);
		unsigned failed = 0;
		for (size_t i = 0; i < 100; i++) {
			uint8_t *at = arena_alloc(&arena, 50 * i);
			if (at)
				memset(at, 1, 50 * i);
			failed += !at;
			struct span text = arena_format(&arena, "%zu", i);
			assert_true(text.at || text.len == 0);
		}
		assert_true(failed > 0);
		memory_fail_every(&fixture->memory, 0);
		arena_fini(&arena);
	}
}

/* Nothing of what was in an arena is in the memory that it had: what was lent, pages that it has left, the last one, and those of other sizes. */
static void test_wiped(void **state)
{
	struct fixture *fixture = *state;
	uint8_t lent[512] = {0};

	for (size_t size = 24; size < 9000; size = size * 3 / 2 + 1) {
		struct arena arena;
		arena_init(&arena, &fixture->memory, &fixture->pool, lent + 3, sizeof(lent) - 3);
		for (size_t i = 0; i < 200; i++) {
			uint8_t *at = arena_alloc(&arena, size);
			assert_non_null(at);
			memset(at, '.', size);
			memcpy(at + size - 12, "top secret!!", 12);
		}
		arena_fini(&arena);
		assert_false(traces_in(lent, sizeof(lent), "secret"));
		assert_false(traces_in_pool(&fixture->pool, "secret"));
		for (size_t i = 0; i < sizeof(lent); i++)
			assert_int_equal(lent[i], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_pool_keeps_few),
		cmocka_unit_test(test_pool_refuses_over_budget),
		cmocka_unit_test_setup_teardown(test_lent_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_large_keeps_page, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_copy_and_format, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wiped, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
