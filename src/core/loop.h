/*
 * One thread's event loop: edge-triggered epoll, timers, and the order of things within a turn.
 *
 *   wait → clock → events (tasks that they schedule wait) → timers → soon tasks, within a budget → last tasks (writes
 *   leave together) → soon and last again while there are any → retired objects are freed
 *
 * When the budget is used up, what is left runs in the next turn, which then does not wait; so do retired
 * objects, since a task that is left may still belong to one.
 *
 * Nothing is freed inside a callback: what ends is retired and goes at the end of the turn, so that every
 * pointer seen in a turn stays valid through it.
 */
#ifndef GUISE_CORE_LOOP_H
#define GUISE_CORE_LOOP_H

#include "core/timer.h"

#include <sys/epoll.h>

struct loop_source;
typedef void loop_event_fn(struct loop_source *source, uint32_t events);

/* A descriptor in the loop. Embedded in its owner; lives until the end of the turn in which it is removed. */
struct loop_source {
	int fd; /* -1 once removed: events of the same turn are then skipped */
	loop_event_fn *on_event;
};

struct loop_task;
typedef void loop_task_fn(struct loop_task *task);

/* Something to be run later in this turn; queued at most once at a time. */
struct loop_task {
	struct loop_task *next; /* NULL: not queued; the last one of a queue points to itself */
	loop_task_fn *run;
};

struct loop_queue {
	struct loop_task *first, *last; /* `last` counts only while there is a first */
};

static inline bool loop_task_queued(const struct loop_task *task)
{
	return task->next != NULL;
}

struct loop {
	int epoll;
	uint64_t now;    /* CLOCK_MONOTONIC, ms, read once a turn */
	uint64_t now_us; /* the same, µs */
	int64_t wall_ms; /* CLOCK_REALTIME, ms since 1970, read in the same turn */
	struct timer_wheel timers;
	struct loop_queue soon, last, retired;
	uint64_t turns;
	bool stopping;
};

WARN_UNUSED bool loop_init(struct loop *loop); /* false: errno tells */
void loop_fini(struct loop *loop);

/* Turns until loop_stop; a stop takes effect at the end of the turn. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* Runs the tasks that are queued, and those that they queue, until none is left, and frees what was retired. For the end of a thread. */
void loop_settle(struct loop *loop);
/* One turn that waits at most `wait_ms` (-1: as long as timers allow). For tests and for loop_run. */
void loop_turn(struct loop *loop, int wait_ms);

/* Adds with EPOLLET; `events` as in epoll_ctl(2). False: errno tells. */
WARN_UNUSED bool loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
/*
 * Takes the descriptor out and sets source->fd to -1; it does not close it. The old descriptor is returned.
 */
int loop_remove(struct loop *loop, struct loop_source *source);
/*
 * The same without a system call, for who closes the descriptor at once: that takes it out too, if it has no
 * duplicate.
 */
int loop_forget(struct loop *loop, struct loop_source *source);

static inline void loop_task_init(struct loop_task *task, loop_task_fn *run)
{
	*task = (struct loop_task){.run = run};
}

static inline void loop_queue_add(struct loop_queue *queue, struct loop_task *task)
{
	if (loop_task_queued(task))
		return;
	task->next = task;
	if (queue->first)
		queue->last->next = task;
	else
		queue->first = task;
	queue->last = task;
}

/* In this turn, after events. */
static inline void loop_soon(struct loop *loop, struct loop_task *task)
{
	loop_queue_add(&loop->soon, task);
}

/* In this turn, after all soon tasks: flush writes. */
static inline void loop_last(struct loop *loop, struct loop_task *task)
{
	loop_queue_add(&loop->last, task);
}

/* At the very end of the turn, when no task is queued any more: free. */
static inline void loop_retire(struct loop *loop, struct loop_task *task)
{
	loop_queue_add(&loop->retired, task);
}

static inline void loop_timer_start(struct loop *loop, struct timer *timer, uint64_t delay_ms)
{
	/* While events are told, the wheel stands where the turn before left it, however long the wait was. */
	uint64_t behind = loop->now - loop->timers.now;

	timer_start(&loop->timers, timer, delay_ms ? size_min(delay_ms, UINT64_MAX / 2) + behind : 0);
}

static inline void loop_timer_stop(struct loop *loop, struct timer *timer)
{
	timer_stop(&loop->timers, timer);
}

#endif
