/*
 * Printing diagnostics. See report.h. Memory may be out when this is called, so that it takes none but for the sorting, which is
 * left out then.
 */
#include "config/report.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *left, const void *right)
{
	const struct diagnostic *a = *(const struct diagnostic *const *)left,
				*b = *(const struct diagnostic *const *)right;

	if (a->file && b->file && strcmp(a->file, b->file) != 0)
		return strcmp(a->file, b->file);
	if (a->place.line != b->place.line)
		return a->place.line < b->place.line ? -1 : 1;
	if (a->place.column != b->place.column)
		return a->place.column < b->place.column ? -1 : 1;
	return 0;
}

static void print_one(FILE *out, const char *file, const struct diagnostic *diagnostic, bool colour)
{
	const char *bold = colour ? "\033[1m" : "", *yellow = colour ? "\033[33m" : "",
		   *plain = colour ? "\033[0m" : "";

	if (!file)
		fprintf(out, "%sguise:%s ", bold, plain);
	else if (diagnostic->place.line == 0)
		fprintf(out, "%s%s:%s ", bold, file, plain);
	else
		fprintf(out, "%s%s:%u:%u:%s ", bold, file, diagnostic->place.line, diagnostic->place.column,
			plain);
	if (diagnostic->warning)
		fprintf(out, "%swarning:%s ", yellow, plain);
	fprintf(out, "%s\n", diagnostic->text);
}

/* The diagnostics in the order of their places; those of one place in the order in which they were found. */
static size_t sort(const struct diagnostics *diagnostics, const struct diagnostic **sorted)
{
	size_t count = 0;

	for (const struct diagnostic *diagnostic = diagnostics->first; diagnostic; diagnostic = diagnostic->next)
		sorted[count++] = diagnostic;
	/* Insertion keeps the order of equals, and what is found comes nearly in order. */
	if (count <= 4 * REPORT_MOST) {
		for (size_t i = 1; i < count; i++)
			for (size_t j = i; j > 0 && compare(&sorted[j - 1], &sorted[j]) > 0; j--) {
				const struct diagnostic *other = sorted[j];
				sorted[j] = sorted[j - 1];
				sorted[j - 1] = other;
			}
	} else {
		qsort(sorted, count, sizeof(*sorted), compare);
	}
	return count;
}

void report_print(FILE *out, const struct diagnostics *diagnostics, bool warnings, bool colour)
{
	const struct diagnostic **sorted, *diagnostic;
	size_t count = 0, printed = 0, left = 0;

	for (diagnostic = diagnostics->first; diagnostic; diagnostic = diagnostic->next)
		count++;
	sorted = calloc(count + 1, sizeof(*sorted));
	if (sorted)
		count = sort(diagnostics, sorted);
	diagnostic = diagnostics->first;
	for (size_t i = 0; i < count; i++, diagnostic = diagnostic->next) {
		const struct diagnostic *one = sorted ? sorted[i] : diagnostic;
		if (one->warning && !warnings)
			continue;
		if (printed < REPORT_MOST) {
			print_one(out, one->file, one, colour);
			printed++;
		} else {
			left++;
		}
	}
	if (left > 0)
		fprintf(out, "%s: and %zu more\n", diagnostics->file ? diagnostics->file : "guise", left);
	if (diagnostics->errors > 0 && printed == 0) /* there was not even memory for the texts */
		fprintf(out, "%s: out of memory\n", diagnostics->file ? diagnostics->file : "guise");
	free(sorted);
}
