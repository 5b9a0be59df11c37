/*
 * From sources to rosters: what is known of each source of a group becomes its servers. See discovery.h.
 */
#include "upstream/discovery_internal.h"

#include "balance/balance.h"

#include <stdio.h>

enum {
	PATIENCE_MS = 2000, /* with names that are new in a file, while the old list is in use */
	MEMORY_AGAIN_MS = 1000,
	WEIGHT_MOST = 256,
	SHARE_ONE = 65536, /* a weight of 1, where weights are divided */
};

/* A roster in the making. */
struct draft {
	struct discovery_group *group;
	struct roster *roster;
	struct map seen; /* texts of its servers */
	bool failed;     /* out of memory */
};

/* ---- lists ---- */

struct discovery_list *discovery_list_new(struct memory *memory)
{
	struct discovery_list *list = memory_alloc(memory, sizeof(*list));

	if (!list)
		return NULL;
	*list = (struct discovery_list){.memory = memory};
	arena_init(&list->arena, memory, NULL, NULL, 0);
	return list;
}

void discovery_list_free(struct discovery_list *list)
{
	if (!list)
		return;
	arena_fini(&list->arena);
	memory_free(list->memory, list, sizeof(*list));
}

/* ---- sources ---- */

static struct span address_of(const struct upstream_server_settings *server)
{
	return span_make(server->address.text, server->address.len);
}

/* False: out of memory. */
static bool source_start(struct discovery_group *group, struct discovery_source *source,
			 const struct upstream_server_settings *server)
{
	struct span text = address_of(server), port;
	uint64_t number = 0;

	*source = (struct discovery_source){.settings = server, .kind = DISCOVERY_LITERAL};
	if (!fleet_is_discovered(server))
		return true;
	if (span_starts_with(text, SPAN("srv:"))) {
		source->kind = DISCOVERY_SERVICE;
		source->service = discovery_service_start(group, span_from(text, 4));
		return source->service;
	}
	if (!span_cut(text, ':', &source->host, &port) || !span_to_u64(port, &number))
		return true; /* not reached: it was checked when it was read */
	source->kind = DISCOVERY_NAME;
	source->port = (uint16_t)number;
	return discovery_use_start(&source->use, group, source->host);
}

static void source_stop(struct discovery_source *source)
{
	discovery_use_stop(&source->use);
	if (source->service)
		discovery_service_stop(source->service);
}

static size_t sources_size(size_t count)
{
	return sizeof(struct discovery_sources) + count * sizeof(struct discovery_source);
}

static void sources_free(const struct discovery_group *group, struct discovery_sources *sources)
{
	if (!sources)
		return;
	for (size_t i = 0; i < sources->count; i++)
		source_stop(&sources->items[i]);
	discovery_list_free(sources->list);
	memory_free(group->discovery->worker->memory, sources, sources_size(sources->count));
}

/* NULL: out of memory. The list is not taken then. */
static struct discovery_sources *sources_new(struct discovery_group *group,
					     const struct setting_list *servers, struct discovery_list *list)
{
	const struct upstream_server_settings *items = servers->items;
	struct discovery_sources *sources =
		memory_alloc(group->discovery->worker->memory, sources_size(servers->count));

	if (!sources)
		return NULL;
	memset(sources, 0, sources_size(servers->count));
	sources->count = servers->count;
	for (size_t i = 0; i < servers->count; i++)
		if (!source_start(group, &sources->items[i], &items[i])) {
			sources_free(group, sources);
			return NULL;
		}
	sources->list = list;
	return sources;
}

static bool source_decided(const struct discovery_source *source)
{
	switch (source->kind) {
	case DISCOVERY_LITERAL:
		break;
	case DISCOVERY_NAME:
		return discovery_name_decided(source->use.name);
	case DISCOVERY_SERVICE:
		return discovery_service_decided(source->service);
	}
	return true;
}

/* ---- a draft ---- */

static void draft_add(struct draft *draft, const struct fleet_identity *identity, uint32_t weight, uint32_t tier)
{
	struct discovery_group *group = draft->group;

	if (draft->failed || draft->roster->count == draft->roster->most)
		return;
	struct fleet_server *server = fleet_server_get(group->fleet, identity);
	if (!server) {
		draft->failed = true;
		return;
	}
	/* An address that several name is one server, the first one's, with the weight of all: see roster_add. */
	struct fleet_server *seen = map_get(&draft->seen, server->text);
	if (!seen) {
		if (group->begun && atomic_load(&server->references) == 1)
			atomic_store(&server->well_since, group->discovery->worker->loop.now);
		draft->failed = !map_put(&draft->seen, server->text, server);
	}
	roster_add(draft->roster, seen ? seen : server, weight, tier);
	fleet_server_release(server);
}

