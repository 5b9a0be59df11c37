/*
 * Times of the week in rules: how they are written, days over midnight, and the local time when clocks are put forward and back.
 */
#include "route/times.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { MON, TUE, WED, THU, FRI, SAT, SUN };

static unsigned at(unsigned day, unsigned hour, unsigned minute)
{
	return day * MINUTES_A_DAY + hour * 60 + minute;
}

static struct week_time parsed(const char *text)
{
	struct week_time time;
	const char *wrong = week_time_parse(span_of(text), &time);

	if (wrong)
		fail_msg("\"%s\": %s", text, wrong);
	return time;
}

static bool has(const char *text, unsigned minute)
{
	struct week_time time = parsed(text);

	return week_time_has(&time, minute);
}

static void test_hours_of_days(void **state)
{
	assert_true(has("mon-fri 08:00-18:00", at(MON, 8, 0)));
	assert_true(has("mon-fri 08:00-18:00", at(FRI, 17, 59)));
	assert_false(has("mon-fri 08:00-18:00", at(FRI, 18, 0)));
	assert_false(has("mon-fri 08:00-18:00", at(TUE, 7, 59)));
	assert_false(has("mon-fri 08:00-18:00", at(SAT, 12, 0)));
	assert_true(has("sat,sun", at(SUN, 23, 59)));
	assert_true(has("sat,sun", at(SAT, 0, 0)));
	assert_false(has("sat,sun", at(MON, 0, 0)));
	assert_true(has("FRI-mon", at(SUN, 1, 1)));
	assert_true(has("fri-mon", at(MON, 23, 0)));
	assert_false(has("fri-mon", at(TUE, 0, 0)));
	assert_true(has("wed,fri-sat 10:00-24:00", at(SAT, 23, 59)));
	assert_false(has("wed,fri-sat 10:00-24:00", at(SUN, 0, 0)));
	assert_true(has("  mon   08:00-09:00 ", at(MON, 8, 30)));
	assert_true(has("00:00-24:00", at(SUN, 23, 59)));
}

static void test_over_midnight(void **state)
{
	assert_true(has("22:00-06:00", at(MON, 23, 0)));
	assert_true(has("22:00-06:00", at(MON, 5, 59)));
	assert_false(has("22:00-06:00", at(MON, 6, 0)));
	assert_false(has("22:00-06:00", at(MON, 21, 59)));
	/* The day is the one on which it begins. */
	assert_true(has("fri 22:00-06:00", at(FRI, 22, 0)));
	assert_true(has("fri 22:00-06:00", at(SAT, 5, 59)));
	assert_false(has("fri 22:00-06:00", at(FRI, 5, 0)));
	assert_false(has("fri 22:00-06:00", at(SAT, 22, 0)));
	/* Over the end of the week. */
	assert_true(has("sun 22:00-06:00", at(MON, 0, 0)));
	assert_false(has("sun 22:00-06:00", at(TUE, 0, 0)));
	assert_true(has("sun 18:00-00:00", at(SUN, 23, 59)));
	assert_false(has("sun 18:00-00:00", at(MON, 0, 0)));
}

static void test_mistakes(void **state)
{
	static const char *const wrong[] = {
		"",
		" ",
		"noon",
		"mon-",
		"-mon",
		"mon,",
		"mon,,tue",
		"monday",
		"8:00-18:00",
		"08:00",
		"08:00-",
		"08:00-8:30",
		"08:60-09:00",
		"25:00-26:00",
		"24:00-01:00",
		"08:00-24:01",
		"10:00-10:00",
		"mon 10:00-10:00",
		"mon fri",
		"mon 08:00-09:00 10:00-11:00",
		"08:00-09:00 mon",
		"mon 08.00-09.00",
		"m\xc3\xb6n",
		"08:00-09:000",
		"+8:00-09:00",
	};
	struct week_time time;

	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
		if (!week_time_parse(span_of(wrong[i]), &time))
			fail_msg("\"%s\" is taken", wrong[i]);
}

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static int64_t utc(int year, int month, int day, int hour, int minute)
{
	struct tm tm = {
		.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute};

	return (int64_t)timegm(&tm) * 1000;
}

