/*
 * A hierarchical timer wheel: constant time to start, move and stop. One thread's own; no kernel timers.
 * Resolution is 1 ms of the loop's clock, which is read once a turn. A timer never fires before its time, and
 * fires in the first advance that reaches it.
 */
#ifndef GUISE_CORE_TIMER_H
#define GUISE_CORE_TIMER_H

#include "core/list.h"

struct timer;
typedef void timer_fn(struct timer *timer);

struct timer {
	struct link link; /* self-linked or zero while not active */
	uint64_t expires; /* loop clock, ms; 0 = not active */
	timer_fn *on_expire; /* the timer is inactive when called; it may be started again or its memory retired */
};

enum { TIMER_LEVELS = 6, TIMER_SLOTS = 64 };

struct timer_wheel {
	uint64_t now;    /* ms; what delays count from: the time that the last advance was given */
	uint64_t cursor; /* ms; slots up to it are empty. Behind `now` only within an advance */
	size_t active;
	struct link due;                 /* started with no delay: for the next advance, whatever its time */
	uint64_t occupied[TIMER_LEVELS]; /* one bit a slot */
	struct link slots[TIMER_LEVELS][TIMER_SLOTS];
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now); /* now > 0 */

static inline void timer_init(struct timer *timer, timer_fn *on_expire)
{
	*timer = (struct timer){.on_expire = on_expire};
}

static inline bool timer_active(const struct timer *timer)
{
	return timer->expires != 0;
}

/* The long half of timer_start: into the slot of its time. */
void timer_place(struct timer_wheel *wheel, struct timer *timer, uint64_t expires);

/*
 * Starts, or moves, the timer to fire `delay` ms from wheel->now; with no delay in the next advance. Moving
 * to a later time is lazy (the slot stays, the wheel looks again when it comes by), since that is what every
 * byte of traffic does.
 */
static inline void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t delay)
{
	uint64_t expires = wheel->now + delay;
	if (timer_active(timer) && expires >= timer->expires && delay != 0)
		timer->expires = expires;
	else
		timer_place(wheel, timer, expires);
}

void timer_stop(struct timer_wheel *wheel, struct timer *timer); /* an inactive one too */

/*
 * Fires everything due at `now` (>= wheel->now), earlier times first. Callbacks may start and stop any timer;
 * what they start fires in a later advance.
 */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now);

/* Milliseconds from wheel->now until advance may have something to do; UINT64_MAX when no timer is active. */
uint64_t timer_wheel_wait(const struct timer_wheel *wheel);

#endif
