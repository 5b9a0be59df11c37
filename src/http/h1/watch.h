/*
 * Deadlines that move with every byte: moving one is a store, and the one timer behind them is only started when a deadline comes
 * nearer than it will fire anyway. When it fires, the owner looks which deadlines have passed and starts it again for the rest.
 */
#ifndef GUISE_HTTP_H1_WATCH_H
#define GUISE_HTTP_H1_WATCH_H

#include "core/loop.h"

/* *deadline = now + delay (ms of the loop's clock); a delay of 0 means none. */
static inline void h1_watch(struct loop *loop, struct timer *timer, uint64_t *deadline, uint64_t delay)
{
	if (!delay) {
		*deadline = 0;
		return;
	}
	*deadline = loop->now + delay;
	if (!timer_active(timer) || timer->expires > *deadline)
		loop_timer_start(loop, timer, delay);
}

static inline bool h1_watch_passed(const struct loop *loop, uint64_t deadline)
{
	return deadline != 0 && deadline <= loop->now;
}

/* After the timer has fired: again, for what is still ahead. */
static inline void h1_watch_again(struct loop *loop, struct timer *timer, uint64_t deadline)
{
	if (deadline > loop->now && (!timer_active(timer) || timer->expires > deadline))
		loop_timer_start(loop, timer, deadline - loop->now);
}

#endif
