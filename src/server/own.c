/*
 * See own.h. Prepared on the main thread; then the control thread's.
 */
#include "server/own.h"

#include "server/server_internal.h"
#include "upstream/fleet.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>

enum {
	LOOK_MS = 10000, /* between looks at interfaces and names */
	KEEP_MS = 600 * 1000, /* that an address stays known after the last answer with it: workers' answers may be older, or others */
	NOTES = 64, /* addresses of one name */
};

/* An address of an interface. */
struct own_interface {
	struct link link;
	struct address_entry entry;
	struct address_set *set;
	bool seen;
};

/* An address that a name has, or had lately. */
struct own_note {
	struct address_entry entry;
	uint64_t until; /* loop clock, ms; 0: free */
};

/* A server that is known by a name, whose addresses are tried at each connect. */
struct own_name {
	struct link link;
	struct own *own;
	struct resolver_query query;
	bool asking, seen;
	uint16_t port;
	size_t len, key_len;
	struct own_note notes[NOTES];
	char key[]; /* "host:port", in lower case */
};

struct own {
	struct server *server;
	struct worker *worker;
	struct timer timer;
	struct link names; /* struct own_name */
	struct map by_key; /* the same */
	unsigned asking;
};

/* What is there from the beginning, in server->own_kept. */
struct own_kept {
	struct link interfaces; /* struct own_interface */
	struct address_entry *parents;
	size_t parent_count;
};

/* ---- interfaces ---- */

static struct own_interface *interface_of(struct address_set *set, const struct address *address)
{
	struct address_entry *entry = address_set_find(set, address);

	return entry ? CONTAINER_OF(entry, struct own_interface, entry) : NULL;
}

/* False: out of memory. */
static bool interface_note(struct server *server, struct address_set *set, const struct sockaddr *socket)
{
	int family = socket ? socket->sa_family : AF_UNSPEC;
	socklen_t len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	union socket_address raw = {0};

	if (family != AF_INET && family != AF_INET6)
		return true;
	memcpy(&raw, socket, len);
	struct address address = address_from_socket(&raw, len);
	address.port = 0;
	struct own_interface *interface = interface_of(set, &address);
	if (!interface) {
		interface = memory_alloc(&server->memory, sizeof(*interface));
		if (!interface)
			return false;
		*interface = (struct own_interface){.set = set};
		address_set_add(set, &interface->entry, &address);
		list_push(&server->own_kept->interfaces, &interface->link);
	}
	interface->seen = true;
	return true;
}

static void interfaces_sweep(struct server *server, bool all)
{
	struct link *next, *head = &server->own_kept->interfaces;

	for (struct link *link = head->next; link != head; link = next) {
		struct own_interface *interface = CONTAINER_OF(link, struct own_interface, link);
		next = link->next;
		if (interface->seen && !all) {
			interface->seen = false;
			continue;
		}
		address_set_remove(interface->set, &interface->entry);
		list_remove(&interface->link);
		memory_free(&server->memory, interface, sizeof(*interface));
	}
}

/* What could not be looked at stays as it was. False: out of memory. */
static bool interfaces_look(struct server *server)
{
	struct ifaddrs *list = NULL;
	bool good = true;

	if (getifaddrs(&list) != 0)
		return true;
	for (const struct ifaddrs *item = list; item; item = item->ifa_next) {
		good = interface_note(server, server->own.interfaces, item->ifa_addr) && good;
		if (item->ifa_flags & IFF_BROADCAST)
			good = interface_note(server, server->own.broadcasts, item->ifa_broadaddr) && good;
	}
	freeifaddrs(list);
	if (good)
		interfaces_sweep(server, false);
	return good;
}

/* ---- parents, and names as the configuration has them ---- */

/* "NAME:PORT" as the configuration has it; false: it is no name. */
static bool name_read(const struct upstream_server_settings *server, struct guard_name *name)
{
	struct span text = span_make(server->address.text, server->address.len), port;
	struct address address;
	uint64_t number = 0;

	if (address_parse(text, &address) || span_starts_with(text, SPAN("srv:")) ||
	    !span_cut(text, ':', &name->host, &port) || !span_to_u64(port, &number))
		return false;
	name->port = (uint16_t)number;
	return true;
}

static bool name_lower(struct arena *arena, struct span *host)
{
	uint8_t *lower = arena_alloc(arena, host->len + 1);

	for (size_t i = 0; lower && i < host->len; i++)
		lower[i] = ascii_lower(host->at[i]);
	*host = span_make(lower, host->len);
	return lower != NULL;
}

