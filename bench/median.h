/*
 * The median of a few samples.
 */
#ifndef GUISE_BENCH_MEDIAN_H
#define GUISE_BENCH_MEDIAN_H

#include <stdlib.h>

static inline int median_compare(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;

	return one < other ? -1 : one > other;
}

/* Sorts them; count > 0. */
static inline double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), median_compare);
	return values[count / 2];
}

#endif