static void draft_add_literal(struct draft *draft, const struct upstream_server_settings *server)
{
	struct fleet_identity identity = {
		.written = address_of(server),
		.most = (unsigned)server->max_connections,
	};

	draft_add(draft, &identity, (uint32_t)server->weight, fleet_tier(server->priority, server->backup));
}

/* All addresses of a name in one family. Where it has both, IPv6 stands by: what is new in a network fails less often there. */
static void draft_add_addresses(struct draft *draft, const struct discovery_use *use, unsigned family,
				struct fleet_identity *identity, uint16_t port, uint32_t weight, uint32_t tier)
{
	const struct discovery_addresses *addresses = discovery_name_addresses(use->name, family);

	if (family == DISCOVERY_V6 && discovery_name_addresses(use->name, DISCOVERY_V4)->count)
		tier += FLEET_STAND_BY;
	for (unsigned i = 0; i < addresses->count; i++) {
		struct address address = addresses->items[i];
		address.port = port;
		identity->address = &address;
		draft_add(draft, identity, weight, tier);
	}
	identity->address = NULL;
}

static void draft_add_name(struct draft *draft, const struct discovery_source *source)
{
	const struct upstream_server_settings *server = source->settings;
	struct fleet_identity identity = {
		.written = address_of(server),
		.host = source->host,
		.most = (unsigned)server->max_connections,
	};

	for (unsigned family = 0; family < DISCOVERY_FAMILIES; family++)
		draft_add_addresses(draft, &source->use, family, &identity, source->port,
				    (uint32_t)server->weight, fleet_tier(server->priority, server->backup));
}

/* A target's weight is shared by its addresses, so that it has as much of the requests as its record says. In 1/SHARE_ONE. */
static uint64_t target_share(const struct discovery_target *target, unsigned family)
{
	unsigned count = discovery_name_addresses(target->use.name, family)->count;

	return (uint64_t)target->record.weight * SHARE_ONE / (count ? count : 1);
}

/*
 * The largest share among the `count` targets of one priority; 0: all are whole numbers that do as weights as they are.
 */
static uint64_t targets_largest(const struct discovery_target *targets, unsigned count)
{
	uint64_t largest = 0;
	bool whole = true;

	for (unsigned i = 0; i < count; i++)
		for (unsigned family = 0; family < DISCOVERY_FAMILIES; family++) {
			uint64_t share = target_share(&targets[i], family);
			largest = size_max(largest, share);
			whole = whole && share % SHARE_ONE == 0;
		}
	return whole && largest <= (uint64_t)WEIGHT_MOST * SHARE_ONE ? 0 : largest;
}

/* RFC 2782: 0..65535, of which 0 is a very small one. */
static uint32_t target_weight(const struct discovery_target *target, unsigned family, uint64_t largest)
{
	uint64_t share = target_share(target, family);
	uint64_t weight = largest ? (share * WEIGHT_MOST + largest / 2) / largest : share / SHARE_ONE;

	return (uint32_t)size_max(weight, 1);
}

static void draft_add_target(struct draft *draft, const struct upstream_server_settings *server,
			     const struct discovery_target *target, uint64_t largest)
{
	const struct resolver_service *record = &target->record;
	char written[RESOLVER_MAX_NAME + 8];
	int len = snprintf(written, sizeof(written), "%.*s:%u", record->len, record->target, record->port);
	struct fleet_identity identity = {
		.written = span_make(written, (size_t)len),
		.host = span_make(record->target, record->len),
		.most = (unsigned)server->max_connections,
	};

	for (unsigned family = 0; family < DISCOVERY_FAMILIES; family++)
		draft_add_addresses(draft, &target->use, family, &identity, record->port,
				    target_weight(target, family, largest),
				    fleet_tier(record->priority, server->backup));
}

static void draft_add_service(struct draft *draft, const struct discovery_source *source)
{
	const struct discovery_targets *targets;
	unsigned end;

	targets = discovery_service_targets(source->service);
	for (unsigned i = 0; targets && i < targets->count; i = end) {
		for (end = i + 1; end < targets->count; end++)
			if (targets->items[end].record.priority != targets->items[i].record.priority)
				break;
		uint64_t largest = targets_largest(&targets->items[i], end - i);
		for (unsigned j = i; j < end; j++)
			draft_add_target(draft, source->settings, &targets->items[j], largest);
	}
}

