/*
 * Quotas: bytes of an hour, a day or a month of the calendar. Counting is one atomic addition; only where a period ends is there a lock.
 */
#include "account/allowance_internal.h"

#include <time.h>

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

static void month_of(int64_t wall_ms, int64_t *start_ms, int64_t *end_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	tm = (struct tm){.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = 1};
	*start_ms = (int64_t)timegm(&tm) * 1000;
	tm = (struct tm){.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1};
	*end_ms = (int64_t)timegm(&tm) * 1000; /* the 13th month is January */
}

static void period_of(enum allowance_period period, int64_t wall_ms, int64_t *start_ms, int64_t *end_ms)
{
	int64_t length = period == ALLOWANCE_HOUR ? HOUR_MS : DAY_MS;

	if (period == ALLOWANCE_MONTH) {
		month_of(wall_ms, start_ms, end_ms);
		return;
	}
	*start_ms = wall_ms / length * length;
	*end_ms = *start_ms + length;
}

/* The clock may be set back by a little without a fresh quota at each step over the border; back by more than a period it was wrong before. */
static bool is_now(int64_t start_ms, int64_t end_ms, int64_t wall_ms)
{
	return wall_ms < end_ms && wall_ms >= start_ms - (end_ms - start_ms);
}

static void quota_begin(const struct allowance *allowance, struct quota *quota, int64_t wall_ms)
{
	int64_t start_ms, end_ms;

	if (is_now(atomic_load(&quota->start_ms), atomic_load(&quota->end_ms), wall_ms))
		return; /* somebody else was faster */
	period_of((enum allowance_period)allowance->settings.period, wall_ms, &start_ms, &end_ms);
	atomic_store(&quota->base, atomic_load(&quota->total));
	atomic_store(&quota->start_ms, start_ms);
	atomic_store(&quota->end_ms, end_ms);
}

uint64_t allowance_quota_used(const struct allowance *allowance, struct allowance_shard *shard,
			      struct allowance_entry *entry, int64_t wall_ms, bool locked)
{
	struct quota *quota = &entry->quota;
	int64_t end_ms = atomic_load(&quota->end_ms), start_ms = atomic_load(&quota->start_ms);

	if (!is_now(start_ms, end_ms, wall_ms)) {
		if (!locked)
			pthread_mutex_lock(&shard->lock);
		quota_begin(allowance, quota, wall_ms);
		if (!locked)
			pthread_mutex_unlock(&shard->lock);
	}
	uint64_t base = atomic_load(&quota->base), total = atomic_load(&quota->total);
	/* what is given back may be of the period before */
	return total > base ? total - base : 0;
}
