/*
 * See budget.h. Pure.
 */
#include "upstream/budget.h"

enum {
	TRY = 1000 * 1000,
	ELAPSED_MOST = 1000 * 1000 * 1000, /* ms: a pause of many days earns no more than these */
};

static uint64_t share(uint64_t of_all, unsigned workers)
{
	return (of_all + workers - 1) / workers;
}

void retry_budget_init(struct retry_budget *budget, const struct retry_budget_settings *settings,
		       unsigned workers, uint64_t now_ms)
{
	*budget = (struct retry_budget){
		/* Less than one try could never be spent. */
		.most = size_max(share(settings->burst * TRY, workers), TRY),
		.a_request = settings->percent * TRY / 100,
		.a_ms = share(settings->per_second * (TRY / 1000), workers),
		.at_ms = now_ms,
	};
	budget->credit = budget->most;
}

static void budget_add(struct retry_budget *budget, uint64_t credit)
{
	budget->credit = budget->most - budget->credit < credit ? budget->most : budget->credit + credit;
}

void retry_budget_earn(struct retry_budget *budget)
{
	budget_add(budget, budget->a_request);
}

bool retry_budget_spend(struct retry_budget *budget, uint64_t now_ms)
{
	budget_add(budget, size_min(now_ms - budget->at_ms, ELAPSED_MOST) * budget->a_ms);
	budget->at_ms = now_ms;
	if (budget->credit < TRY)
		return false;
	budget->credit -= TRY;
	return true;
}
