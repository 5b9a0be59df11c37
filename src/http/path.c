/*
 * The path of a target: its parts, and its normal form for routing (RFC 3986 6.2.2). Pure but for the arena.
 */
#include "http/char.h"
#include "http/target.h"

struct span http_path_only(struct span path)
{
	ptrdiff_t mark = span_find(path, '?');
	return mark < 0 ? path : span_first(path, (size_t)mark);
}

struct span http_query_only(struct span path)
{
	ptrdiff_t mark = span_find(path, '?');
	return span_from(path, mark < 0 ? path.len : (size_t)mark + 1);
}

/*
 * RFC 3986 6.2.2.1 and 6.2.2.2: unreserved bytes, and '/', decoded; the digits of other encodings in upper case. Returns the length, or
 * -1 for an encoding that is none, or is NUL.
 */
static ptrdiff_t path_decode(struct span path, uint8_t *to)
{
	static const char upper[] = "0123456789ABCDEF";
	uint8_t *start = to;
	for (size_t i = 0; i < path.len; i++) {
		if (path.at[i] != '%') {
			*to++ = path.at[i];
			continue;
		}
		int decoded = http_percent_byte(span_from(path, i));
		if (decoded <= 0)
			return -1;
		uint8_t byte = (uint8_t)decoded;
		if (byte == '/' || http_char_is(byte, HTTP_CHAR_UNRESERVED)) {
			*to++ = byte;
		} else {
			*to++ = '%';
			*to++ = (uint8_t)upper[byte >> 4];
			*to++ = (uint8_t)upper[byte & 15];
		}
		i += 2;
	}
	return to - start;
}

/* RFC 3986 5.2.4, in place. Returns the new length, or -1 when ".." climbs above the root. The path begins with '/'. */
static ptrdiff_t dot_segments_remove(uint8_t *path, size_t len)
{
	size_t out = 0, at = 0; /* path[at] is always the '/' before a segment */
	while (at < len) {
		size_t end = at + 1;
		while (end < len && path[end] != '/')
			end++;
		size_t dots = end - at - 1;
		bool is_dots = dots <= 2 && dots > 0 && path[at + 1] == '.' && path[end - 1] == '.';
		if (!is_dots) {
			memmove(path + out, path + at, end - at);
			out += end - at;
		} else {
			if (dots == 2 && out == 0)
				return -1;
			if (dots == 2)
				while (path[--out] != '/')
					;
			if (end == len)
				path[out++] = '/';
		}
		at = end;
	}
	return (ptrdiff_t)out;
}

/* Runs of '/' become one, in place. Returns the new length. */
static size_t slashes_merge(uint8_t *path, size_t len)
{
	size_t out = 0;
	for (size_t at = 0; at < len; at++)
		if (path[at] != '/' || out == 0 || path[out - 1] != '/')
			path[out++] = path[at];
	return out;
}

/*
 * Removes dot segments and merges slashes, in place. Servers differ in which of the two comes first: where that makes a difference
 * ("/a//../b" is "/b" to some and "/a/b" to others) the path is refused. `other` has room for as much. Returns the new length, or -1.
 */
static ptrdiff_t path_simplify(uint8_t *path, uint8_t *other, size_t len)
{
	memcpy(other, path, len);
	ptrdiff_t merged_first = dot_segments_remove(other, slashes_merge(other, len));
	ptrdiff_t dots_first = dot_segments_remove(path, len);
	if (merged_first < 0 || dots_first < 0)
		return -1;
	dots_first = (ptrdiff_t)slashes_merge(path, (size_t)dots_first);
	bool same = span_equal(span_make(path, (size_t)dots_first), span_make(other, (size_t)merged_first));
	return same ? dots_first : -1;
}

bool http_path_normalise(struct span path, struct arena *arena, struct span *normal)
{
	path = http_path_only(path);
	*normal = path;
	if (path.len == 0 || path.at[0] != '/')
		return true; /* "*", and CONNECT's */
	if (span_find(path, '%') < 0 && span_search(path, SPAN("/.")) < 0 && span_search(path, SPAN("//")) < 0)
		return true;
	uint8_t *copy = arena_alloc(arena, 2 * (path.len + 1));
	if (!copy)
		return false;
	ptrdiff_t len = path_decode(path, copy);
	if (len >= 0)
		len = path_simplify(copy, copy + path.len + 1, (size_t)len);
	if (len < 0)
		return false;
	*normal = span_make(copy, (size_t)len);
	return true;
}
