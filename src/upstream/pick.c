/*
 * Which server is next, and what a try holds of it. See pick.h; on one worker.
 */
#include "upstream/pick.h"

#include "upstream/group_internal.h"
#include "upstream/outlier.h"
#include "upstream/queue_internal.h"

/* ---- counting ---- */

static struct fleet_counters *counters_of(const struct upstream_server *server)
{
	return &server->fleet->counters[server->group->worker->index];
}

/* One worker writes each counter: there is nothing to race with. */
static void counter_add(atomic_uint_fast64_t *counter, uint64_t change)
{
	uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, value + change, memory_order_relaxed);
}

static void tell_balance(const struct upstream_server *server)
{
	if (!server->gone)
		balance_on_in_flight(&server->group->view->tiers[server->tier].balance, server->index);
}

/* ---- tickets ---- */

/*
 * One more in flight, unless there are as many as there may be. Never too many, not even for a moment: who looked in that moment would wait for a place
 * that nobody gives back.
 */
static bool count_in(struct fleet_server *server)
{
	unsigned now = atomic_load_explicit(&server->in_flight, memory_order_relaxed);

	if (!server->most) {
		atomic_fetch_add_explicit(&server->in_flight, 1, memory_order_relaxed);
		return true;
	}
	do {
		if (now >= server->most)
			return false;
	} while (!atomic_compare_exchange_weak(&server->in_flight, &now, now + 1));
	return true;
}

/* False: other workers have taken the last place. */
static bool ticket_enter(struct upstream_ticket *ticket, struct upstream_server *server)
{
	bool counted = server->group->view->counts;

	if (counted && !count_in(server->fleet))
		return false;
	ticket->counted = counted;
	ticket->server = server;
	ticket->began_us = server->group->worker->loop.now_us;
	list_push(&server->waiting, &ticket->link);
	upstream_server_use(server);
	counter_add(&counters_of(server)->requests, 1);
	counter_add(&counters_of(server)->running, 1);
	if (ticket->counted)
		tell_balance(server);
	return true;
}

void upstream_ticket_settle(struct upstream_ticket *ticket)
{
	if (ticket->server)
		list_remove(&ticket->link);
}

void upstream_ticket_move(struct upstream_ticket *to, struct upstream_ticket *from)
{
	bool waits = !list_empty(&from->link);

	ENSURE(!to->server && from->server);
	to->server = from->server;
	to->began_us = from->began_us;
	to->counted = from->counted;
	list_remove(&from->link);
	list_init(&to->link);
	if (waits)
		list_push(&to->server->waiting, &to->link);
	from->server = NULL;
}

void upstream_release(struct upstream_ticket *ticket)
{
	struct upstream_server *server = ticket->server;

	if (!server)
		return;
	list_remove(&ticket->link);
	ticket->server = NULL;
	counter_add(&counters_of(server)->running, UINT64_MAX);
	if (ticket->counted) {
		/* In one order with the count of those that wait (queue.c): one of the two is seen by the other side. */
		atomic_fetch_sub(&server->fleet->in_flight, 1);
		tell_balance(server);
		if (server->fleet->most)
			upstream_queue_on_place(server->group);
	}
	upstream_server_unuse(server);
}

void upstream_on_answer(struct upstream_ticket *ticket, unsigned status)
{
	struct upstream_server *server = ticket->server;
	struct upstream_group *group = server->group;
	const struct loop *loop = &group->worker->loop;
	uint64_t latency = loop->now_us - ticket->began_us;
	struct fleet_counters *counters = counters_of(server);

	upstream_ticket_settle(ticket);
	counter_add(&counters->answers, 1);
	counter_add(&counters->latency_us, latency);
	if (status >= 500)
		counter_add(&counters->errors, 1);
	if (group->settings->hedge.percentile)
		latency_digest_add(&group->latencies, latency);
	if (!server->gone)
		balance_on_latency(&group->view->tiers[server->tier].balance, server->index, latency,
				   loop->now_us);
	outlier_on_answer(group->fleet, server->fleet, status, group->worker);
}

void upstream_on_failure(struct upstream_ticket *ticket, const struct error *error)
{
	struct upstream_server *server = ticket->server;
	struct upstream_group *group = server->group;

	upstream_ticket_settle(ticket);
	if (!outlier_is_failure(error))
		return;
	counter_add(&counters_of(server)->failures, 1);
	outlier_on_failure(group->fleet, server->fleet, error, group->worker);
}

/* ---- servers that go down ---- */

static void server_tell_down(struct upstream_server *server)
{
	struct link told;

	/* A callback may begin another wait for this very server, which is not told again. */
	list_init(&told);
	while (!list_empty(&server->waiting))
		list_push(&told, list_pop(&server->waiting));
	upstream_server_use(server);
	while (!list_empty(&told)) {
		struct upstream_ticket *ticket = CONTAINER_OF(list_pop(&told), struct upstream_ticket, link);
		if (ticket->on_down)
			ticket->on_down(ticket);
	}
	upstream_server_unuse(server);
}

