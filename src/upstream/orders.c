/*
 * See orders.h. Any thread; all by atomics.
 */
#include "upstream/orders.h"

static const char *const order_names[] = {
	[FLEET_READY] = "ready",
	[FLEET_DRAIN] = "drain",
	[FLEET_MAINTENANCE] = "maintenance",
};

const char *fleet_order_name(enum fleet_order order)
{
	return order_names[order];
}

bool fleet_order_parse(struct span name, enum fleet_order *order)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(order_names); i++)
		if (span_equal(name, span_of(order_names[i]))) {
			*order = (enum fleet_order)i;
			return true;
		}
	return false;
}

struct fleet_server *fleet_server_find(struct fleet_group *group, struct span text)
{
	struct roster *roster = fleet_roster(group);
	struct fleet_server *found = NULL;

	for (unsigned i = 0; i < roster->count && !found; i++)
		if (span_equal(roster->members[i].server->text, text))
			found = fleet_server_retain(roster->members[i].server);
	roster_release(roster);
	return found;
}

static struct span group_name(const struct fleet_group *group)
{
	const struct setting_string *name = &fleet_plan(group)->settings->name;

	return span_make(name->text, name->len);
}

bool fleet_order_set(struct fleet_group *group, struct fleet_server *server, enum fleet_order order,
		     const struct worker *worker)
{
	struct span name = group_name(group);
	/* Before the order, or a picker that is quick would give it its full weight. */
	if (order == FLEET_READY && atomic_load(&server->order) == FLEET_MAINTENANCE)
		atomic_store(&server->well_since, worker->loop.now);
	unsigned before = atomic_exchange(&server->order, order);

	if (before == (unsigned)order)
		return false;
	/* Who waits for a place is served, or refused if this was the last server. */
	fleet_alarm(group);
	log_say(worker->log, LOG_INFO, "group %.*s: server %.*s: %s, by order", SPAN_ARG(name),
		SPAN_ARG(server->text), order_names[order]);
	return true;
}

bool fleet_weight_set(struct fleet_group *group, struct fleet_server *server, unsigned weight,
		      const struct worker *worker)
{
	struct span name = group_name(group);

	ENSURE(weight <= FLEET_WEIGHT_MOST);
	if (atomic_exchange(&server->weight, weight) == weight)
		return false;
	fleet_touch(group);
	if (weight)
		log_say(worker->log, LOG_INFO, "group %.*s: server %.*s: weight %u, by order", SPAN_ARG(name),
			SPAN_ARG(server->text), weight);
	else
		log_say(worker->log, LOG_INFO, "group %.*s: server %.*s: weight as configured, by order",
			SPAN_ARG(name), SPAN_ARG(server->text));
	return true;
}
