/*
 * The upstream groups of one worker: made at start from the snapshot's settings, used by the reverse proxy.
 */
#include "upstream/group.h"

#include "upstream/attempt_internal.h"
#include "upstream/origin.h"
#include "upstream/room_internal.h"
#include "upstream/secure_internal.h"

/* As far as the configuration settles it. */
static enum upstream_speaks upstream_speaks(const struct upstream_settings *settings)
{
	if (settings->http == UPSTREAM_HTTP_2)
		return UPSTREAM_SPEAKS_HTTP2;
	if (settings->http == UPSTREAM_HTTP_1 || settings->proxy_protocol || !settings->tls.place.line)
		return UPSTREAM_SPEAKS_HTTP1;
	return UPSTREAM_SPEAKS_UNKNOWN;
}

static bool server_init(struct upstream_server *server, struct worker *worker,
			const struct upstream_server_settings *settings, const struct upstream_settings *group)
{
	struct span text = span_make(settings->address.text, settings->address.len);

	server->settings = settings;
	server->text = text;
	server->speaks = (uint8_t)upstream_speaks(group);
	list_init(&server->attempts);
	session_pool_init(&server->pool, worker, (uint32_t)size_min(group->keepalive, UINT32_MAX), NULL);
	if (address_parse(text, &server->address)) {
		server->port = server->address.port;
		return true;
	}
	/* The configuration has been checked: what is no address is NAME:PORT. */
	struct span port = {0};
	uint64_t number = 0;
	server->address = (struct address){.family = ADDRESS_NONE};
	if (!span_cut(text, ':', &server->host, &port) || !span_to_u64(port, &number) || number > UINT16_MAX)
		return false;
	server->port = (uint16_t)number;
	return true;
}

static bool group_init(struct upstream_group *group, struct worker *worker, const struct upstream_plan *plan)
{
	const struct upstream_settings *settings = plan->settings;
	const struct upstream_server_settings *servers = settings->servers.items;
	unsigned count = (unsigned)settings->servers.count;

	group->plan = plan;
	group->settings = settings;
	group->servers = memory_alloc(worker->memory, count * sizeof(*group->servers));
	group->entries = memory_alloc(worker->memory, count * sizeof(*group->entries));
	if (!group->servers || !group->entries)
		return false;
	memset(group->servers, 0, count * sizeof(*group->servers));
	for (unsigned i = 0; i < count; i++) {
		group->count = i + 1;
		group->entries[i] = (struct balance_entry){
			.weight = (uint32_t)servers[i].weight,
			.available = true,
			.in_flight = &group->servers[i].in_flight,
		};
		if (!server_init(&group->servers[i], worker, &servers[i], settings))
			return false;
	}
	/* Workers start at different servers, so that few requests on many workers do not all meet the first. */
	const struct balance_options options = {
		.ops = balance_algorithms[settings->balance],
		.memory = worker->memory,
		.random = &worker->random,
		.entries = group->entries,
		.count = count,
		.offset = worker->index,
	};
	return balance_init(&group->balance, &options) && upstream_secure_init(group, worker);
}

static void server_give_up(struct upstream_server *server)
{
	struct link *link = server->attempts.next;

	while (link != &server->attempts) {
		struct attempt *attempt = CONTAINER_OF(link, struct attempt, link);
		link = link->next;
		if (attempt->waiting == 0)
			attempt_stop(attempt);
	}
}

static void group_fini(struct upstream_group *group, struct worker *worker)
{
	size_t all = group->settings->servers.count;

	for (unsigned i = 0; i < group->count; i++) {
		server_give_up(&group->servers[i]);
		session_pool_fini(&group->servers[i].pool);
	}
	upstream_secure_fini(group);
	balance_fini(&group->balance);
	memory_free(worker->memory, group->servers, all * sizeof(*group->servers));
	memory_free(worker->memory, group->entries, all * sizeof(*group->entries));
}

bool upstream_room_init(struct worker *worker, const struct upstream_plan *plans, size_t count)
{
	size_t size = sizeof(struct upstream_room) + count * sizeof(struct upstream_group);
	struct upstream_room *room = memory_alloc(worker->memory, size);

	if (!room)
		return false;
	memset(room, 0, size);
	room->size = size;
	worker->slots[WORKER_SLOT_UPSTREAM] = room;
	origins_init(&room->origins, worker);
	for (room->count = 0; room->count < count;) {
		size_t i = room->count++;
		if (!group_init(&room->groups[i], worker, &plans[i]))
			return false;
	}
	return true;
}

void upstream_room_fini(struct worker *worker)
{
	struct upstream_room *room = upstream_room(worker);

	if (!room)
		return;
	origins_fini(&room->origins);
	for (size_t i = 0; i < room->count; i++)
		group_fini(&room->groups[i], worker);
	memory_free(worker->memory, room, room->size);
	worker->slots[WORKER_SLOT_UPSTREAM] = NULL;
}

struct upstream_group *upstream_group(const struct worker *worker, size_t index)
{
	return &upstream_room(worker)->groups[index];
}

int upstream_group_pick(struct upstream_group *group, const bool *tried)
{
	unsigned avoid[64];
	unsigned count = 0;

	for (unsigned i = 0; tried && i < group->count && count < ARRAY_LENGTH(avoid); i++)
		if (tried[i])
			avoid[count++] = i;
	return balance_pick(&group->balance, &(struct balance_query){.avoid = avoid, .avoid_count = count});
}

void upstream_drain(struct worker *worker)
{
	struct upstream_room *room = upstream_room(worker);

	origins_drain(&room->origins);
	for (size_t i = 0; i < room->count; i++)
		for (unsigned j = 0; j < room->groups[i].count; j++) {
			server_give_up(&room->groups[i].servers[j]);
			session_pool_drain(&room->groups[i].servers[j].pool);
		}
}
