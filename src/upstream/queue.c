/*
 * Exchanges that wait for a server with room. See pick.h; on one worker.
 */
#include "upstream/queue_internal.h"

static void queue_on_serve(struct loop_task *task)
{
	upstream_queue_serve(CONTAINER_OF(task, struct upstream_group, serve));
}

void upstream_queue_init(struct upstream_group *group)
{
	list_init(&group->queue);
	loop_task_init(&group->serve, queue_on_serve);
}

static void wait_leave(struct upstream_wait *wait)
{
	struct upstream_group *group = wait->group;

	list_remove(&wait->link);
	loop_timer_stop(&group->worker->loop, &wait->timer);
	wait->group = NULL;
	fleet_wait(group->fleet, group->worker, -1);
	fleet_leave(group->fleet, FLEET_PENDING);
}

static void wait_on_late(struct timer *timer)
{
	struct upstream_wait *wait = CONTAINER_OF(timer, struct upstream_wait, timer);

	wait_leave(wait);
	wait->ops->on_late(wait);
}

bool upstream_wait_start(struct upstream_wait *wait, struct upstream_group *group,
			 const struct upstream_wait_ops *ops)
{
	if (!fleet_enter(group->fleet, FLEET_PENDING))
		return false;
	*wait = (struct upstream_wait){.ops = ops, .group = group};
	timer_init(&wait->timer, wait_on_late);
	list_push(&group->queue, &wait->link);
	fleet_wait(group->fleet, group->worker, 1);
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
	while (!list_empty(&group->queue)) {
		struct upstream_wait *wait = CONTAINER_OF(group->queue.next, struct upstream_wait, link);
		if (!wait->ops->on_room(wait))
			return;
	}
}

void upstream_queue_on_place(struct upstream_group *group)
{
	if (list_empty(&group->queue))
		fleet_on_place(group->fleet);
	else
		loop_soon(&group->worker->loop, &group->serve);
}
