/*
 * The turn. A loop and all that it calls belong to one thread.
 */
#include "core/loop.h"

#include <errno.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOP_EVENTS = 512,  /* taken in one turn; the kernel keeps the rest for the next */
	LOOP_TASKS = 10000, /* run in one turn: tasks that schedule each other do not hold it up for ever */
};

static void read_clock(struct loop *loop)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	loop->now_us = (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
	loop->now = loop->now_us / 1000;
	/*
	 * The coarse clock (a few ms) costs a third of the exact one, and dates and log times need no more.
	 */
	clock_gettime(CLOCK_REALTIME_COARSE, &time);
	loop->wall_ms = (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

bool loop_init(struct loop *loop)
{
	*loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
	read_clock(loop);
	timer_wheel_init(&loop->timers, loop->now);
	return loop->epoll >= 0;
}

static struct loop_task *queue_pop(struct loop_queue *queue)
{
	struct loop_task *task = queue->first;
	if (!task)
		return NULL;
	queue->first = task->next == task ? NULL : task->next;
	task->next = NULL;
	return task;
}

static bool has_tasks(const struct loop *loop)
{
	return loop->soon.first || loop->last.first;
}

static void run_soon(struct loop *loop, unsigned *budget)
{
	struct loop_task *task;
	while (*budget > 0 && (task = queue_pop(&loop->soon))) {
		task->run(task);
		--*budget;
	}
}

/* All that is queued by now, even past the budget: what the soon tasks produced is to leave. */
static void run_last(struct loop *loop, unsigned *budget)
{
	struct loop_task *end = loop->last.last, *task = NULL;
	while (task != end && (task = queue_pop(&loop->last))) {
		task->run(task);
		if (*budget > 0)
			--*budget;
	}
}

static void run_retired(struct loop *loop)
{
	struct loop_task *task;
	while (!has_tasks(loop) && (task = queue_pop(&loop->retired)))
		task->run(task);
}

static void run_tasks(struct loop *loop)
{
	unsigned budget = LOOP_TASKS;
	while (budget > 0 && has_tasks(loop)) {
		run_soon(loop, &budget);
		run_last(loop, &budget);
	}
	run_retired(loop);
}

void loop_settle(struct loop *loop)
{
	do
		run_tasks(loop);
	while (has_tasks(loop) || loop->retired.first);
}

void loop_fini(struct loop *loop)
{
	loop_settle(loop);
	if (loop->epoll >= 0)
		close(loop->epoll);
	loop->epoll = -1;
}

static int wait_time(const struct loop *loop, int wait_ms)
{
	if (has_tasks(loop) || loop->retired.first)
		return 0;
	uint64_t timers = timer_wheel_wait(&loop->timers);
	if (wait_ms >= 0 && (uint64_t)wait_ms < timers)
		return wait_ms;
	if (timers == UINT64_MAX)
		return -1;
	return timers < INT_MAX ? (int)timers : INT_MAX;
}

void loop_turn(struct loop *loop, int wait_ms)
{
	struct epoll_event events[LOOP_EVENTS] UNINITIALISED;
	int count = epoll_wait(loop->epoll, events, LOOP_EVENTS, wait_time(loop, wait_ms));
	ENSURE(count >= 0 || errno == EINTR);
	read_clock(loop);
	for (int i = 0; i < count; i++) {
		struct loop_source *source = events[i].data.ptr;
		if (source->fd >= 0)
			source->on_event(source, events[i].events);
	}
	timer_wheel_advance(&loop->timers, loop->now);
	run_tasks(loop);
	loop->turns++;
}

void loop_run(struct loop *loop)
{
	while (!loop->stopping)
		loop_turn(loop, -1);
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

bool loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events | EPOLLET, .data.ptr = source};
	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source->fd, &event) == 0;
}

int loop_remove(struct loop *loop, struct loop_source *source)
{
	int fd = loop_forget(loop, source);
	if (fd >= 0)
		epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
	return fd;
}

int loop_forget(struct loop *loop, struct loop_source *source)
{
	int fd = source->fd;
	source->fd = -1;
	return fd;
}
