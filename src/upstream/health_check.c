/*
 * The checks of one server: when, and what follows from them. See health_internal.h; on the control thread.
 */
#include "upstream/health_internal.h"

enum { FIRST_WITHIN_MS = 1000 };

/* What may follow each state, as bits. */
static const uint8_t check_moves[] = {
	[HEALTH_CHECK_WAITING] = 1 << HEALTH_CHECK_WAITING | 1 << HEALTH_CHECK_DUE |
				 1 << HEALTH_CHECK_RUNNING | 1 << HEALTH_CHECK_OVER,
	[HEALTH_CHECK_DUE] = 1 << HEALTH_CHECK_WAITING | 1 << HEALTH_CHECK_RUNNING | 1 << HEALTH_CHECK_OVER,
	[HEALTH_CHECK_RUNNING] = 1 << HEALTH_CHECK_WAITING | 1 << HEALTH_CHECK_OVER,
	[HEALTH_CHECK_OVER] = 0,
};

static void check_set_state(struct health_check *check, enum health_check_state state)
{
	ENSURE(check_moves[check->state] & 1 << state);
	check->state = (uint8_t)state;
}

static const struct health_settings *check_settings(const struct health_check *check)
{
	return &check->group->group->settings->health;
}

static struct worker *check_worker(const struct health_check *check)
{
	return check->group->health->worker;
}

/* ---- what follows ---- */

static void check_come_up(struct health_check *check, struct fleet_server *server, enum fleet_health before)
{
	const struct upstream_group *group = check->group->group;
	const struct worker *worker = check_worker(check);

	if (before == FLEET_DOWN) {
		/* What was seen of it before it went down does not count any more. */
		atomic_store(&server->connects, 0);
		atomic_store(&server->failures, 0);
		atomic_store(&server->errors, 0);
		atomic_store(&server->ejections, 0);
		atomic_store(&server->ejected_until, 0);
		atomic_store(&server->well_since, worker->loop.now);
	}
	atomic_store(&server->health, FLEET_UP);
	fleet_touch(group->fleet);
	log_say(worker->log, LOG_INFO, "group %s: server %.*s is up", group->settings->name.text,
		SPAN_ARG(server->text));
}

static void check_go_down(struct health_check *check, struct fleet_server *server, const char *why)
{
	const struct upstream_group *group = check->group->group;

	atomic_store(&server->health, FLEET_DOWN);
	fleet_alarm(group->fleet);
	log_say(check_worker(check)->log, LOG_WARNING, "group %s: server %.*s is down: %s",
		group->settings->name.text, SPAN_ARG(server->text), why);
}

/* One more outcome of this kind; as many in a row as there are now. */
static unsigned check_count(struct health_check *check, bool good)
{
	if (check->good != good)
		check->streak = 0;
	check->good = good;
	if (check->streak < UINT32_MAX)
		check->streak++;
	return check->streak;
}

static void check_judge(struct health_check *check, bool good, const char *why)
{
	const struct health_settings *settings = check_settings(check);
	struct fleet_server *server = check->server->fleet;
	enum fleet_health health = (enum fleet_health)atomic_load(&server->health);
	unsigned streak = check_count(check, good);

	/* The first word about a server is believed at once if it is a good one. */
	if (good && (health == FLEET_UNCHECKED || (health == FLEET_DOWN && streak >= settings->rise)))
		check_come_up(check, server, health);
	else if (!good && health != FLEET_DOWN && streak >= settings->fall)
		check_go_down(check, server, why);
	else if (!good && health != FLEET_DOWN)
		log_say(check_worker(check)->log, LOG_DEBUG, "group %s: a check of server %.*s failed: %s",
			check->group->group->settings->name.text, SPAN_ARG(server->text), why);
}

/* ---- when ---- */

static bool check_is_off(const struct health_check *check)
{
	return atomic_load(&check->server->fleet->order) == FLEET_MAINTENANCE;
}

