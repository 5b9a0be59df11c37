/*
 * Why a route takes a request, or does not: each of its conditions by itself. For explanations: slower than router_match, and of the same opinion.
 */
#ifndef GUISE_ROUTE_JUDGE_H
#define GUISE_ROUTE_JUDGE_H

#include "route/router.h"

enum { JUDGE_MOST = 32 }; /* conditions of a route that are looked at */

struct judgement {
	const char *what; /* "host", "path", "method", "field", "cookie": static */
	struct span text; /* what is asked for, as the configuration writes it */
	bool holds;
};

/* How many conditions the route has, at most `most`, which are filled in. `path`: as struct route_match has it. Text is in the arena; false: out of memory. */
WARN_UNUSED bool route_judge(const struct route *route, const struct http_head *head, struct span path,
			     struct arena *arena, struct judgement *judgements, size_t most, size_t *count);

#endif
