/*
 * The checks of parents. See parent_check.h. A check is a path of its own, which is closed when it is there.
 */
#include "upstream/parent_check.h"

#include "upstream/path.h"

enum { FIRST_WITHIN_MS = 1000, JITTER_PERCENT = 10 };

/* Of one server, one at a time. */
struct parent_check {
	struct parent_checks *checks;
	const struct parent_server *server;
	struct path path;
	struct arena arena; /* the path's: what a check needs ends when the next one begins */
	struct timer timer;
	uint64_t next_ms; /* loop clock */
	uint32_t parent;
};

struct parent_checks {
	struct worker *worker;
	struct parents *parents;
	size_t size; /* of all this, bytes */
	struct loop_task retire;
	uint32_t count;
	struct parent_check items[];
};

static const struct parent_plan *check_plan(const struct parent_check *check)
{
	return &parents_plans(check->checks->parents)->items[check->parent];
}

static bool plan_has_checks(const struct parent_plan *plan)
{
	return plan->settings->health.place.line != 0;
}

static void check_on_connected(struct path *path, struct conn *conn, const struct error *error)
{
	struct parent_check *check = CONTAINER_OF(path, struct parent_check, path);
	struct worker *worker = check->checks->worker;
	uint64_t now = worker->loop.now;
	enum error_source source = error_source(error);
	bool theirs = source == ERROR_SOURCE_SERVER || source == ERROR_SOURCE_RESOLVER;

	if (conn) {
		chunk_queue_clear(&worker->buffers, &path->early);
		conn_linger(conn);
	}
	/* One that could not be made, for want of memory or descriptors, says nothing of the server. */
	if (conn || theirs)
		parent_server_checked(check->checks->parents, check->server->index, conn != NULL, worker->log,
				      error);
	loop_timer_start(&worker->loop, &check->timer, check->next_ms > now ? check->next_ms - now : 1);
}

static const struct path_ops check_path_ops = {.on_connected = check_on_connected};

static void check_on_time(struct timer *timer)
{
	struct parent_check *check = CONTAINER_OF(timer, struct parent_check, timer);
	struct worker *worker = check->checks->worker;
	const struct parent_plan *plan = check_plan(check);
	const struct parent_health_settings *health = &plan->settings->health;
	uint32_t jitter = (uint32_t)(health->interval * JITTER_PERCENT / 100);
	struct path_wish wish = {
		.parents = &check->parent,
		.parent_count = 1,
		.only = check->server,
		.address = plan->target_address,
		.host = plan->target,
		.port = plan->target_port,
		.timeout = health->timeout,
	};

	check->next_ms = worker->loop.now + health->interval - random_below(&worker->random, jitter + 1);
	arena_fini(&check->arena);
	arena_init(&check->arena, worker->memory, NULL, NULL, 0);
	path_start(&check->path, worker, &check->arena, &check_path_ops, &wish, false);
}

static void checks_free(struct loop_task *task)
{
	struct parent_checks *checks = CONTAINER_OF(task, struct parent_checks, retire);

	for (uint32_t i = 0; i < checks->count; i++)
		arena_fini(&checks->items[i].arena);
	memory_free(checks->worker->memory, checks, checks->size);
}

static void check_init(struct parent_checks *checks, const struct parent_server *server, uint64_t interval)
{
	struct worker *worker = checks->worker;
	struct parent_check *check = &checks->items[checks->count++];
	uint32_t within = (uint32_t)size_min(interval, FIRST_WITHIN_MS);

	check->checks = checks;
	check->server = server;
	check->parent = server->parent;
	arena_init(&check->arena, worker->memory, NULL, NULL, 0);
	timer_init(&check->timer, check_on_time);
	loop_timer_start(&worker->loop, &check->timer, 1 + random_below(&worker->random, within));
}

struct parent_checks *parent_checks_start(struct worker *worker)
{
	struct parents *parents = parents_of(worker);
	const struct parent_plans *plans = parents_plans(parents);
	size_t size = sizeof(struct parent_checks) + plans->server_count * sizeof(struct parent_check);
	struct parent_checks *checks = memory_alloc(worker->memory, size);

	if (!checks)
		return NULL;
	memset(checks, 0, size);
	checks->worker = worker;
	checks->parents = parents;
	checks->size = size;
	loop_task_init(&checks->retire, checks_free);
	for (uint32_t i = 0; i < plans->server_count; i++) {
		const struct parent_plan *plan = &plans->items[plans->servers[i]->parent];
		if (plan_has_checks(plan))
			check_init(checks, plans->servers[i], plan->settings->health.interval);
	}
	return checks;
}

void parent_checks_stop(struct parent_checks *checks)
{
	if (!checks)
		return;
	for (uint32_t i = 0; i < checks->count; i++) {
		path_cancel(&checks->items[i].path);
		loop_timer_stop(&checks->worker->loop, &checks->items[i].timer);
	}
	loop_retire(&checks->worker->loop, &checks->retire);
}
