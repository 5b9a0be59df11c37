/*
 * PCRE2 patterns of the configuration: compiled with JIT at start, bounded when matched. A pattern is immutable and
 * shared by all threads; what a match needs (match data) comes from the scratch arena of the call, so that nothing is
 * shared.
 */
#ifndef GUISE_ROUTE_PATTERN_H
#define GUISE_ROUTE_PATTERN_H

#include "core/diagnostic.h"

struct pattern;

/* Steps that one match may take before it is given up: far above any sane pattern, below a tenth of a second. */
enum { PATTERN_MATCH_LIMIT = 1000000, PATTERN_HEAP_KIB = 1024, PATTERN_GROUPS = 9 };

/* One side of a match: the whole (0) and the groups 1..9; at == NULL: the group took no part. */
struct pattern_groups {
	struct span group[PATTERN_GROUPS + 1];
};

enum pattern_result {
	PATTERN_NO,
	PATTERN_YES,
	PATTERN_LIMIT, /* gave up: what the answer would be is not known */
	PATTERN_MEMORY,
};

/* Match data of one call, made when first needed. Start from {.arena = arena}. */
struct pattern_scratch {
	struct arena *arena;
	void *general, *data; /* PCRE2's, in the arena */
};

/* The patterns of one router, to be given back together. Starts zeroed. */
struct pattern_list {
	struct pattern *first;
};

/* Compiles `text` (without the "~") into the list. NULL after a diagnostic with the offset of the mistake. */
WARN_UNUSED struct pattern *pattern_compile(struct pattern_list *list, struct span text,
					    struct setting_place place, struct diagnostics *diagnostics);
/* The same for one that has to match the whole subject, whatever is in it. */
WARN_UNUSED struct pattern *pattern_compile_whole(struct pattern_list *list, struct span text,
						  struct setting_place place, struct diagnostics *diagnostics);
void pattern_list_free(struct pattern_list *list);

/* Matches anywhere in the subject unless the pattern is anchored. Bytes, not UTF-8. `groups` may be NULL. */
enum pattern_result pattern_match(const struct pattern *pattern, struct span subject,
				  struct pattern_scratch *scratch, struct pattern_groups *groups);

/* The number of groups in the pattern. */
unsigned pattern_group_count(const struct pattern *pattern);

#endif
