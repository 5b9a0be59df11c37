/*
 * What is seen in a row, and ejection. See outlier.h. Any worker; counting is by atomics, ejection under the group's lock.
 */
#include "upstream/fleet_internal.h"
#include "upstream/outlier_internal.h"

#include <stdio.h>

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

/* ---- ejection ---- */

/* Others of the group that are left out now; *others: how many there are. */
static unsigned count_ejected(const struct roster *roster, const struct fleet_server *server, uint64_t now_ms,
			      unsigned *others)
{
	unsigned count = 0;

	*others = 0;
	for (unsigned i = 0; i < roster->count; i++) {
		const struct fleet_server *other = roster->members[i].server;
		if (other == server)
			continue;
		++*others;
		count += atomic_load(&other->ejected_until) > now_ms;
	}
	return count;
}

/* How long, growing with each time in a row. */
static uint64_t ejection_ms(const struct outlier_settings *settings, unsigned times)
{
	uint64_t most = size_max(settings->eject_most, settings->eject);

	return times > most / settings->eject ? most : settings->eject * times;
}

/* Whether one more may be left out. The last one never is. */
static bool may_eject(const struct fleet_group *group, const struct fleet_server *server, uint64_t now_ms)
{
	unsigned others, out = count_ejected(group->roster, server, now_ms, &others);

	return out < others &&
	       (out + 1) * UINT64_C(100) <= (others + 1) * group->plan->settings->outliers.share;
}

/* For how long the server is left out from now on, ms; 0: it is not, or was before. The lock is held. */
static uint64_t eject_locked(const struct fleet_group *group, struct fleet_server *server, uint64_t now_ms)
{
	const struct outlier_settings *settings = &group->plan->settings->outliers;
	uint64_t until = atomic_load(&server->ejected_until);
	unsigned times = atomic_load(&server->ejections);

	if (until > now_ms || !may_eject(group, server, now_ms))
		return 0;
	/* One that was well for as long as it had been left out begins anew. */
	if (until && now_ms - until > ejection_ms(settings, times))
		times = 0;
	uint64_t length = ejection_ms(settings, times + 1);
	atomic_store(&server->ejections, times + 1);
	atomic_store(&server->ejected_until, now_ms + length);
	return length;
}

bool outlier_eject(struct fleet_group *group, struct fleet_server *server, const struct worker *worker,
		   const char *why)
{
	const struct setting_string *name = &group->plan->settings->name;

	pthread_mutex_lock(&group->lock);
	uint64_t length = eject_locked(group, server, worker->loop.now);
	pthread_mutex_unlock(&group->lock);
	streaks_end(server);
	if (!length)
		return false;
	fleet_touch(group);
	log_say(worker->log, LOG_WARNING, "group %.*s: server %.*s is left out for %llu ms: %s",
		(int)name->len, name->text, SPAN_ARG(server->text), (unsigned long long)length, why);
	return true;
}

/* ---- in a row ---- */

static void eject_for_streak(struct fleet_group *group, struct fleet_server *server,
			     const struct worker *worker, uint64_t length, const char *of_what)
{
	char why[64];

	(void)snprintf(why, sizeof(why), "%llu %s in a row", (unsigned long long)length, of_what);
	outlier_eject(group, server, worker, why);
}

bool outlier_is_failure(const struct error *error)
{
	if (error->code == ERROR_UPSTREAM_REFUSED || error->code == ERROR_SERVER_DOWN)
		return false;
	return error_source(error) == ERROR_SOURCE_SERVER || error->code == ERROR_DNS_FAILED;
}

void outlier_on_answer(struct fleet_group *group, struct fleet_server *server, unsigned status,
		       const struct worker *worker)
{
	const struct outlier_settings *settings = &group->plan->settings->outliers;
	uint64_t most = settings->errors;

	streak_end(&server->connects);
	/* What is tried elsewhere was no answer: or each such server would use up the budget for retries, and clients would meet it then. */
	if (!status_set_has(&group->plan->retry_on, status))
		streak_end(&server->failures);
	else if (streak_grow(&server->failures, settings->failures))
		eject_for_streak(group, server, worker, settings->failures,
				 "answers with a status of retry_on");
	if (status < 500)
		streak_end(&server->errors);
	else if (streak_grow(&server->errors, most))
		eject_for_streak(group, server, worker, most, "answers with a status of 500 or more");
}

void outlier_on_failure(struct fleet_group *group, struct fleet_server *server, const struct error *error,
			const struct worker *worker)
{
	const struct outlier_settings *settings = &group->plan->settings->outliers;

	/* What never left: no connection was made. */
	if (!error->unprocessed)
		streak_end(&server->connects);
	else if (streak_grow(&server->connects, settings->connects))
		eject_for_streak(group, server, worker, settings->connects, "failures to connect");
	if (streak_grow(&server->failures, settings->failures))
		eject_for_streak(group, server, worker, settings->failures, "requests without an answer");
}
