/*
 * Groups of the process: rosters, letters to workers, limits. See fleet.h. Any thread.
 */
#include "upstream/fleet.h"

#include "upstream/fleet_internal.h"

enum { WEIGHT_MOST = 256 };

/* ---- letters ---- */

static void seat_on_letter(struct letter *letter, void *owner)
{
	struct fleet_seat *seat = CONTAINER_OF(letter, struct fleet_seat, letter);
	struct worker *worker = owner;

	atomic_store(&seat->posted, false);
	if (!worker->loop.stopping)
		seat->fleet->look(worker, seat->group);
}

void fleet_seat_post(struct fleet_seat *seat)
{
	if (seat->worker && !atomic_exchange(&seat->posted, true))
		mailbox_post(&seat->worker->mailbox, &seat->letter);
}

void fleet_attach(struct fleet *fleet, struct worker *worker, fleet_look_fn *look)
{
	ENSURE(worker->index < fleet->seats);
	fleet->look = look;
	for (size_t i = 0; i < fleet->count; i++) {
		struct fleet_seat *seat = &fleet->groups[i].seats[worker->index];
		seat->fleet = fleet;
		seat->group = i;
		seat->worker = worker;
		seat->letter.open = seat_on_letter;
	}
}

static void fleet_tell_all(struct fleet_group *group)
{
	for (unsigned i = 0; i < group->fleet->seats; i++)
		fleet_seat_post(&group->seats[i]);
}

void fleet_touch(struct fleet_group *group)
{
	atomic_fetch_add(&group->version, 1);
	/* Who waits would not pick of itself: there may be a server with room now, or none at all any more. */
	if (fleet_waits(group, FLEET_FOR_PLACE))
		fleet_tell_all(group);
}

void fleet_alarm(struct fleet_group *group)
{
	atomic_fetch_add(&group->version, 1);
	fleet_tell_all(group);
}

uint64_t fleet_version(const struct fleet_group *group)
{
	return atomic_load_explicit(&group->version, memory_order_acquire);
}

/* ---- rosters ---- */

static size_t roster_size(unsigned most)
{
	return sizeof(struct roster) + most * sizeof(struct roster_member);
}

struct roster *roster_new(struct memory *memory, unsigned most)
{
	struct roster *roster = memory_alloc(memory, roster_size(most));

	if (!roster)
		return NULL;
	*roster = (struct roster){.memory = memory, .most = most};
	atomic_init(&roster->references, 1);
	return roster;
}

void roster_add(struct roster *roster, struct fleet_server *server, uint32_t weight, uint32_t tier)
{
	for (unsigned i = 0; i < roster->count; i++) {
		struct roster_member *member = &roster->members[i];
		if (member->server != server)
			continue;
		if (member->tier == tier)
			member->weight = (uint32_t)size_min(member->weight + weight, WEIGHT_MOST);
		else if (tier < member->tier)
			*member = (struct roster_member){
				.server = server, .id = server->id, .weight = weight, .tier = tier};
		return;
	}
	ENSURE(roster->count < roster->most);
	roster->members[roster->count++] = (struct roster_member){
		.server = fleet_server_retain(server),
		.id = server->id,
		.weight = weight,
		.tier = tier,
	};
}

/* By insertion: rosters are short, and nearly sorted. */
void roster_sort(struct roster *roster)
{
	for (unsigned i = 1; i < roster->count; i++) {
		struct roster_member member = roster->members[i];
		unsigned at = i;
		for (; at > 0 && roster->members[at - 1].tier > member.tier; at--)
			roster->members[at] = roster->members[at - 1];
		roster->members[at] = member;
	}
}

struct roster *roster_retain(struct roster *roster)
{
	atomic_fetch_add_explicit(&roster->references, 1, memory_order_relaxed);
	return roster;
}

