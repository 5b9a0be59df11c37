/*
 * Collecting mistakes, and guessing what was meant. Start-up and control thread only.
 */
#include "core/diagnostic.h"

enum { LONGEST_WORD = 64 };

void diagnostics_init(struct diagnostics *diagnostics, struct arena *arena, const char *file)
{
	*diagnostics = (struct diagnostics){.arena = arena, .file = file};
	diagnostics->end = &diagnostics->first;
}

static PRINTF_LIKE(4, 0) void add(struct diagnostics *diagnostics, struct setting_place place, bool warning,
				  const char *format, va_list arguments)
{
	struct diagnostic *diagnostic = arena_alloc(diagnostics->arena, sizeof(*diagnostic));
	if (!diagnostic)
		return; /* it counts all the same */
	struct span text = arena_format_list(diagnostics->arena, format, arguments);
	*diagnostic = (struct diagnostic){
		.file = diagnostics->file,
		.place = place,
		.warning = warning,
		.text = text.at ? (const char *)text.at : "out of memory",
	};
	*diagnostics->end = diagnostic;
	diagnostics->end = &diagnostic->next;
}

void diagnostics_error(struct diagnostics *diagnostics, struct setting_place place, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	add(diagnostics, place, false, format, arguments);
	va_end(arguments);
	diagnostics->errors++;
}

void diagnostics_warning(struct diagnostics *diagnostics, struct setting_place place, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	add(diagnostics, place, true, format, arguments);
	va_end(arguments);
	diagnostics->warnings++;
}

/*
 * Steps from one word to the other: a letter put in, left out, changed, or swapped with the next one. The
 * usual table, of which three rows are enough: rows[i % 3][j] is the distance of a's first i letters from b's
 * first j.
 */
static size_t distance(struct span a, struct span b)
{
	size_t rows[3][LONGEST_WORD + 1];
	for (size_t j = 0; j <= b.len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			bool same = ascii_lower(a.at[i - 1]) == ascii_lower(b.at[j - 1]);
			row[j] = size_min(size_min(above[j], row[j - 1]) + 1, above[j - 1] + !same);
			if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1])
				row[j] = size_min(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[a.len % 3][b.len];
}

const char *diagnostics_suggest(const char *word, const char *const *candidates)
{
	struct span wanted = span_of(word);
	const char *best = NULL;
	size_t nearest = wanted.len / 3 + 1;
	if (wanted.len > LONGEST_WORD)
		return NULL;
	for (; *candidates; candidates++) {
		struct span candidate = span_of(*candidates);
		if (candidate.len > LONGEST_WORD)
			continue;
		size_t steps = distance(wanted, candidate);
		if (steps < nearest) {
			nearest = steps;
			best = *candidates;
		}
	}
	return best;
}
