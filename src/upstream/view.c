/*
 * What one worker sees of a group's servers: made anew with each roster, brought up to date when the fleet has changed. On its worker.
 */
#include "upstream/group_internal.h"

enum {
	WEIGHT_STEPS = 256, /* of a server's weight, for slow start */
	RAMP_STEPS = 64,    /* looks during a slow start */
	RAMP_LOOK_LEAST_MS = 50,
	MEMORY_LOOK_MS = 1000, /* there was none */
};

/* ---- making ---- */

static unsigned count_tiers(const struct roster *roster)
{
	unsigned tiers = 0;

	for (unsigned i = 0; i < roster->count; i++)
		tiers += i == 0 || roster->members[i].tier != roster->members[i - 1].tier;
	return tiers;
}

/* One block for all of it. NULL: out of memory. */
static struct upstream_view *view_new(struct upstream_group *group, struct roster *roster)
{
	unsigned tiers = count_tiers(roster);
	size_t size = sizeof(struct upstream_view) + tiers * sizeof(struct upstream_tier) +
		      roster->count * (sizeof(struct balance_entry) + sizeof(struct upstream_server *));
	struct upstream_view *view = memory_alloc(group->worker->memory, size);

	if (!view)
		return NULL;
	memset(view, 0, size);
	view->size = size;
	view->tiers = (void *)(view + 1);
	view->entries = (void *)(view->tiers + tiers);
	view->servers = (void *)(view->entries + roster->count);
	view->tier_count = tiers;
	view->count = roster->count;
	view->roster = roster_retain(roster);
	return view;
}

void upstream_view_free(struct upstream_group *group, struct upstream_view *view)
{
	if (!view)
		return;
	for (unsigned i = 0; i < view->tier_count; i++)
		balance_fini(&view->tiers[i].balance);
	roster_release(view->roster);
	memory_free(group->worker->memory, view, view->size);
}

/* Where the server stands in a view, looking from `hint` on, since most keep their order; view->count: nowhere. */
static unsigned view_find(const struct upstream_view *view, const struct fleet_server *fleet, unsigned hint)
{
	const struct roster_member *members = view->roster->members;

	for (unsigned at = hint; at < view->count; at++)
		if (members[at].server == fleet)
			return at;
	for (unsigned at = 0; at < hint && at < view->count; at++)
		if (members[at].server == fleet)
			return at;
	return view->count;
}

/* The servers, kept or new. False: out of memory, and the new ones are gone again. */
static bool view_fill(struct upstream_group *group, struct upstream_view *view)
{
	const struct upstream_view *old = group->view;
	unsigned hint = 0;

	for (unsigned i = 0; i < view->count; i++) {
		struct fleet_server *fleet = view->roster->members[i].server;
		view->found |= fleet->host.len > 0 || group->settings->file.len > 0;
		unsigned at = old ? view_find(old, fleet, hint) : 0;
		view->entries[i] = (struct balance_entry){
			.id = fleet->id, .in_flight = &fleet->in_flight, .most = fleet->most};
		if (old && at < old->count) {
			hint = at + 1;
			view->servers[i] = old->servers[at];
			view->entries[i].latency_us = old->entries[at].latency_us;
			view->entries[i].latency_part = old->entries[at].latency_part;
			view->entries[i].latency_at_us = old->entries[at].latency_at_us;
			continue;
		}
		view->servers[i] = upstream_server_new(group, fleet);
		if (!view->servers[i])
			return false;
	}
	return true;
}

bool upstream_has_address(const struct upstream_group *group, const struct address *address)
{
	for (unsigned i = 0; group->view && i < group->view->count; i++)
		if (address_equal_ip(&group->view->servers[i]->fleet->address, address))
			return true;
	return false;
}

static bool view_has(const struct upstream_view *view, const struct upstream_server *server, unsigned hint)
{
	return view && view->count > 0 && view_find(view, server->fleet, hint) < view->count;
}

/* Of `view`, those that `other` does not have leave. */
static void view_part(struct upstream_view *view, const struct upstream_view *other)
{
	for (unsigned i = 0; view && i < view->count; i++)
		if (view->servers[i] && !view_has(other, view->servers[i], i))
			upstream_server_leave(view->servers[i]);
}

static bool view_balance(struct upstream_group *group, struct upstream_view *view)
{
	const struct upstream_settings *settings = group->settings;
	const struct balance_ops *ops = balance_algorithms[settings->balance];
	unsigned at = 0;

	view->counts = ops->counts || settings->limits.requests;
	for (unsigned i = 0; i < view->tier_count; i++) {
		struct upstream_tier *tier = &view->tiers[i];
		uint32_t number = view->roster->members[at].tier;
		tier->entries = &view->entries[at];
		tier->servers = &view->servers[at];
		while (at + tier->count < view->count && view->roster->members[at + tier->count].tier == number)
			tier->count++;
		at += tier->count;
		struct balance_options options = {
			.ops = ops,
			.memory = group->worker->memory,
			.random = &group->worker->random,
			.entries = tier->entries,
			.count = tier->count,
			.offset = group->worker->index,
			.bound = (unsigned)settings->bound,
		};
		if (!balance_init(&tier->balance, &options))
			return false;
	}
	return true;
}

