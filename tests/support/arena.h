/*
 * A budget of memory and an arena in it for each test, and nothing left of either afterwards: for tests of what needs no more.
 */
#ifndef GUISE_TESTS_ARENA_H
#define GUISE_TESTS_ARENA_H

#include "core/arena.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct memory memory;
static struct arena arena;

static int set_up(void **state)
{
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	return 0;
}

static int tear_down(void **state)
{
	arena_fini(&arena);
	assert_int_equal(atomic_load(&memory.used), 0);
	return 0;
}

#endif
