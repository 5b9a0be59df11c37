/*
 * PCRE2 patterns: compiled at start, matched on any thread with match data from the caller's arena.
 *
 * Match data in the arena of the exchange costs two small bump allocations for the first pattern that a request
 * meets, and nothing has to be kept for each worker or pattern.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "route/pattern.h"

#include <pcre2.h>

enum { OPTIONS = PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY };

struct pattern {
	struct pattern *next;
	pcre2_code *code;
	pcre2_match_context *limits;
	unsigned groups;
};

static void release(struct pattern *pattern)
{
	pcre2_match_context_free(pattern->limits);
	pcre2_code_free(pattern->code);
}

static struct pattern *compile(struct pattern_list *list, struct span text, uint32_t options,
			       struct setting_place place, struct diagnostics *diagnostics)
{
	struct pattern *pattern = arena_zalloc(diagnostics->arena, 1, sizeof(*pattern));
	PCRE2_UCHAR why[128];
	uint32_t groups = 0;
	PCRE2_SIZE offset;
	int error;

	if (!pattern)
		goto memory;
	pattern->code = pcre2_compile(text.at, text.len, OPTIONS | options, &error, &offset, NULL);
	if (!pattern->code) {
		pcre2_get_error_message(error, why, sizeof(why));
		diagnostics_error(diagnostics, place, "pattern \"%.*s\": %s, at its character %zu",
				  SPAN_ARG(text), (const char *)why, (size_t)offset + 1);
		return NULL;
	}
	pattern->limits = pcre2_match_context_create(NULL);
	if (!pattern->limits)
		goto memory;
	pcre2_set_match_limit(pattern->limits, PATTERN_MATCH_LIMIT);
	pcre2_set_heap_limit(pattern->limits, PATTERN_HEAP_KIB);
	pcre2_pattern_info(pattern->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	pattern->groups = groups;
	/* Where there is no JIT (or no executable memory) the interpreter does the same, slower. */
	(void)pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
	pattern->next = list->first;
	list->first = pattern;
	return pattern;

memory:
	if (pattern)
		release(pattern);
	diagnostics_error(diagnostics, place, "out of memory");
	return NULL;
}

struct pattern *pattern_compile(struct pattern_list *list, struct span text, struct setting_place place,
				struct diagnostics *diagnostics)
{
	return compile(list, text, 0, place, diagnostics);
}

struct pattern *pattern_compile_whole(struct pattern_list *list, struct span text, struct setting_place place,
				      struct diagnostics *diagnostics)
{
	return compile(list, text, PCRE2_ANCHORED | PCRE2_ENDANCHORED, place, diagnostics);
}

void pattern_list_free(struct pattern_list *list)
{
	for (struct pattern *pattern = list->first; pattern; pattern = pattern->next)
		release(pattern);
	list->first = NULL;
}

unsigned pattern_group_count(const struct pattern *pattern)
{
	return pattern->groups;
}

static void *take(PCRE2_SIZE size, void *arena)
{
	return arena_alloc(arena, size);
}

static void give(void *memory, void *arena)
{
}

static bool prepare(struct pattern_scratch *scratch)
{
	if (!scratch->general)
		scratch->general = pcre2_general_context_create(take, give, scratch->arena);
	if (scratch->general && !scratch->data)
		scratch->data = pcre2_match_data_create(PATTERN_GROUPS + 1, scratch->general);
	return scratch->data != NULL;
}

static void note_groups(pcre2_match_data *data, int found, struct span subject, struct pattern_groups *groups)
{
	const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(data);

	for (int i = 0; i <= PATTERN_GROUPS; i++) {
		bool set = (found == 0 || i < found) && offsets[2 * i] != PCRE2_UNSET;

		/* \K in a lookaround can make an end that is before its start. */
		if (set && offsets[2 * i] <= offsets[2 * i + 1])
			groups->group[i] =
				span_make(subject.at + offsets[2 * i], offsets[2 * i + 1] - offsets[2 * i]);
		else
			groups->group[i] = span_make(NULL, 0);
	}
}

enum pattern_result pattern_match(const struct pattern *pattern, struct span subject,
				  struct pattern_scratch *scratch, struct pattern_groups *groups)
{
	const uint8_t *at = subject.at ? subject.at : (const uint8_t *)"";
	int found;

	if (!prepare(scratch))
		return PATTERN_MEMORY;
	found = pcre2_match(pattern->code, at, subject.len, 0, 0, scratch->data, pattern->limits);
	/* The JIT has 32 KiB of stack; the interpreter has the heap, up to its limit. */
	if (found == PCRE2_ERROR_JIT_STACKLIMIT)
		found = pcre2_match(pattern->code, at, subject.len, 0, PCRE2_NO_JIT, scratch->data,
				    pattern->limits);
	if (found == PCRE2_ERROR_NOMATCH)
		return PATTERN_NO;
	if (found == PCRE2_ERROR_NOMEMORY)
		return PATTERN_MEMORY;
	if (found < 0)
		return PATTERN_LIMIT;
	if (groups)
		note_groups(scratch->data, found, span_make(at, subject.len), groups);
	return PATTERN_YES;
}
