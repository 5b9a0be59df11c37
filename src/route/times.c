/*
 * See times.h.
 */
#include "route/times.h"

#include <time.h>

enum { ALL_DAYS = 0x7f };

static const char *const day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static int day_of(struct span text)
{
	for (size_t i = 0; i < ARRAY_LENGTH(day_names); i++)
		if (span_equal_nocase(text, span_of(day_names[i])))
			return (int)i;
	return -1;
}

/* "mon", "mon-fri", "fri-mon" */
static bool parse_days_item(struct span text, uint8_t *days)
{
	struct span first, last;

	if (!span_cut(text, '-', &first, &last))
		last = first;
	int day = day_of(first), end = day_of(last);
	if (day < 0 || end < 0)
		return false;
	for (;; day = (day + 1) % 7) {
		*days |= (uint8_t)(1 << day);
		if (day == end)
			return true;
	}
}

static const char *parse_days(struct span text, uint8_t *days)
{
	struct span item, rest = text;
	bool more = true;

	*days = 0;
	while (more) {
		more = span_cut(rest, ',', &item, &rest);
		if (!parse_days_item(item, days))
			return "days are written mon, tue, wed, thu, fri, sat, sun, as in \"mon-fri\" or \"sat,sun\"";
	}
	return NULL;
}

/* "08:00" to "24:00" */
static bool parse_minute(struct span text, uint16_t *minute)
{
	struct span hour, rest;
	uint64_t hours, minutes;

	if (!span_cut(text, ':', &hour, &rest) || hour.len != 2 || rest.len != 2)
		return false;
	if (!span_to_u64(hour, &hours) || !span_to_u64(rest, &minutes))
		return false;
	if (minutes > 59 || hours * 60 + minutes > MINUTES_A_DAY)
		return false;
	*minute = (uint16_t)(hours * 60 + minutes);
	return true;
}

static const char *parse_hours(struct span text, struct week_time *time)
{
	struct span first, end;

	if (!span_cut(text, '-', &first, &end) || !parse_minute(first, &time->first) ||
	    !parse_minute(end, &time->end))
		return "hours are written \"08:00-18:00\", from 00:00 to 24:00, with two digits each";
	if (time->first == MINUTES_A_DAY)
		return "24:00 is where a day ends; one begins at 00:00";
	return time->first == time->end ? "it ends when it begins; all day is \"00:00-24:00\"" : NULL;
}

const char *week_time_parse(struct span text, struct week_time *time)
{
	struct span days, hours;
	const char *wrong;

	text = span_trim(text);
	*time = (struct week_time){.days = ALL_DAYS, .first = 0, .end = MINUTES_A_DAY};
	if (text.len == 0)
		return "a time is written \"mon-fri 08:00-18:00\"";
	if (ascii_is_digit(text.at[0]))
		return parse_hours(text, time);
	bool both = span_cut(text, ' ', &days, &hours);
	wrong = parse_days(days, &time->days);
	if (wrong || !both)
		return wrong;
	return parse_hours(span_trim(hours), time);
}

bool week_time_has(const struct week_time *time, unsigned minute)
{
	unsigned day = minute / MINUTES_A_DAY, of_day = minute % MINUTES_A_DAY;
	bool today = time->days >> day & 1, yesterday = time->days >> (day + 6) % 7 & 1;

	if (time->first < time->end)
		return today && of_day >= time->first && of_day < time->end;
	return (today && of_day >= time->first) || (yesterday && of_day < time->end);
}

void week_clock_start(struct week_clock *clock)
{
	tzset();
	(void)week_clock_tell(clock, 0);
}

/* Zones change at full minutes of the world's clock, so that what is true of a minute's begin is true of all of it. */
unsigned week_clock_tell(struct week_clock *clock, int64_t wall_ms)
{
	uint64_t minute = wall_ms > 0 ? (uint64_t)wall_ms / 60000 : 0;
	uint64_t known = atomic_load_explicit(&clock->known, memory_order_relaxed);
	time_t seconds = (time_t)(minute * 60);
	struct tm local;

	if (known && known >> 16 == minute)
		return (unsigned)(known & 0xffff);
	if (!localtime_r(&seconds, &local))
		return 0;
	unsigned week = (unsigned)(local.tm_wday + 6) % 7 * MINUTES_A_DAY + (unsigned)local.tm_hour * 60 +
			(unsigned)local.tm_min;
	atomic_store_explicit(&clock->known, minute << 16 | week, memory_order_relaxed);
	return week;
}
