/*
 * Times of the week, as rules name them: "mon-fri 08:00-18:00". In the time zone of the process (TZ, /etc/localtime), as it was when the process
 * began. Any thread.
 */
#ifndef GUISE_ROUTE_TIMES_H
#define GUISE_ROUTE_TIMES_H

#include "core/span.h"

#include <stdatomic.h>

enum { MINUTES_A_DAY = 24 * 60 };

/* Of each of the days: from `first` to before `end`, in minutes since midnight; where that is not later, on the day after. */
struct week_time {
	uint8_t days; /* 1 << 0: Monday ... 1 << 6: Sunday */
	uint16_t first, end;
};

/*
 * "mon-fri 08:00-18:00", "sat,sun" (all day), "22:00-06:00" (every day, over midnight: the days are those on which it begins), "fri-mon"; 24:00 is the
 * end of a day. NULL, or why not (static text).
 */
const char *week_time_parse(struct span text, struct week_time *time);
/* `minute`: of the week, from 0, Monday's first one. */
bool week_time_has(const struct week_time *time, unsigned minute);

/* Turns the clock into minutes of the week, once for each minute that passes; shared by all threads. Starts zeroed. */
struct week_clock {
	atomic_uint_fast64_t known; /* minutes since 1970 << 16 | minute of the week; 0: nothing yet */
};

void week_clock_start(struct week_clock *clock); /* reads the time zone, so that nobody has to later */
/* `wall_ms`: since 1970. Waits for nothing: it is arithmetic on the zone that was read. */
unsigned week_clock_tell(struct week_clock *clock, int64_t wall_ms);

#endif
