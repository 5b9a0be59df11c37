/*
 * Which servers are checked. See health.h; on the control thread.
 */
#include "upstream/health.h"

#include "upstream/health_internal.h"

enum { MEMORY_LOOK_MS = 1000 };

static bool group_has_checks(const struct health_group *group)
{
	return group->group->settings->health.place.line != 0;
}

/* Nobody will ever find out that they are well again: a configuration before this one had checks. */
static void group_forget(const struct health_group *group)
{
	const struct upstream_view *view = group->group->view;

	for (unsigned i = 0; i < view->count; i++)
		if (atomic_exchange(&view->servers[i]->fleet->health, FLEET_UNCHECKED) != FLEET_UNCHECKED)
			fleet_touch(group->group->fleet);
}

static void group_drop_gone(struct health_group *group)
{
	struct link *link = group->checks.next;

	while (link != &group->checks) {
		struct health_check *check = CONTAINER_OF(link, struct health_check, link);
		link = link->next;
		if (check->server->gone)
			health_check_end(check);
	}
}

/* False: out of memory; some are not checked yet. */
static bool group_add_new(struct health_group *group)
{
	const struct upstream_view *view = group->group->view;

	for (unsigned i = 0; i < view->count; i++)
		if (!view->servers[i]->check && !health_check_new(group, view->servers[i]))
			return false;
	return true;
}

static void group_look(struct health_group *group)
{
	struct health *health = group->health;

	if (!group_has_checks(group)) {
		group_forget(group);
		return;
	}
	group_drop_gone(group);
	if (!group_add_new(group))
		loop_timer_start(&health->worker->loop, &health->again, MEMORY_LOOK_MS);
}

void health_look(struct health *health, size_t group)
{
	group_look(&health->groups[group]);
}

static void health_on_again(struct timer *timer)
{
	struct health *health = CONTAINER_OF(timer, struct health, again);

	for (size_t i = 0; i < health->count; i++)
		group_look(&health->groups[i]);
}

static void health_on_more(struct loop_task *task)
{
	struct health *health = CONTAINER_OF(task, struct health, more);

	while (health->running < HEALTH_AT_ONCE && !list_empty(&health->due))
		health_check_begin(CONTAINER_OF(list_pop(&health->due), struct health_check, due));
}

static void health_free(struct loop_task *task)
{
	struct health *health = CONTAINER_OF(task, struct health, retire);

	memory_free(health->worker->memory, health, health->size);
}

static bool group_init(struct health *health, struct health_group *group, size_t index)
{
	group->health = health;
	group->group = upstream_group(health->worker, index);
	list_init(&group->checks);
	const struct setting_string *body = &group->group->settings->health.body;
	if (!health_needle_init(&group->needle, span_make(body->text, body->len), health->worker->memory))
		return false;
	group_look(group);
	return true;
}

struct health *health_start(struct worker *worker)
{
	size_t count = upstream_group_count(worker);
	size_t size = sizeof(struct health) + count * sizeof(struct health_group);
	struct health *health = memory_alloc(worker->memory, size);

	if (!health)
		return NULL;
	memset(health, 0, size);
	health->worker = worker;
	health->size = size;
	list_init(&health->due);
	loop_task_init(&health->more, health_on_more);
	loop_task_init(&health->retire, health_free);
	timer_init(&health->again, health_on_again);
	while (health->count < count) {
		size_t i = health->count++;
		if (!group_init(health, &health->groups[i], i)) {
			health_stop(health);
			return NULL;
		}
	}
	return health;
}

void health_stop(struct health *health)
{
	if (!health)
		return;
	struct worker *worker = health->worker;

	for (size_t i = 0; i < health->count; i++) {
		struct health_group *group = &health->groups[i];
		while (!list_empty(&group->checks))
			health_check_end(CONTAINER_OF(group->checks.next, struct health_check, link));
		health_needle_fini(&group->needle, worker->memory);
	}
	loop_timer_stop(&worker->loop, &health->again);
	loop_retire(&worker->loop, &health->retire);
}
