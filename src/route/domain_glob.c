/*
 * See domain_glob.h.
 */
#include "route/domain_glob.h"

bool domain_is_glob(struct span text)
{
	if (span_starts_with(text, SPAN("*.")))
		text = span_from(text, 2);
	return span_find(text, '*') >= 0;
}

/* "10.0.*" is meant for addresses, and would be compared with names. */
static bool is_of_numbers(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_digit(text.at[i]) && text.at[i] != '.' && text.at[i] != '*')
			return false;
	return true;
}

const char *domain_glob_parse(struct span text, struct arena *arena, struct domain_glob *glob)
{
	struct domain_pattern pattern;
	uint8_t plain[DOMAIN_MAX + 8];
	const char *wrong;

	if (span_equal(text, SPAN("*")))
		return "\"*\" alone would be every name: leave \"domains\" out, or say *.example";
	if (is_of_numbers(text))
		return "addresses are named by networks, as 10.0.0.0/8 in \"addresses\"";
	if (text.len > sizeof(plain))
		return "a host name has at most 253 characters";
	/* What a star stands for is as good as a letter; all else is checked as in any other name. */
	for (size_t i = 0; i < text.len; i++) {
		bool prefix = i == 0 && text.len > 1 && text.at[1] == '.';
		plain[i] = text.at[i] == '*' && !prefix ? 'x' : text.at[i];
	}
	wrong = domain_pattern_parse(span_make(plain, text.len), arena, &pattern);
	if (wrong)
		return wrong;
	/* The pattern has lost what stood before and after the name. */
	size_t before = pattern.reach == DOMAIN_BELOW ? 2 : pattern.reach == DOMAIN_BOTH ? 1 : 0;
	uint8_t *copy = arena_alloc(arena, pattern.name.len);
	if (!copy)
		return "out of memory";
	*glob = (struct domain_glob){span_make(copy, pattern.name.len), 1, pattern.reach};
	for (size_t i = 0; i < pattern.name.len; i++) {
		copy[i] = ascii_lower(text.at[before + i]);
		glob->labels += copy[i] == '.';
	}
	return NULL;
}

/* One label each; a star that has taken too little is let take one more, and the last star alone has to be. */
static bool label_has(struct span glob, struct span label)
{
	size_t g = 0, l = 0, star = SIZE_MAX, taken = 0;

	while (l < label.len) {
		if (g < glob.len && glob.at[g] == '*') {
			star = ++g;
			taken = l;
		} else if (g < glob.len && glob.at[g] == label.at[l]) {
			g++;
			l++;
		} else if (star != SIZE_MAX) {
			g = star;
			l = ++taken;
		} else {
			return false;
		}
	}
	while (g < glob.len && glob.at[g] == '*')
		g++;
	return g == glob.len;
}

bool domain_glob_has(const struct domain_glob *glob, const struct host_name *name)
{
	struct span globs = glob->text, names, one, other;
	bool more = true;

	if (name->labels < glob->labels)
		return false;
	if (!(glob->reach & (name->labels == glob->labels ? DOMAIN_EXACT : DOMAIN_BELOW)))
		return false;
	names = host_name_tail(name, glob->labels);
	while (more) {
		more = span_cut(globs, '.', &one, &globs);
		(void)span_cut(names, '.', &other, &names);
		if (!label_has(one, other))
			return false;
	}
	return true;
}
