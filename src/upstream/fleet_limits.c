/*
 * Limits of a group over all workers, and who waits for them. See fleet.h. Any thread.
 */
#include "upstream/fleet_internal.h"

/* ---- limits ---- */

static unsigned limit_of(uint64_t configured)
{
	return configured ? (unsigned)configured : FLEET_ANY;
}

static void on_connection_closed(struct conn_watch *watch, struct conn *conn)
{
	fleet_connection_leave(CONTAINER_OF(watch, struct fleet_group, watch), conn->worker);
}

void fleet_limits_init(struct fleet_group *group)
{
	const struct upstream_limits *limits = &group->plan->settings->limits;

	group->most[FLEET_CONNECTIONS] = limit_of(limits->connections);
	group->most[FLEET_REQUESTS] = limit_of(limits->requests);
	group->most[FLEET_PENDING] = (unsigned)limits->pending;
	group->most[FLEET_RETRIES] = limit_of(limits->retries);
	group->watch.on_closed = on_connection_closed;
}

/* Never more than there may be, not even for a moment: who looks in that moment would be refused without a reason. */
bool fleet_enter(struct fleet_group *group, enum fleet_gauge gauge)
{
	atomic_uint *count = &group->gauges[gauge].count;
	unsigned most = group->most[gauge], now = atomic_load_explicit(count, memory_order_relaxed);

	if (most == FLEET_ANY)
		return true;
	do {
		if (now >= most)
			return false;
	} while (!atomic_compare_exchange_weak(count, &now, now + 1));
	return true;
}

void fleet_leave(struct fleet_group *group, enum fleet_gauge gauge)
{
	if (group->most[gauge] != FLEET_ANY)
		atomic_fetch_sub(&group->gauges[gauge].count, 1);
}

bool fleet_gauge_read(const struct fleet_group *group, enum fleet_gauge gauge, unsigned *now, unsigned *most)
{
	*most = group->most[gauge];
	*now = atomic_load_explicit(&group->gauges[gauge].count, memory_order_relaxed);
	return *most != FLEET_ANY;
}

/* ---- waiting ---- */

void fleet_wait(struct fleet_group *group, const struct worker *worker, enum fleet_line line, int change)
{
	atomic_fetch_add(&group->seats[worker->index].waiting[line], (unsigned)change);
	atomic_fetch_add(&group->waiting[line], (unsigned)change);
}

bool fleet_waits(const struct fleet_group *group, enum fleet_line line)
{
	return atomic_load(&group->waiting[line]) > 0;
}

/* Workers take turns, or the first would have all. NULL: nobody waits. `over`: its turn is over then. */
static struct fleet_seat *next_in_line(struct fleet_group *group, enum fleet_line line, bool over)
{
	unsigned workers = group->fleet->workers;

	if (!fleet_waits(group, line))
		return NULL;
	unsigned first = atomic_load_explicit(&group->turn[line], memory_order_relaxed);
	for (unsigned i = 0; i < workers; i++) {
		unsigned at = (first + i) % workers;
		if (atomic_load(&group->seats[at].waiting[line]) == 0)
			continue;
		if (over)
			atomic_store_explicit(&group->turn[line], at + 1, memory_order_relaxed);
		return &group->seats[at];
	}
	return NULL;
}

bool fleet_on_place(struct fleet_group *group, enum fleet_line line, const struct worker *worker)
{
	struct fleet_seat *next = next_in_line(group, line, true);

	if (!next)
		return false;
	if (worker && next->worker == worker)
		return true;
	fleet_seat_post(next);
	return false;
}

bool fleet_has_turn(struct fleet_group *group, enum fleet_line line, const struct worker *worker)
{
	const struct fleet_seat *next = next_in_line(group, line, false);

	if (!next || next->worker != worker)
		return false;
	atomic_store_explicit(&group->turn[line], worker->index + 1, memory_order_relaxed);
	return true;
}

void fleet_call_others(struct fleet_group *group, const struct worker *worker)
{
	for (unsigned i = 0; i < group->fleet->workers; i++)
		if (i != worker->index)
			fleet_seat_post(&group->seats[i]);
}

/* ---- connections ---- */

/* The control thread's carry no traffic: checks go on whatever the limit. */
static bool is_counted(const struct fleet_group *group, const struct worker *worker)
{
	return group->most[FLEET_CONNECTIONS] != FLEET_ANY && worker->index < group->fleet->workers;
}

/* Takes one. False: there is none. */
static bool take(atomic_uint *count)
{
	unsigned now = atomic_load(count);

	while (now > 0)
		if (atomic_compare_exchange_weak(count, &now, now - 1))
			return true;
	return false;
}

bool fleet_connection_enter(struct fleet_group *group, const struct worker *worker)
{
	if (!is_counted(group, worker))
		return true;
	if (!take(&group->seats[worker->index].granted) && !fleet_enter(group, FLEET_CONNECTIONS))
		return false;
	group->seats[worker->index].connections++;
	return true;
}

/* Counted, and nobody's. */
static void connection_grant(struct fleet_group *group)
{
	struct fleet_seat *next = next_in_line(group, FLEET_FOR_CONNECTION, true);

	if (next) {
		atomic_fetch_add(&next->granted, 1);
		fleet_seat_post(next);
		return;
	}
	fleet_leave(group, FLEET_CONNECTIONS);
	/* Whoever got in line meanwhile looks again by itself, but may have done so before this. */
	if (fleet_waits(group, FLEET_FOR_CONNECTION))
		fleet_on_place(group, FLEET_FOR_CONNECTION, NULL);
}

void fleet_connection_leave(struct fleet_group *group, const struct worker *worker)
{
	if (!is_counted(group, worker))
		return;
	group->seats[worker->index].connections--;
	connection_grant(group);
}

void fleet_connection_pass_on(struct fleet_group *group, const struct worker *worker)
{
	if (!is_counted(group, worker))
		return;
	while (take(&group->seats[worker->index].granted))
		connection_grant(group);
}

void fleet_connection_give(struct fleet_group *group, struct conn *conn)
{
	if (is_counted(group, conn->worker))
		conn_watch(conn, &group->watch);
}

bool fleet_connections_unfair(const struct fleet_group *group, const struct worker *worker)
{
	return is_counted(group, worker) && group->seats[worker->index].connections >
						    group->most[FLEET_CONNECTIONS] / group->fleet->workers;
}
