/*
 * Points for work without use. See budget.h.
 */
#include "http/h2/budget.h"

static const struct {
	const char *name;
	uint32_t points;
	bool goes_with_content;
} abuses[H2_ABUSE_KINDS] = {
#define ROW(kind, name, points, goes_with_content) [H2_ABUSE_##kind] = {name, points, goes_with_content},
	H2_ABUSE_TABLE(ROW)
#undef ROW
};

const char *h2_abuse_name(enum h2_abuse kind)
{
	return abuses[kind].name;
}

void h2_budget_init(struct h2_budget *budget, uint64_t now_ms)
{
	*budget = (struct h2_budget){.points = H2_BUDGET_POINTS, .refilled_at = now_ms};
}

static void budget_refill(struct h2_budget *budget, uint64_t points)
{
	budget->points = points > H2_BUDGET_POINTS - budget->points ? H2_BUDGET_POINTS :
								      budget->points + (uint32_t)points;
	/* What time has given back is not given back again. */
	budget->owed = (uint32_t)size_min(budget->owed, H2_BUDGET_POINTS - budget->points);
}

bool h2_budget_spend(struct h2_budget *budget, enum h2_abuse kind, uint64_t now_ms)
{
	uint64_t earned = (now_ms - budget->refilled_at) * H2_BUDGET_A_SECOND / 1000;

	if (earned > 0) {
		budget->refilled_at = now_ms;
		budget_refill(budget, earned);
	}
	if (budget->points < abuses[kind].points)
		return false;
	budget->points -= abuses[kind].points;
	if (abuses[kind].goes_with_content)
		budget->owed += abuses[kind].points;
	return true;
}

void h2_budget_earn(struct h2_budget *budget, size_t bytes)
{
	budget->bytes += (uint32_t)size_min(bytes, UINT32_MAX / 2);
	if (budget->bytes < H2_BUDGET_BYTES)
		return;
	budget_refill(budget, budget->bytes / H2_BUDGET_BYTES);
	budget->bytes %= H2_BUDGET_BYTES;
}

void h2_budget_earn_frame(struct h2_budget *budget)
{
	uint32_t points = (uint32_t)size_min(H2_BUDGET_FRAME, budget->owed);

	budget->owed -= points;
	budget_refill(budget, points);
}