/* The names that servers and parents have: who asks for one of them by it is refused, whatever address it has at the moment. */
static bool names_prepare(struct server *server)
{
	const struct snapshot *snapshot = server->snapshot;
	size_t most = snapshot->parents.server_count, count = 0;

	for (size_t i = 0; i < snapshot->upstream_count; i++)
		most += snapshot->upstreams[i].servers.count;
	struct guard_name *names = arena_zalloc(&server->arena, most + 1, sizeof(*names));
	if (!names)
		return false;
	for (size_t i = 0; i < snapshot->upstream_count; i++) {
		const struct upstream_server_settings *servers = snapshot->upstreams[i].servers.items;
		for (size_t j = 0; j < snapshot->upstreams[i].servers.count; j++)
			count += name_read(&servers[j], &names[count]);
	}
	for (uint32_t i = 0; i < snapshot->parents.server_count; i++) {
		const struct parent_server *parent = snapshot->parents.servers[i];
		if (parent->address.family == ADDRESS_NONE)
			names[count++] = (struct guard_name){parent->host, parent->port};
	}
	for (size_t i = 0; i < count; i++)
		if (!name_lower(&server->arena, &names[i].host))
			return false;
	guard_names_sort(names, count);
	server->own.names = names;
	server->own.name_count = count;
	return true;
}

static bool parents_prepare(struct server *server)
{
	const struct parent_plans *parents = &server->snapshot->parents;
	struct own_kept *kept = server->own_kept;

	kept->parents = arena_zalloc(&server->arena, parents->server_count + 1, sizeof(*kept->parents));
	if (!kept->parents)
		return false;
	kept->parent_count = parents->server_count;
	for (uint32_t i = 0; i < parents->server_count; i++)
		address_set_add(server->own.servers, &kept->parents[i], &parents->servers[i]->address);
	return true;
}

static bool has_forward(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->listener_count; i++)
		if (snapshot->listeners[i].face == SNAPSHOT_FORWARD)
			return true;
	return false;
}

bool own_prepare(struct server *server)
{
	struct address *listeners = arena_zalloc(&server->arena, server->bound_count + 1, sizeof(*listeners));

	if (!listeners)
		return false;
	for (size_t i = 0; i < server->bound_count; i++)
		listeners[i] = server->bound[i].address;
	server->own.listeners = listeners;
	server->own.listener_count = server->bound_count;
	if (!has_forward(server->snapshot))
		return true;
	server->own_kept = arena_zalloc(&server->arena, 1, sizeof(*server->own_kept));
	if (!server->own_kept)
		return false;
	list_init(&server->own_kept->interfaces);
	server->own.interfaces = address_set_new(&server->memory);
	server->own.broadcasts = address_set_new(&server->memory);
	server->own.servers = address_set_new(&server->memory);
	return server->own.interfaces && server->own.broadcasts && server->own.servers &&
	       interfaces_look(server) && parents_prepare(server) && names_prepare(server);
}

void own_fini(struct server *server)
{
	struct own_kept *kept = server->own_kept;

	if (!kept)
		return;
	interfaces_sweep(server, true);
	for (size_t i = 0; i < kept->parent_count; i++)
		address_set_remove(server->own.servers, &kept->parents[i]);
	address_set_free(server->own.interfaces);
	address_set_free(server->own.broadcasts);
	address_set_free(server->own.servers);
	server->own_kept = NULL;
}

/* ---- names, while it runs ---- */

static size_t name_size(const struct own_name *name)
{
	return sizeof(*name) + name->key_len;
}

static void name_end(struct own_name *name)
{
	struct own *own = name->own;

	if (name->asking) {
		resolver_cancel(&name->query);
		own->asking--;
	}
	for (unsigned i = 0; i < NOTES; i++)
		address_set_remove(own->server->own.servers, &name->notes[i].entry);
	list_remove(&name->link);
	(void)map_remove(&own->by_key, span_make(name->key, name->key_len));
	memory_free(own->worker->memory, name, name_size(name));
}

/* In the place of the oldest one, if there are too many. */
static void name_note(struct own_name *name, const struct address *address, uint64_t until)
{
	struct address_set *set = name->own->server->own.servers;
	struct own_note *place = &name->notes[0];

	for (unsigned i = 0; i < NOTES; i++) {
		struct own_note *note = &name->notes[i];
		if (note->until && address_equal_ip(&note->entry.address, address)) {
			note->until = until;
			return;
		}
		if (note->until < place->until)
			place = note;
	}
	address_set_remove(set, &place->entry);
	struct address with_port = *address;
	with_port.port = name->port;
	address_set_add(set, &place->entry, &with_port);
	place->until = until;
}