static unsigned tell(int64_t wall_ms)
{
	struct week_clock clock = {0};

	week_clock_start(&clock);
	return week_clock_tell(&clock, wall_ms);
}

static void test_local_time(void **state)
{
	zone("UTC0");
	assert_int_equal(tell(utc(2026, 11, 23, 0, 0)), at(MON, 0, 0));
	assert_int_equal(tell(utc(2026, 11, 23, 0, 0) - 1), at(SUN, 23, 59));
	assert_int_equal(tell(utc(2026, 11, 22, 13, 7) + 59999), at(SUN, 13, 7));
	assert_int_equal(tell(0), at(THU, 0, 0));
	zone("IST-5:30");
	assert_int_equal(tell(utc(2026, 11, 22, 18, 30)), at(MON, 0, 0));
	zone("NPT-5:45");
	assert_int_equal(tell(utc(2026, 11, 22, 18, 14)), at(SUN, 23, 59));
	zone("HST10");
	assert_int_equal(tell(utc(2026, 11, 23, 9, 59)), at(SUN, 23, 59));
}

/* Central Europe: at 01:00 UTC on the last Sundays of March and October. */
static void test_clocks_put_forward_and_back(void **state)
{
	struct week_clock clock = {0};

	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	week_clock_start(&clock);
	assert_int_equal(week_clock_tell(&clock, utc(2026, 3, 29, 0, 59)), at(SUN, 1, 59));
	assert_int_equal(week_clock_tell(&clock, utc(2026, 3, 29, 1, 0)), at(SUN, 3, 0));
	assert_int_equal(week_clock_tell(&clock, utc(2026, 10, 25, 0, 59)), at(SUN, 2, 59));
	assert_int_equal(week_clock_tell(&clock, utc(2026, 10, 25, 1, 0)), at(SUN, 2, 0));
	assert_int_equal(week_clock_tell(&clock, utc(2026, 10, 25, 2, 0)), at(SUN, 3, 0));
	/* Back in time, as clocks of machines are set. */
	assert_int_equal(week_clock_tell(&clock, utc(2026, 3, 29, 0, 59)), at(SUN, 1, 59));
	/* 08:00 is 08:00 in summer as in winter. */
	assert_true(has("mon 08:00-09:00", week_clock_tell(&clock, utc(2026, 7, 6, 6, 0))));
	assert_false(has("mon 08:00-09:00", week_clock_tell(&clock, utc(2026, 7, 6, 7, 0))));
	assert_true(has("mon 08:00-09:00", week_clock_tell(&clock, utc(2026, 12, 7, 7, 0))));
}

/* What is remembered is what is computed, minute by minute over a year. */
static void test_every_hour_of_a_year(void **state)
{
	struct week_clock clock = {0};
	int64_t begin = utc(2026, 1, 1, 0, 0);

	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	week_clock_start(&clock);
	for (int64_t minute = 0; minute < 366 * 24 * 60; minute += 7) {
		time_t seconds = (time_t)(begin / 1000 + minute * 60);
		struct tm local;
		assert_non_null(localtime_r(&seconds, &local));
		unsigned expected =
			at((unsigned)(local.tm_wday + 6) % 7, (unsigned)local.tm_hour, (unsigned)local.tm_min);
		assert_int_equal(week_clock_tell(&clock, begin + minute * 60000), expected);
		assert_int_equal(week_clock_tell(&clock, begin + minute * 60000 + 59999), expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hours_of_days),
		cmocka_unit_test(test_over_midnight),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_local_time),
		cmocka_unit_test(test_clocks_put_forward_and_back),
		cmocka_unit_test(test_every_hour_of_a_year),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
