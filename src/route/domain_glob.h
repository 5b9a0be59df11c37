/*
 * Patterns for host names with "*" inside of labels: "cdn*.shop.example", "*-ads.example", "shop.*". A star stands for any run of characters of its label, none
 * too, and never for a dot; of a whole label it leaves at least one. "*." and "." at the beginning mean what they mean elsewhere (domain.h). Immutable;
 * any thread.
 */
#ifndef GUISE_ROUTE_DOMAIN_GLOB_H
#define GUISE_ROUTE_DOMAIN_GLOB_H

#include "route/host_name.h"

struct domain_glob {
	struct span text; /* lower case, without what `reach` says */
	unsigned labels;
	enum domain_reach reach;
};

/* Is this one, rather than a domain_pattern? */
bool domain_is_glob(struct span text);
/* NULL, or why the text is none (static text); "out of memory" included. Its text is in the arena. */
const char *domain_glob_parse(struct span text, struct arena *arena, struct domain_glob *glob);
/* Never for a literal. Takes at most the product of both lengths in steps, label by label. */
bool domain_glob_has(const struct domain_glob *glob, const struct host_name *name);

#endif
