/*
 * Marks memory that nobody may touch for AddressSanitizer: free pool objects, unused arena bytes. Nothing in
 * other builds.
 */
#ifndef GUISE_CORE_POISON_H
#define GUISE_CORE_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ON 1
#endif
#endif

#ifdef POISON_ON
#include <sanitizer/asan_interface.h>

static inline void poison(const void *at, size_t bytes)
{
	__asan_poison_memory_region(at, bytes);
}

static inline void unpoison(const void *at, size_t bytes)
{
	__asan_unpoison_memory_region(at, bytes);
}
#else
static inline void poison(const void *at, size_t bytes)
{
}

static inline void unpoison(const void *at, size_t bytes)
{
}
#endif

#endif
