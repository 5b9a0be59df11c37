/*
 * See budget.h. Pure.
 */
#include "upstream/budget.h"

enum { TRY = 1000 };

static uint64_t share(uint64_t of_all, unsigned workers)
{
	return (of_all * TRY + workers - 1) / workers;
}

void retry_budget_init(struct retry_budget *budget, const struct retry_budget_settings *settings,
		       unsigned workers, uint64_t now_ms)
{
	*budget = (struct retry_budget){
		.most = share(settings->burst, workers),
		.a_request = settings->percent * TRY / 100,
		.a_second = share(settings->per_second, workers),
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
	uint64_t earned = (now_ms - budget->at_ms) * budget->a_second / 1000;

	if (earned > 0) {
		budget->at_ms = now_ms;
		budget_add(budget, earned);
	}
	if (budget->credit < TRY)
		return false;
	budget->credit -= TRY;
	return true;
}
