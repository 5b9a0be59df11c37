/*
 * Taking the target of a request to the operator's interface apart: segments of its path, arguments of its query. Pure.
 */
#ifndef GUISE_ADMIN_ARGS_H
#define GUISE_ADMIN_ARGS_H

#include "core/arena.h"

/*
 * Percent-decoded (RFC 3986 2.1) into the arena; with `form`, "+" is a space, as browsers' forms and most libraries write it. False: an encoding that
 * is none, a NUL in what comes out, or no memory.
 */
WARN_UNUSED bool args_decode(struct span text, bool form, struct arena *arena, struct span *out);

enum { ARGS_SEGMENTS = 6 };

/*
 * Whether a path ("/upstreams/web") is what a pattern ("/upstreams/{*}", where "{*}" is any one segment that is not empty) says; the segments that
 * stand for "{*}" are decoded into `found`. False too when one cannot be decoded.
 */
WARN_UNUSED bool args_match(const char *pattern, struct span path, struct arena *arena,
			    struct span found[ARGS_SEGMENTS]);

/* The next argument of a query ("a=b&c"), decoded; empty ones are passed over. `*wrong`: it cannot be decoded, and the walk is over. False: no more. */
WARN_UNUSED bool args_next(struct span *query, struct arena *arena, struct span *name, struct span *value,
			   bool *wrong);

#endif