static void name_take(struct own_name *name, const struct resolver_answer *answer)
{
	uint64_t now = name->own->worker->loop.now;

	for (unsigned i = 0; answer && i < answer->count; i++)
		name_note(name, &answer->addresses[i], now + KEEP_MS);
	for (unsigned i = 0; i < NOTES; i++) {
		struct own_note *note = &name->notes[i];
		if (!answer || note->until == 0 || note->until > now)
			continue;
		address_set_remove(name->own->server->own.servers, &note->entry);
		note->until = 0;
	}
}

/* While nobody answers, what was known stays. */
static void name_on_answer(struct resolver_query *query, const struct resolver_answer *answer,
			   const struct error *error)
{
	struct own_name *name = CONTAINER_OF(query, struct own_name, query);

	name->asking = false;
	name->own->asking--;
	name_take(name, answer);
}

static void name_ask(struct own_name *name)
{
	struct worker *worker = name->own->worker;
	struct span host = span_make(name->key, name->len);
	struct error error = ERROR_OK;
	const struct resolver_answer *answer = resolver_known(worker, host, &error);

	if (answer)
		name_take(name, answer);
	else if (!error_is(&error))
		name->asking = resolver_ask(worker, host, &name->query, name_on_answer, &error);
	name->own->asking += name->asking;
}

/* What there is no memory for is tried again at the next look. */
static void name_see(struct own *own, struct span host, uint16_t port)
{
	char key[RESOLVER_MAX_NAME + 8];
	size_t len = size_min(host.len, RESOLVER_MAX_NAME);

	for (size_t i = 0; i < len; i++)
		key[i] = (char)ascii_lower(host.at[i]);
	size_t key_len = len + (size_t)snprintf(key + len, sizeof(key) - len, ":%u", port);
	struct own_name *name = map_get(&own->by_key, span_make(key, key_len));
	if (name) {
		name->seen = true;
		return;
	}
	name = memory_alloc(own->worker->memory, sizeof(*name) + key_len);
	if (!name)
		return;
	*name = (struct own_name){.own = own, .port = port, .len = len, .key_len = key_len, .seen = true};
	memcpy(name->key, key, key_len);
	if (map_put(&own->by_key, span_make(name->key, key_len), name))
		list_push(&own->names, &name->link);
	else
		memory_free(own->worker->memory, name, name_size(name));
}

/* Those whose addresses are looked up at each connect: no roster knows them. */
static void names_see(struct own *own)
{
	const struct parent_plans *parents = &own->server->snapshot->parents;

	for (size_t i = 0; i < fleet_count(own->server->fleet); i++) {
		struct roster *roster = fleet_roster(fleet_group_at(own->server->fleet, i));
		for (unsigned j = 0; j < roster->count; j++) {
			const struct fleet_server *server = roster->members[j].server;
			if (server->address.family == ADDRESS_NONE)
				name_see(own, server->host, server->port);
		}
		roster_release(roster);
	}
	for (uint32_t i = 0; i < parents->server_count; i++) {
		const struct parent_server *parent = parents->servers[i];
		if (parent->address.family == ADDRESS_NONE)
			name_see(own, parent->host, parent->port);
	}
}

static void names_look(struct own *own)
{
	struct link *next;

	names_see(own);
	for (struct link *link = own->names.next; link != &own->names; link = next) {
		struct own_name *name = CONTAINER_OF(link, struct own_name, link);
		next = link->next;
		if (!name->seen) {
			name_end(name);
			continue;
		}
		name->seen = false;
		if (!name->asking)
			name_ask(name);
	}
}

static void own_look(struct own *own)
{
	if (!interfaces_look(own->server))
		log_say(own->worker->log, LOG_WARNING,
			"no memory to note the addresses of this machine's interfaces");
	names_look(own);
	loop_timer_start(&own->worker->loop, &own->timer, LOOK_MS);
}

static void own_on_timer(struct timer *timer)
{
	own_look(CONTAINER_OF(timer, struct own, timer));
}

struct own *own_start(struct worker *worker, struct server *server)
{
	struct own *own = arena_zalloc(&server->arena, 1, sizeof(*own));

	if (!own)
		return NULL;
	own->server = server;
	own->worker = worker;
	list_init(&own->names);
	map_init(&own->by_key, worker->memory);
	timer_init(&own->timer, own_on_timer);
	if (server->own_kept)
		own_look(own);
	return own;
}

bool own_settled(const struct own *own)
{
	return own->asking == 0;
}

void own_stop(struct own *own)
{
	if (!own)
		return;
	loop_timer_stop(&own->worker->loop, &own->timer);
	while (!list_empty(&own->names))
		name_end(CONTAINER_OF(own->names.next, struct own_name, link));
	map_fini(&own->by_key);
}
