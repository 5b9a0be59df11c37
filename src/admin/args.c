/*
 * See args.h.
 */
#include "admin/args.h"

#include "http/char.h"

bool args_decode(struct span text, bool form, struct arena *arena, struct span *out)
{
	uint8_t *bytes = arena_alloc(arena, text.len);
	size_t len = 0;

	if (!bytes)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.at[i];
		if (byte == '%') {
			int decoded = http_percent_byte(span_from(text, i));
			if (decoded < 0)
				return false;
			byte = (uint8_t)decoded;
			i += 2;
		} else if (byte == '+' && form) {
			byte = ' ';
		}
		if (byte == 0)
			return false;
		bytes[len++] = byte;
	}
	*out = span_make(bytes, len);
	return true;
}

bool args_match(const char *pattern, struct span path, struct arena *arena, struct span found[ARGS_SEGMENTS])
{
	struct span wanted = span_of(pattern), want, is;
	bool more = true, further = true;
	size_t count = 0;

	while (more && further) {
		more = span_cut(wanted, '/', &want, &wanted);
		further = span_cut(path, '/', &is, &path);
		if (!span_equal(want, SPAN("{*}"))) {
			if (!span_equal(want, is))
				return false;
			continue;
		}
		if (is.len == 0 || count == ARGS_SEGMENTS || !args_decode(is, false, arena, &found[count++]))
			return false;
	}
	return more == further;
}

bool args_next(struct span *query, struct arena *arena, struct span *name, struct span *value, bool *wrong)
{
	*wrong = false;
	while (query->len) {
		struct span pair, key, text;
		span_cut(*query, '&', &pair, query);
		if (pair.len == 0)
			continue;
		span_cut(pair, '=', &key, &text);
		*wrong = !args_decode(key, true, arena, name) || !args_decode(text, true, arena, value);
		return !*wrong;
	}
	return false;
}