/* An interval, shorter by chance: never longer, so that `rise` checks are made within as many intervals. */
static uint64_t check_interval(const struct health_check *check)
{
	const struct health_settings *settings = check_settings(check);
	uint32_t jitter = (uint32_t)(settings->interval * settings->jitter / 100);

	return size_max(settings->interval - random_below(&check_worker(check)->random, jitter + 1), 1);
}

static void check_wait(struct health_check *check, uint64_t ms)
{
	check_set_state(check, HEALTH_CHECK_WAITING);
	loop_timer_start(&check_worker(check)->loop, &check->timer, ms);
}

static void check_leave(struct health_check *check)
{
	struct health *health = check->group->health;

	health->running--;
	if (!list_empty(&health->due))
		loop_soon(&health->worker->loop, &health->more);
}

static void check_on_done(struct health_probe *probe, enum health_verdict verdict, const char *why)
{
	struct health_check *check = CONTAINER_OF(probe, struct health_check, probe);
	uint64_t now = check_worker(check)->loop.now;

	check_leave(check);
	check_wait(check, check->next_ms > now ? check->next_ms - now : 1);
	if (verdict == HEALTH_UNKNOWN)
		log_say(check_worker(check)->log, LOG_WARNING, "group %s: server %.*s cannot be checked: %s",
			check->group->group->settings->name.text, SPAN_ARG(check->server->fleet->text), why);
	else if (!check_is_off(check))
		check_judge(check, verdict == HEALTH_GOOD, why);
}

void health_check_begin(struct health_check *check)
{
	uint64_t interval = check_interval(check);

	if (check_is_off(check)) {
		check->streak = 0;
		check_wait(check, interval);
		return;
	}
	check->next_ms = check_worker(check)->loop.now + interval;
	check_set_state(check, HEALTH_CHECK_RUNNING);
	check->group->health->running++;
	health_probe_start(&check->probe, check_on_done);
}

static void check_on_time(struct timer *timer)
{
	struct health_check *check = CONTAINER_OF(timer, struct health_check, timer);
	struct health *health = check->group->health;

	if (health->running < HEALTH_AT_ONCE) {
		health_check_begin(check);
		return;
	}
	check_set_state(check, HEALTH_CHECK_DUE);
	list_push(&health->due, &check->due);
}

/* ---- beginning and end ---- */

static void check_free(struct loop_task *task)
{
	struct health_check *check = CONTAINER_OF(task, struct health_check, retire);

	upstream_server_unuse(check->server);
	memory_free(check->server->group->worker->memory, check, sizeof(*check));
}

void health_check_end(struct health_check *check)
{
	if (check->state == HEALTH_CHECK_RUNNING)
		check_leave(check);
	check_set_state(check, HEALTH_CHECK_OVER);
	health_probe_cancel(&check->probe);
	loop_timer_stop(&check_worker(check)->loop, &check->timer);
	list_remove(&check->due);
	list_remove(&check->link);
	check->server->check = NULL;
	loop_retire(&check_worker(check)->loop, &check->retire);
}

bool health_check_new(struct health_group *group, struct upstream_server *server)
{
	struct worker *worker = group->health->worker;
	struct health_check *check = memory_alloc(worker->memory, sizeof(*check));

	if (!check)
		return false;
	*check = (struct health_check){.group = group, .server = server};
	list_init(&check->due);
	timer_init(&check->timer, check_on_time);
	loop_task_init(&check->retire, check_free);
	health_probe_init(&check->probe, server, &group->needle);
	upstream_server_use(server);
	server->check = check;
	server->pool.keep = 0; /* each check has a connection of its own */
	list_push(&group->checks, &check->link);
	uint64_t within = size_min(check_settings(check)->interval, FIRST_WITHIN_MS);
	loop_timer_start(&worker->loop, &check->timer, 1 + random_below(&worker->random, (uint32_t)within));
	return true;
}
