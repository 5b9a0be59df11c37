/*
 * Mistakes found in a configuration, all of them in one run, each with its place. Filled while a snapshot is
 * built, printed as "FILE:LINE:COLUMN: text". Control thread or start-up only.
 */
#ifndef GUISE_CORE_DIAGNOSTIC_H
#define GUISE_CORE_DIAGNOSTIC_H

#include "core/arena.h"
#include "core/setting.h"

struct diagnostic {
	struct diagnostic *next;
	const char *file; /* that the place is in: diagnostics->file, when it was added */
	struct setting_place place;
	bool warning; /* worth saying, no reason to refuse */
	const char *text;
};

struct diagnostics {
	struct arena *arena;
	const char *file; /* as the user named it; NULL for a configuration made from the command line */
	struct diagnostic *first, **end;
	unsigned errors, warnings;
};

void diagnostics_init(struct diagnostics *diagnostics, struct arena *arena, const char *file);
void diagnostics_error(struct diagnostics *diagnostics, struct setting_place place, const char *format, ...)
	PRINTF_LIKE(3, 4);
void diagnostics_warning(struct diagnostics *diagnostics, struct setting_place place, const char *format, ...)
	PRINTF_LIKE(3, 4);

/*
 * The candidate nearest to `word` by edit distance (at most a third of its length), or NULL. `candidates`
 * ends with NULL.
 */
const char *diagnostics_suggest(const char *word, const char *const *candidates);

#endif
