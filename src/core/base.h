/*
 * The few words every file uses: attributes, invariants, containers.
 */
#ifndef GUISE_CORE_BASE_H
#define GUISE_CORE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WARN_UNUSED __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define COLD __attribute__((cold, noinline))

/*
 * For a large array on the hot path that is always written before it is read: without it, the build's
 * -ftrivial-auto-var-init=zero would clear it at each call.
 */
#define UNINITIALISED __attribute__((uninitialized))

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The object that holds `member` at address `pointer`. */
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* An invariant of this program, checked in release too. A peer's bytes never decide it. */
#define ENSURE(condition)                                                                                    \
	do {                                                                                                 \
		if (__builtin_expect(!(condition), 0))                                                       \
			ensure_failed(#condition, __FILE__, __LINE__);                                       \
	} while (0)

_Noreturn void ensure_failed(const char *condition, const char *file, int line);

static inline size_t size_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

#endif