/* The servers learn where they stand. */
static void view_place(struct upstream_view *view)
{
	for (unsigned i = 0; i < view->tier_count; i++)
		for (unsigned j = 0; j < view->tiers[i].count; j++) {
			view->tiers[i].servers[j]->tier = i;
			view->tiers[i].servers[j]->index = j;
			view->counts = view->counts || view->tiers[i].entries[j].most > 0;
		}
}

/* ---- keeping up ---- */

static uint64_t atomic_read(const atomic_uint_fast64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

/* What it has of its weight, in steps; *again: when that changes. */
static uint32_t weight_now(const struct upstream_group *group, const struct roster_member *member,
			   uint64_t now, uint64_t *again)
{
	const struct fleet_server *server = member->server;
	uint32_t weight = roster_weight(member) * WEIGHT_STEPS;
	uint64_t slow = group->settings->slow_start, since = atomic_read(&server->well_since);
	uint64_t ejected = atomic_read(&server->ejected_until);

	since = size_max(since, ejected);
	if (!slow || !since || balance_algorithms[group->settings->balance]->keyed || now >= since + slow)
		return weight;
	*again = size_min(*again, now + size_max(slow / RAMP_STEPS, RAMP_LOOK_LEAST_MS));
	return (uint32_t)size_max(now > since ? weight * (now - since) / slow : 0, 1);
}

static bool is_used(const struct fleet_server *server)
{
	return atomic_load_explicit(&server->order, memory_order_relaxed) == FLEET_READY;
}

/* Brings one tier's entries up to date, each as it is. */
static void tier_look(struct upstream_group *group, struct upstream_tier *tier,
		      const struct roster_member *members, uint64_t *again)
{
	uint64_t now = group->worker->loop.now;
	unsigned used = 0;

	tier->well = 0;
	for (unsigned i = 0; i < tier->count; i++) {
		const struct fleet_server *server = members[i].server;
		uint64_t ejected = atomic_read(&server->ejected_until);
		tier->entries[i].weight = weight_now(group, &members[i], now, again);
		tier->entries[i].available = fleet_server_is_well(server, now);
		tier->well += tier->entries[i].available;
		used += is_used(server);
		if (ejected > now)
			*again = size_min(*again, ejected);
	}
	tier->usable = tier->well > 0 && tier->well * 100 >= used * group->settings->panic;
}

/* So few are well that checks are not believed: all of the first tier that has any are used. */
static void view_panic(struct upstream_view *view)
{
	for (unsigned i = 0; i < view->tier_count; i++) {
		struct upstream_tier *tier = &view->tiers[i];
		for (unsigned j = 0; j < tier->count; j++) {
			tier->entries[j].available = is_used(tier->servers[j]->fleet);
			tier->usable = tier->usable || tier->entries[j].available;
		}
		if (tier->usable)
			return;
	}
}

static void view_look(struct upstream_group *group)
{
	struct upstream_view *view = group->view;
	const struct roster_member *members = view->roster->members;
	uint64_t again = UINT64_MAX;
	bool usable = false;

	for (unsigned i = 0; i < view->tier_count; members += view->tiers[i].count, i++) {
		tier_look(group, &view->tiers[i], members, &again);
		usable = usable || view->tiers[i].usable;
	}
	if (!usable && group->settings->panic)
		view_panic(view);
	for (unsigned i = 0; i < view->tier_count; i++)
		if (!balance_update(&view->tiers[i].balance))
			again = size_min(again, group->worker->loop.now + MEMORY_LOOK_MS);
	group->look_again_ms = again;
}

bool upstream_view_apply(struct upstream_group *group)
{
	struct roster *roster = fleet_roster(group->fleet);
	struct upstream_view *old = group->view, *view = view_new(group, roster);

	roster_release(roster);
	if (!view)
		return false;
	if (!view_fill(group, view) || !view_balance(group, view)) {
		view_part(view, old);
		upstream_view_free(group, view);
		return false;
	}
	view_place(view);
	view_part(old, view);
	upstream_view_free(group, old);
	group->view = view;
	view_look(group);
	return true;
}

static void group_look(struct upstream_group *group, uint64_t version)
{
	struct roster *roster = fleet_roster(group->fleet);
	bool same = roster == group->view->roster;

	roster_release(roster);
	if (same) {
		view_look(group);
	} else if (!upstream_view_apply(group)) {
		group->look_again_ms = group->worker->loop.now + MEMORY_LOOK_MS;
		return;
	}
	group->version = version;
}

void upstream_group_refresh(struct upstream_group *group)
{
	uint64_t version = fleet_version(group->fleet);

	if (version != group->version || group->worker->loop.now >= group->look_again_ms)
		group_look(group, version);
}
