/*
 * What the tests of the message model share.
 */
#ifndef GUISE_TESTS_HTTP_SUPPORT_H
#define GUISE_TESTS_HTTP_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/arena.h"
#include "core/error.h"

#define assert_span(got, want)                                                                               \
	do {                                                                                                 \
		struct span got_ = (got), want_ = (want);                                                    \
		if (!span_equal(got_, want_))                                                                \
			fail_msg("got \"%.*s\", want \"%.*s\"", SPAN_ARG(got_), SPAN_ARG(want_));            \
	} while (0)

struct bench {
	struct memory memory;
	struct arena arena;
};

static inline void bench_init(struct bench *bench)
{
	memory_init(&bench->memory, 0);
	arena_init(&bench->arena, &bench->memory, NULL, NULL, 0);
}

static inline void bench_fini(struct bench *bench)
{
	arena_fini(&bench->arena);
}

#endif
