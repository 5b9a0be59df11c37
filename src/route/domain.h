/*
 * Host names and the patterns for them, in routes and in rules: "example.com" exactly, "*.example.com" everything
 * below it at any depth, ".example.com" both. Compared without case; one trailing dot means nothing. A set answers by
 * hash: one look-up for each label of the name, however many patterns it holds.
 */
#ifndef GUISE_ROUTE_DOMAIN_H
#define GUISE_ROUTE_DOMAIN_H

#include "core/arena.h"
#include "core/map.h"

enum domain_reach {
	DOMAIN_EXACT = 1,
	DOMAIN_BELOW = 2,
	DOMAIN_BOTH = DOMAIN_EXACT | DOMAIN_BELOW,
};

enum { DOMAIN_MAX = 253 };

struct domain_pattern {
	struct span name; /* lower case, without "*." and dots at the ends; IPv6 as RFC 5952 writes it, no brackets */
	enum domain_reach reach;
	bool literal; /* an IP address; then the reach is EXACT */
};

/* NULL, or why the text is no pattern (static text); "out of memory" included. The name is in the arena. */
const char *domain_pattern_parse(struct span text, struct arena *arena, struct domain_pattern *pattern);

struct domain_set {
	struct map names; /* name -> reach, as a tagged pointer */
};

void domain_set_init(struct domain_set *set, struct memory *memory);
void domain_set_fini(struct domain_set *set);
WARN_UNUSED bool domain_set_add(struct domain_set *set, const struct domain_pattern *pattern); /* name borrowed */
bool domain_set_has(const struct domain_set *set, struct span name); /* any case; trailing dot ignored */
/* The name itself alone, which is in lower case: for literals, which nothing is above of. */
bool domain_set_has_exactly(const struct domain_set *set, struct span name);

/* The part of the name after its first dot, or an empty span. */
struct span domain_parent(struct span name);

#endif
