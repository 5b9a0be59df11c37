/*
 * What a group may spend on tries beside the first: each request earns a part of one, time earns some, and no more than a burst is saved. One
 * worker's own; the process's budget is divided among workers, each of which may save up one try at least.
 */
#ifndef GUISE_UPSTREAM_BUDGET_H
#define GUISE_UPSTREAM_BUDGET_H

#include "upstream/settings.h"

struct retry_budget {
	uint64_t credit, most; /* millionths of a try */
	uint64_t a_request, a_ms;
	uint64_t at_ms; /* when time was last counted */
};

void retry_budget_init(struct retry_budget *budget, const struct retry_budget_settings *settings,
		       unsigned workers, uint64_t now_ms);
void retry_budget_earn(struct retry_budget *budget);                               /* a request has come */
WARN_UNUSED bool retry_budget_spend(struct retry_budget *budget, uint64_t now_ms); /* false: nothing is left */

#endif
