/*
 * Exchanges that wait for a server with room. See pick.h; on one worker.
 */
#include "upstream/queue_internal.h"

#include "upstream/connections_internal.h"

/* Places that the fleet before this one gives back come without a word to this one. */
enum { BEFORE_LOOK_MS = 50 };

static void queue_on_serve(struct loop_task *task)
{
	struct upstream_group *group = CONTAINER_OF(task, struct upstream_group, serve);

	upstream_queue_serve(group);
	connections_serve(group);
}

/* By now a server may be back (from ejection, say) that nobody has told of. */
static void queue_on_again(struct timer *timer)
{
	upstream_queue_serve(CONTAINER_OF(timer, struct upstream_group, queue_again));
}

void upstream_queue_init(struct upstream_group *group)
{
	list_init(&group->queue);
	loop_task_init(&group->serve, queue_on_serve);
	timer_init(&group->queue_again, queue_on_again);
}

static void queue_look_again(struct upstream_group *group)
{
	struct loop *loop = &group->worker->loop;
	uint64_t when = group->look_again_ms;

	if (fleet_has_before(group->fleet))
		when = size_min(when, loop->now + BEFORE_LOOK_MS);
	if (!list_empty(&group->queue) && when != UINT64_MAX)
		loop_timer_start(loop, &group->queue_again, when > loop->now ? when - loop->now : 1);
	else
		loop_timer_stop(loop, &group->queue_again);
}

static void wait_leave(struct upstream_wait *wait)
{
	struct upstream_group *group = wait->group;

	list_remove(&wait->link);
	loop_timer_stop(&group->worker->loop, &wait->timer);
	wait->group = NULL;
	fleet_wait(group->fleet, group->worker, FLEET_FOR_PLACE, -1);
	fleet_leave(group->fleet, FLEET_PENDING);
	if (list_empty(&group->queue))
		loop_timer_stop(&group->worker->loop, &group->queue_again);
}

static void wait_on_late(struct timer *timer)
{
	struct upstream_wait *wait = CONTAINER_OF(timer, struct upstream_wait, timer);

	wait_leave(wait);
	wait->ops->on_late(wait);
}

bool upstream_wait_start(struct upstream_wait *wait, struct upstream_group *group,
			 const struct upstream_wait_ops *ops, bool choosy)
{
	if (!fleet_enter(group->fleet, FLEET_PENDING))
		return false;
	*wait = (struct upstream_wait){.ops = ops, .group = group, .choosy = choosy};
	timer_init(&wait->timer, wait_on_late);
	list_push(&group->queue, &wait->link);
	fleet_wait(group->fleet, group->worker, FLEET_FOR_PLACE, 1);
	loop_timer_start(&group->worker->loop, &wait->timer, group->plan->timeouts.queue);
	/* A place may have become free between the pick and this, on a worker that saw nobody wait. */
	loop_soon(&group->worker->loop, &group->serve);
	return true;
}

void upstream_wait_cancel(struct upstream_wait *wait)
{
	if (wait->group)
		wait_leave(wait);
}

void upstream_queue_serve(struct upstream_group *group)
{
	struct link passed;

	list_init(&passed);
	while (!list_empty(&group->queue)) {
		struct upstream_wait *wait = CONTAINER_OF(list_pop(&group->queue), struct upstream_wait, link);
		list_push(&passed, &wait->link);
		if (!wait->ops->on_room(wait) && !wait->choosy)
			break; /* what is full for this one is full for all */
	}
	/* They keep their turns. */
	while (!list_empty(&passed)) {
		struct link *last = passed.prev;
		list_remove(last);
		list_push_front(&group->queue, last);
	}
	queue_look_again(group);
	/* The word of a place that came to nobody here goes on. */
	if (list_empty(&group->queue))
		fleet_on_place(group->fleet, FLEET_FOR_PLACE, NULL);
}

void upstream_queue_on_place(struct upstream_group *group)
{
	if (fleet_on_place(group->fleet, FLEET_FOR_PLACE, group->worker))
		loop_soon(&group->worker->loop, &group->serve);
}