static void draft_add_sources(struct draft *draft, const struct discovery_sources *sources)
{
	for (size_t i = 0; sources && i < sources->count; i++) {
		const struct discovery_source *source = &sources->items[i];
		switch (source->kind) {
		case DISCOVERY_LITERAL:
			draft_add_literal(draft, source->settings);
			break;
		case DISCOVERY_NAME:
			draft_add_name(draft, source);
			break;
		case DISCOVERY_SERVICE:
			draft_add_service(draft, source);
			break;
		}
	}
}

/* ---- a group ---- */

void discovery_look(struct discovery_group *group)
{
	loop_soon(&group->discovery->worker->loop, &group->look);
}

static bool roster_same(const struct roster *a, const struct roster *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (a->members[i].server != b->members[i].server ||
		    a->members[i].weight != b->members[i].weight || a->members[i].tier != b->members[i].tier)
			return false;
	return true;
}

static size_t use_count(const struct discovery_use *use)
{
	return discovery_name_addresses(use->name, DISCOVERY_V4)->count +
	       discovery_name_addresses(use->name, DISCOVERY_V6)->count;
}

/* How many servers there may be behind it. */
static size_t source_count(const struct discovery_source *source)
{
	const struct discovery_targets *targets;
	size_t count = 0;

	switch (source->kind) {
	case DISCOVERY_LITERAL:
		return 1;
	case DISCOVERY_NAME:
		return use_count(&source->use);
	case DISCOVERY_SERVICE:
		targets = discovery_service_targets(source->service);
		for (unsigned i = 0; targets && i < targets->count; i++)
			count += use_count(&targets->items[i].use);
		break;
	}
	return count;
}

/* Services take into use what has been answered meanwhile. */
static size_t sources_settle(const struct discovery_sources *sources)
{
	size_t count = 0;

	for (size_t i = 0; sources && i < sources->count; i++) {
		if (sources->items[i].service)
			discovery_service_settle(sources->items[i].service);
		count += source_count(&sources->items[i]);
	}
	return count;
}

/* NULL: out of memory. */
static struct roster *group_draft(struct discovery_group *group)
{
	struct worker *worker = group->discovery->worker;
	size_t wanted = sources_settle(group->own) + sources_settle(group->file);
	struct draft draft = {.group = group};

	if (wanted > BALANCE_ENTRIES_MAX && !group->too_many)
		log_say(worker->log, LOG_ERROR,
			"upstream \"%s\": there are more than %d servers: the others are left out",
			fleet_plan(group->fleet)->settings->name.text, BALANCE_ENTRIES_MAX);
	group->too_many = wanted > BALANCE_ENTRIES_MAX;
	draft.roster = roster_new(worker->memory, (unsigned)size_min(wanted, BALANCE_ENTRIES_MAX));
	if (!draft.roster)
		return NULL;
	map_init(&draft.seen, worker->memory);
	draft_add_sources(&draft, group->own);
	draft_add_sources(&draft, group->file);
	map_fini(&draft.seen);
	if (draft.failed) {
		roster_release(draft.roster);
		return NULL;
	}
	roster_sort(draft.roster);
	return draft.roster;
}

static bool sources_decided(const struct discovery_sources *sources)
{
	for (size_t i = 0; sources && i < sources->count; i++)
		if (!source_decided(&sources->items[i]))
			return false;
	return true;
}

static void group_adopt(struct discovery_group *group)
{
	struct discovery_sources *old = group->file;

	group->file = group->next;
	group->next = NULL;
	sources_free(group, old);
}

static void group_publish(struct discovery_group *group)
{
	struct roster *roster = group_draft(group), *old;

	if (!roster) {
		loop_timer_start(&group->discovery->worker->loop, &group->again, MEMORY_AGAIN_MS);
		return;
	}
	old = fleet_roster(group->fleet);
	if (roster_same(roster, old))
		roster_release(roster);
	else
		fleet_publish(group->fleet, roster);
	roster_release(old);
	group->begun = group->begun || (sources_decided(group->own) && sources_decided(group->file));
}

static void group_look(struct loop_task *task)
{
	struct discovery_group *group = CONTAINER_OF(task, struct discovery_group, look);

	if (!group->active)
		return;
	if (group->next && sources_decided(group->next))
		group_adopt(group);
	group_publish(group);
}

static void group_on_again(struct timer *timer)
{
	struct discovery_group *group = CONTAINER_OF(timer, struct discovery_group, again);

	if (group->next)
		group_adopt(group);
	group_publish(group);
}

