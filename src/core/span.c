/*
 * What spans do that is too long to be inline. Pure functions, any thread.
 */
#include "core/span.h"

bool span_equal_nocase(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (a.at[i] != b.at[i] && ascii_lower(a.at[i]) != ascii_lower(b.at[i]))
			return false;
	}
	return true;
}

ptrdiff_t span_search(struct span span, struct span needle)
{
	if (needle.len == 0)
		return 0;
	if (needle.len > span.len)
		return -1;
	const uint8_t *found = memmem(span.at, span.len, needle.at, needle.len);
	return found ? found - span.at : -1;
}

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

struct span span_trim(struct span span)
{
	while (span.len > 0 && is_blank(span.at[0]))
		span = span_from(span, 1);
	while (span.len > 0 && is_blank(span.at[span.len - 1]))
		span.len--;
	return span;
}

bool span_cut(struct span span, uint8_t separator, struct span *before, struct span *after)
{
	ptrdiff_t found = span_find(span, separator);
	if (found < 0) {
		*before = span;
		*after = (struct span){0};
		return false;
	}
	*before = span_first(span, (size_t)found);
	*after = span_from(span, (size_t)found + 1);
	return true;
}

bool span_to_u64(struct span span, uint64_t *value)
{
	uint64_t sum = 0;
	if (span.len == 0)
		return false;
	for (size_t i = 0; i < span.len; i++) {
		if (!ascii_is_digit(span.at[i]))
			return false;
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(span.at[i] - '0'), &sum))
			return false;
	}
	*value = sum;
	return true;
}

static const uint64_t hash_basis = 0xcbf29ce484222325u, hash_prime = 0x100000001b3u;

/* FNV-1a leaves the low bits of short keys poorly mixed; tables take those as the index. */
static uint64_t hash_finish(uint64_t hash)
{
	hash ^= hash >> 32;
	hash *= 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

uint64_t span_hash(struct span span, uint64_t seed)
{
	uint64_t hash = hash_basis ^ seed;
	for (size_t i = 0; i < span.len; i++)
		hash = (hash ^ span.at[i]) * hash_prime;
	return hash_finish(hash);
}

uint64_t span_hash_nocase(struct span span, uint64_t seed)
{
	uint64_t hash = hash_basis ^ seed;
	for (size_t i = 0; i < span.len; i++)
		hash = (hash ^ ascii_lower(span.at[i])) * hash_prime;
	return hash_finish(hash);
}

void span_wipe(struct span bytes)
{
	if (bytes.at && bytes.len)
		explicit_bzero((void *)(uintptr_t)bytes.at, bytes.len);
}