void roster_release(struct roster *roster)
{
	if (!roster || atomic_fetch_sub_explicit(&roster->references, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < roster->count; i++)
		fleet_server_release(roster->members[i].server);
	memory_free(roster->memory, roster, roster_size(roster->most));
}

struct roster *fleet_roster(struct fleet_group *group)
{
	pthread_mutex_lock(&group->lock);
	struct roster *roster = roster_retain(group->roster);
	pthread_mutex_unlock(&group->lock);
	return roster;
}

void fleet_publish(struct fleet_group *group, struct roster *roster)
{
	pthread_mutex_lock(&group->lock);
	struct roster *old = group->roster;
	group->roster = roster;
	pthread_mutex_unlock(&group->lock);
	roster_release(old);
	fleet_alarm(group);
}

/* ---- groups ---- */

/*
 * The servers that the configuration names and that need no looking up. Names join when they have been resolved (discovery.h); with `resolve: one`,
 * they are resolved at each connect and stand here.
 */
static bool group_begin(struct fleet_group *group)
{
	const struct upstream_settings *settings = group->plan->settings;
	const struct upstream_server_settings *servers = settings->servers.items;

	group->roster = roster_new(group->fleet->memory, (unsigned)settings->servers.count);
	if (!group->roster)
		return false;
	for (size_t i = 0; i < settings->servers.count; i++) {
		struct fleet_identity identity = {
			.written = span_make(servers[i].address.text, servers[i].address.len),
			.most = (unsigned)servers[i].max_connections,
		};
		if (fleet_is_discovered(&servers[i]))
			continue;
		struct fleet_server *server = fleet_server_get(group, &identity);
		if (!server)
			return false;
		roster_add(group->roster, server, (uint32_t)servers[i].weight,
			   fleet_tier(servers[i].priority, servers[i].backup));
		fleet_server_release(server);
	}
	roster_sort(group->roster);
	return true;
}

static bool group_init(struct fleet *fleet, struct fleet_group *group, const struct upstream_plan *plan,
		       struct fleet *previous)
{
	struct span name = span_make(plan->settings->name.text, plan->settings->name.len);

	group->fleet = fleet;
	group->plan = plan;
	pthread_mutex_init(&group->lock, NULL);
	fleet_limits_init(group);
	group->seats = memory_alloc(fleet->memory, fleet->seats * sizeof(*group->seats));
	if (!group->seats)
		return false;
	memset(group->seats, 0, fleet->seats * sizeof(*group->seats));
	if (!fleet_sticky_init(group, previous ? fleet_group_find(previous, name) : NULL))
		return false;
	struct fleet_group *before =
		previous && previous->workers == fleet->workers ? fleet_group_find(previous, name) : NULL;
	if (before)
		group->before = fleet_roster(before);
	return group_begin(group);
}

static void group_fini(struct fleet *fleet, struct fleet_group *group)
{
	roster_release(group->roster);
	roster_release(group->before);
	if (group->seats)
		memory_free(fleet->memory, group->seats, fleet->seats * sizeof(*group->seats));
	pthread_mutex_destroy(&group->lock);
	explicit_bzero(group->sticky_key, sizeof(group->sticky_key));
}

struct fleet *fleet_new(struct memory *memory, const struct upstream_plan *plans, size_t count,
			unsigned workers, struct fleet *previous)
{
	size_t size = sizeof(struct fleet) + count * sizeof(struct fleet_group);
	struct fleet *fleet = memory_alloc(memory, size);

	if (!fleet)
		return NULL;
	memset(fleet, 0, size);
	*fleet = (struct fleet){.memory = memory, .size = size, .workers = workers, .seats = workers + 1};
	while (fleet->count < count) {
		size_t i = fleet->count++;
		if (!group_init(fleet, &fleet->groups[i], &plans[i], previous)) {
			fleet_free(fleet);
			return NULL;
		}
	}
	return fleet;
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	for (size_t i = 0; i < fleet->count; i++)
		group_fini(fleet, &fleet->groups[i]);
	memory_free(fleet->memory, fleet, fleet->size);
}

void fleet_keep_addresses(struct fleet *fleet, struct address_set *set)
{
	fleet->addresses = set;
	for (size_t i = 0; i < fleet->count; i++) {
		const struct roster *roster = fleet->groups[i].roster;
		for (unsigned j = 0; j < roster->count; j++)
			fleet_server_keep(roster->members[j].server, set);
	}
}

size_t fleet_count(const struct fleet *fleet)
{
	return fleet->count;
}

unsigned fleet_workers(const struct fleet *fleet)
{
	return fleet->workers;
}

struct fleet_group *fleet_group_at(struct fleet *fleet, size_t index)
{
	return &fleet->groups[index];
}

struct fleet_group *fleet_group_find(struct fleet *fleet, struct span name)
{
	for (size_t i = 0; i < fleet->count; i++) {
		const struct setting_string *own = &fleet->groups[i].plan->settings->name;
		if (span_equal(span_make(own->text, own->len), name))
			return &fleet->groups[i];
	}
	return NULL;
}

unsigned fleet_group_workers(const struct fleet_group *group)
{
	return group->fleet->workers;
}

const struct upstream_plan *fleet_plan(const struct fleet_group *group)
{
	return group->plan;
}

bool fleet_has_before(const struct fleet_group *group)
{
	return group->before != NULL;
}
