/*
 * From the settings of parents to plans. See parents.h.
 */
#include "config/parents.h"

#include "config/servers_tls.h"

/* Where there is no `tls`, the place of the parent itself is told. */
static void plan_tls(const struct tls_files *files, struct parent_plan *plan)
{
	struct tls_upstream_settings tls = plan->settings->tls;
	bool secure = false;

	for (uint32_t i = 0; i < plan->count; i++)
		secure = secure || plan->servers[i].kind == PARENT_HTTPS;
	if (!secure)
		return;
	if (tls.place.line == 0)
		tls.place = plan->settings->place;
	servers_tls_read(files, &tls, &plan->trust, &plan->certificate, &plan->key);
}

bool parents_plan(struct snapshot *snapshot, const char *base, struct diagnostics *diagnostics)
{
	struct tls_files files = {snapshot, base, diagnostics};

	if (!parents_compile(&snapshot->settings.parents, &snapshot->arena, diagnostics, &snapshot->parents))
		return false;
	for (uint32_t i = 0; i < snapshot->parents.count; i++)
		plan_tls(&files, &snapshot->parents.items[i]);
	return true;
}

void parents_release(struct snapshot *snapshot)
{
	for (uint32_t i = 0; snapshot->parents.items && i < snapshot->parents.count; i++) {
		struct parent_plan *plan = &snapshot->parents.items[i];
		servers_tls_release(plan->trust, plan->certificate, plan->key);
	}
}