bool discovery_is_needed(const struct setting_list *servers)
{
	const struct upstream_server_settings *items = servers->items;

	for (size_t i = 0; i < servers->count; i++)
		if (fleet_is_discovered(&items[i]))
			return true;
	return false;
}

/* False: out of memory. */
static bool group_start(struct discovery *discovery, struct discovery_group *group, struct fleet_group *fleet)
{
	const struct upstream_plan *plan = fleet_plan(fleet);

	*group = (struct discovery_group){.discovery = discovery, .fleet = fleet};
	loop_task_init(&group->look, group_look);
	timer_init(&group->again, group_on_again);
	if (plan->settings->file.len == 0 && !discovery_is_needed(&plan->settings->servers))
		return true;
	group->active = true;
	group->own = sources_new(group, &plan->settings->servers, NULL);
	if (!group->own)
		return false;
	if (plan->settings->file.len) {
		group->file = sources_new(group, &plan->file_servers, NULL);
		if (!group->file)
			return false;
	}
	struct roster *roster = group_draft(group);
	if (!roster)
		return false;
	fleet_publish(fleet, roster);
	return true;
}

static void group_stop(struct discovery_group *group)
{
	group->active = false;
	loop_timer_stop(&group->discovery->worker->loop, &group->again);
	sources_free(group, group->own);
	sources_free(group, group->file);
	sources_free(group, group->next);
}

/* ---- all of it ---- */

static void discovery_free(struct loop_task *task)
{
	struct discovery *discovery = CONTAINER_OF(task, struct discovery, retire);

	map_fini(&discovery->names);
	memory_free(discovery->worker->memory, discovery, discovery->size);
}

struct discovery *discovery_start(struct worker *worker, struct fleet *fleet)
{
	size_t count = fleet_count(fleet);
	size_t size = sizeof(struct discovery) + count * sizeof(struct discovery_group);
	struct discovery *discovery = memory_alloc(worker->memory, size);

	if (!discovery)
		return NULL;
	*discovery = (struct discovery){.worker = worker, .fleet = fleet, .size = size};
	loop_task_init(&discovery->retire, discovery_free);
	map_init(&discovery->names, worker->memory);
	while (discovery->count < count) {
		size_t i = discovery->count++;
		if (!group_start(discovery, &discovery->groups[i], fleet_group_at(fleet, i))) {
			discovery_stop(discovery);
			return NULL;
		}
	}
	return discovery;
}

void discovery_stop(struct discovery *discovery)
{
	if (!discovery)
		return;
	for (size_t i = 0; i < discovery->count; i++)
		group_stop(&discovery->groups[i]);
	loop_retire(&discovery->worker->loop, &discovery->retire);
}

bool discovery_settled(const struct discovery *discovery)
{
	return discovery->undecided == 0;
}

void discovery_replace(struct discovery *discovery, size_t group, struct discovery_list *list)
{
	struct discovery_group *own = &discovery->groups[group];
	struct discovery_sources *fresh = sources_new(own, &list->servers, list);

	if (!fresh) {
		log_say(discovery->worker->log, LOG_ERROR,
			"upstream \"%s\": out of memory: its file is not taken",
			fleet_plan(own->fleet)->settings->name.text);
		discovery_list_free(list);
		return;
	}
	sources_free(own, own->next);
	own->next = fresh;
	loop_timer_start(&discovery->worker->loop, &own->again, PATIENCE_MS);
	discovery_look(own);
}

/* ---- what is missing ---- */

static void source_tell(const struct discovery_source *source, struct discovery_missing *missing,
			discovery_missing_fn *tell, void *owner)
{
	missing->server = source->settings;
	switch (source->kind) {
	case DISCOVERY_LITERAL:
		return;
	case DISCOVERY_NAME:
		missing->name = source->host;
		missing->why = discovery_name_why(source->use.name);
		break;
	case DISCOVERY_SERVICE:
		missing->name = span_from(address_of(source->settings), 4);
		missing->why = discovery_service_why(source->service);
		break;
	}
	if (source_count(source) == 0)
		tell(owner, missing);
}

void discovery_each_missing(const struct discovery *discovery, discovery_missing_fn *tell, void *owner)
{
	for (size_t i = 0; i < discovery->count; i++) {
		const struct discovery_group *group = &discovery->groups[i];
		struct discovery_missing missing = {.plan = fleet_plan(group->fleet)};
		for (size_t j = 0; group->own && j < group->own->count; j++)
			source_tell(&group->own->items[j], &missing, tell, owner);
		missing.file = true;
		for (size_t j = 0; group->file && j < group->file->count; j++)
			source_tell(&group->file->items[j], &missing, tell, owner);
	}
}