void upstream_tell_down(struct upstream_group *group)
{
	const struct roster *roster = group->view->roster;

	for (unsigned i = 0; i < roster->count; i++) {
		if (atomic_load(&roster->members[i].server->health) != FLEET_DOWN)
			continue;
		server_tell_down(group->view->servers[i]);
		if (roster != group->view->roster)
			return; /* a callback has looked again, and the next letter goes on */
	}
}

/* ---- picking ---- */

static bool was_tried(const struct upstream_query *query, const struct upstream_server *server)
{
	for (unsigned i = 0; i < query->tried_count; i++)
		if (query->tried[i] == server)
			return true;
	return false;
}

/* A server that drains still takes those that stick to it. */
static bool may_stick(const struct upstream_server *server, uint64_t now)
{
	const struct fleet_server *fleet = server->fleet;
	unsigned order = atomic_load_explicit(&fleet->order, memory_order_relaxed);

	return order != FLEET_MAINTENANCE && fleet_server_is_sound(fleet, now);
}

/* NULL: it is not there, or takes nothing now. */
static struct upstream_server *pick_by_id(const struct upstream_group *group,
					  const struct upstream_query *query, uint64_t id)
{
	const struct upstream_view *view = group->view;

	for (unsigned i = 0; i < view->count; i++)
		if (view->entries[i].id == id)
			return may_stick(view->servers[i], group->worker->loop.now) &&
					       !was_tried(query, view->servers[i]) ?
				       view->servers[i] :
				       NULL;
	return NULL;
}

struct upstream_server *upstream_pick_sticky(const struct upstream_group *group,
					     const struct upstream_query *query)
{
	struct upstream_server *server = query->pinned ? pick_by_id(group, query, query->pinned) : NULL;

	return server || !query->sticky ? server : pick_by_id(group, query, query->sticky);
}

/* Whether it is only for lack of room that none of the tier was picked. */
bool upstream_tier_is_full(const struct upstream_tier *tier, const struct upstream_query *query)
{
	for (unsigned i = 0; i < tier->count; i++)
		if (tier->entries[i].available && tier->entries[i].weight && tier->entries[i].most &&
		    !was_tried(query, tier->servers[i]))
			return true;
	return false;
}

struct balance_query upstream_balance_query(const struct upstream_group *group, unsigned tier,
					    const struct upstream_query *query,
					    unsigned avoid[UPSTREAM_TRIED_MOST])
{
	struct balance_query wanted = {
		.avoid = avoid, .hash = query->hash, .now_us = group->worker->loop.now_us};

	for (unsigned i = 0; i < query->tried_count; i++)
		if (!query->tried[i]->gone && query->tried[i]->tier == tier)
			avoid[wanted.avoid_count++] = query->tried[i]->index;
	return wanted;
}

static enum upstream_pick pick_of_tier(struct upstream_group *group, unsigned at,
				       const struct upstream_query *query, struct upstream_ticket *ticket)
{
	struct upstream_tier *tier = &group->view->tiers[at];
	unsigned avoid[UPSTREAM_TRIED_MOST];
	struct balance_query wanted = upstream_balance_query(group, at, query, avoid);

	for (;;) {
		int index = balance_pick(&tier->balance, &wanted);
		if (index == BALANCE_NONE)
			return upstream_tier_is_full(tier, query) ? UPSTREAM_FULL : UPSTREAM_NONE;
		if (ticket_enter(ticket, tier->servers[index]))
			return UPSTREAM_PICKED;
		/* It was filled at this moment by another worker. */
		if (wanted.avoid_count == ARRAY_LENGTH(avoid))
			return UPSTREAM_FULL;
		avoid[wanted.avoid_count++] = (unsigned)index;
	}
}

static bool tier_has_another(const struct upstream_tier *tier, const struct upstream_query *query,
			     const struct upstream_server *this)
{
	for (unsigned i = 0; i < tier->count; i++) {
		const struct balance_entry *entry = &tier->entries[i];
		bool room = entry->most == 0 ||
			    atomic_load_explicit(entry->in_flight, memory_order_relaxed) < entry->most;
		if (entry->available && entry->weight && room && tier->servers[i] != this &&
		    !was_tried(query, tier->servers[i]))
			return true;
	}
	return false;
}

bool upstream_has_another(struct upstream_group *group, const struct upstream_query *query,
			  const struct upstream_server *this)
{
	upstream_group_refresh(group);
	for (unsigned i = 0; i < group->view->tier_count; i++)
		if (group->view->tiers[i].usable && tier_has_another(&group->view->tiers[i], query, this))
			return true;
	return false;
}

enum upstream_pick upstream_pick(struct upstream_group *group, const struct upstream_query *query,
				 struct upstream_ticket *ticket)
{
	enum upstream_pick result = UPSTREAM_NONE;

	ENSURE(!ticket->server && query->tried_count < UPSTREAM_TRIED_MOST);
	upstream_group_refresh(group);
	if (query->sticky || query->pinned) {
		struct upstream_server *server = upstream_pick_sticky(group, query);
		if (server && ticket_enter(ticket, server))
			return UPSTREAM_PICKED;
	}
	for (unsigned i = 0; i < group->view->tier_count && result == UPSTREAM_NONE; i++)
		if (group->view->tiers[i].usable)
			result = pick_of_tier(group, i, query, ticket);
	return result;
}
