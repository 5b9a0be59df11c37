/*
 * What is seen in a row. See outlier.h. Any worker; all by atomics.
 */
#include "upstream/outlier.h"

#include "upstream/fleet_internal.h"

/* Zero is written only where there is something else, so that servers that are well cost no writing. */
static void streak_end(atomic_uint *streak)
{
	if (atomic_load_explicit(streak, memory_order_relaxed))
		atomic_store_explicit(streak, 0, memory_order_relaxed);
}

/* True: it has become as long as `most`, which is told once. */
static bool streak_grow(atomic_uint *streak, uint64_t most)
{
	return most && atomic_fetch_add_explicit(streak, 1, memory_order_relaxed) + 1 == most;
}

static void streaks_end(struct fleet_server *server)
{
	streak_end(&server->connects);
	streak_end(&server->failures);
	streak_end(&server->errors);
}

/* Servers of the group that are ejected now. */
static unsigned count_ejected(const struct roster *roster, uint64_t now_ms)
{
	unsigned count = 0;

	for (unsigned i = 0; i < roster->count; i++)
		count += atomic_load(&roster->members[i].server->ejected_until) > now_ms;
	return count;
}

/* How long, growing with each time in a row. */
static uint64_t ejection_ms(const struct outlier_settings *settings, unsigned times)
{
	uint64_t most = size_max(settings->eject_most, settings->eject);

	return times > most / settings->eject ? most : settings->eject * times;
}

static void eject(struct fleet_group *group, struct fleet_server *server, uint64_t now_ms)
{
	const struct outlier_settings *settings = &group->plan->settings->outliers;
	struct roster *roster = fleet_roster(group);
	uint64_t until = atomic_load(&server->ejected_until);
	bool allowed = (count_ejected(roster, now_ms) + 1) * 100 <= roster->count * settings->share;

	roster_release(roster);
	streaks_end(server);
	if (!allowed || until > now_ms)
		return;
	/* One that was well for as long as it had been left out begins anew. */
	unsigned times = atomic_load(&server->ejections);
	if (until && now_ms - until > ejection_ms(settings, times))
		times = 0;
	if (!atomic_compare_exchange_strong(&server->ejected_until, &until,
					    now_ms + ejection_ms(settings, times + 1)))
		return; /* another worker was first */
	atomic_store(&server->ejections, times + 1);
	fleet_touch(group);
}

void outlier_on_answer(struct fleet_group *group, struct fleet_server *server, unsigned status, uint64_t now_ms)
{
	streak_end(&server->connects);
	streak_end(&server->failures);
	if (status < 500)
		streak_end(&server->errors);
	else if (streak_grow(&server->errors, group->plan->settings->outliers.errors))
		eject(group, server, now_ms);
}

void outlier_on_failure(struct fleet_group *group, struct fleet_server *server, const struct error *error,
			uint64_t now_ms)
{
	const struct outlier_settings *settings = &group->plan->settings->outliers;
	bool connect = error->unprocessed && error_source(error) == ERROR_SOURCE_SERVER &&
		       error->code != ERROR_UPSTREAM_REFUSED;
	bool out = streak_grow(&server->failures, settings->failures);

	if (connect)
		out = streak_grow(&server->connects, settings->connects) || out;
	else
		streak_end(&server->connects);
	if (out)
		eject(group, server, now_ms);
}
