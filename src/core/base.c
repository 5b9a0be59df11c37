/*
 * The end of a process whose invariant does not hold. Any thread, any state: so no stdio and no allocation.
 */
#include "core/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void ensure_failed(const char *condition, const char *file, int line)
{
	char text[512];
	int length =
		snprintf(text, sizeof(text), "guise: invariant broken at %s:%d: %s\n", file, line, condition);
	ssize_t written =
		write(STDERR_FILENO, text, size_min(length < 0 ? 0 : (size_t)length, sizeof(text) - 1));
	(void)written;
	abort();
}
