/*
 * One server as the process sees it. See fleet.h. Any thread.
 */
#include "upstream/fleet_internal.h"

#include <xxhash.h>

bool fleet_is_discovered(const struct upstream_server_settings *server)
{
	struct span text = span_make(server->address.text, server->address.len);
	struct address address;

	if (span_starts_with(text, SPAN("srv:")))
		return true;
	return server->resolve == UPSTREAM_RESOLVE_EACH && !address_parse(text, &address);
}

/* ---- finding ---- */

/* From *hint on, which then stands behind it: mostly they are looked for in the roster's order. */
static struct fleet_server *roster_find(const struct roster *roster, const struct fleet_server *wanted,
					unsigned *hint)
{
	unsigned count = roster ? roster->count : 0;

	for (unsigned i = 0, at = *hint; i < count; i++, at++) {
		at = at < count ? at : 0;
		const struct roster_member *member = &roster->members[at];
		if (member->id != wanted->id || !span_equal(member->server->text, wanted->text))
			continue;
		*hint = at + 1;
		return member->server;
	}
	return NULL;
}

/* Held once more; NULL: it is new. */
static struct fleet_server *server_find(struct fleet_group *group, const struct fleet_server *wanted)
{
	struct fleet_server *found = roster_find(group->roster, wanted, &group->hint);

	if (!found)
		found = roster_find(group->before, wanted, &group->hint_before);
	if (!found || found->most != wanted->most || !span_equal(found->written, wanted->written) ||
	    !span_equal(found->host, wanted->host))
		return NULL;
	return fleet_server_retain(found);
}

/* ---- making ---- */

/* "NAME:PORT" taken apart. False: it is none. */
static bool server_read_name(struct fleet_server *server)
{
	struct span port = {0};
	uint64_t number = 0;

	server->address = (struct address){.family = ADDRESS_NONE};
	if (!span_cut(server->written, ':', &server->host, &port) || !span_to_u64(port, &number) ||
	    number > UINT16_MAX)
		return false;
	server->port = (uint16_t)number;
	return true;
}

/* Who it is, with everything borrowed from the identity; `text` has room for an address. False: it is no address. */
static bool server_describe(struct fleet_server *server, const struct fleet_identity *identity, char *text)
{
	server->written = server->text = identity->written;
	server->most = identity->most;
	if (identity->address) {
		server->address = *identity->address;
		server->port = identity->address->port;
		server->host = identity->host;
		server->text = span_make(text, address_format(identity->address, text));
	} else if (address_parse(identity->written, &server->address)) {
		server->port = server->address.port;
	} else if (!server_read_name(server)) {
		return false;
	}
	server->id = XXH3_64bits(server->text.at, server->text.len);
	return true;
}

/* The bytes of `span` into the server's own memory. */
static struct span server_own(uint8_t **at, struct span span)
{
	struct span own = span_make(*at, span.len);

	if (span.len)
		memcpy(*at, span.at, span.len);
	(*at)[span.len] = '\0';
	*at += span.len + 1;
	return own;
}

static struct fleet_server *server_make(const struct fleet_group *group, const struct fleet_server *wanted)
{
	const struct fleet *fleet = group->fleet;
	size_t texts = wanted->text.len + wanted->written.len + wanted->host.len + 3;
	size_t counters = fleet->seats * sizeof(struct fleet_counters);
	size_t size = sizeof(*wanted) + counters + texts;
	/* Counters stand on cache lines of their own, so that workers do not take each other's. */
	uint8_t *block = memory_alloc(fleet->memory, size + alignof(struct fleet_server));
	if (!block)
		return NULL;
	size_t past = (uintptr_t)block % alignof(struct fleet_server);
	struct fleet_server *server = (void *)(block + alignof(struct fleet_server) - past);
	uint8_t *at = (uint8_t *)server + sizeof(*server) + counters;

	memset(server, 0, sizeof(*server) + counters);
	server->memory = fleet->memory;
	server->block = block;
	server->size = size + alignof(struct fleet_server);
	atomic_init(&server->references, 1);
	server->text = server_own(&at, wanted->text);
	server->written = server_own(&at, wanted->written);
	server->host = server_own(&at, wanted->host);
	server->address = wanted->address;
	if (server->address.family == ADDRESS_UNIX && !address_parse(server->text, &server->address))
		server->address.path = NULL; /* not reached: it was parsed from the same text */
	server->port = wanted->port;
	server->id = wanted->id;
	server->most = wanted->most;
	fleet_server_keep(server, fleet->addresses);
	return server;
}

void fleet_server_keep(struct fleet_server *server, struct address_set *set)
{
	if (!set || server->set)
		return;
	server->set = set;
	address_set_add(set, &server->entry, &server->address);
}

struct fleet_server *fleet_server_get(struct fleet_group *group, const struct fleet_identity *identity)
{
	struct fleet_server wanted = {0};
	char text[ADDRESS_TEXT];

	if (!server_describe(&wanted, identity, text))
		return NULL;
	struct fleet_server *found = server_find(group, &wanted);
	return found ? found : server_make(group, &wanted);
}

struct fleet_server *fleet_server_retain(struct fleet_server *server)
{
	atomic_fetch_add_explicit(&server->references, 1, memory_order_relaxed);
	return server;
}

void fleet_server_release(struct fleet_server *server)
{
	if (atomic_fetch_sub_explicit(&server->references, 1, memory_order_acq_rel) != 1)
		return;
	if (server->set)
		address_set_remove(server->set, &server->entry);
	memory_free(server->memory, server->block, server->size);
}

static uint64_t counter_read(const atomic_uint_fast64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

struct fleet_sums fleet_server_sums(const struct fleet_server *server, unsigned counters)
{
	struct fleet_sums sums = {0};

	for (unsigned i = 0; i < counters; i++) {
		const struct fleet_counters *own = &server->counters[i];
		sums.requests += counter_read(&own->requests);
		sums.answers += counter_read(&own->answers);
		sums.errors += counter_read(&own->errors);
		sums.failures += counter_read(&own->failures);
		sums.latency_us += counter_read(&own->latency_us);
		sums.running += counter_read(&own->running);
	}
	return sums;
}

uint32_t roster_weight(const struct roster_member *member)
{
	uint32_t ordered = atomic_load_explicit(&member->server->weight, memory_order_relaxed);

	return ordered ? ordered : member->weight;
}

bool fleet_server_is_sound(const struct fleet_server *server, uint64_t now_ms)
{
	return atomic_load_explicit(&server->health, memory_order_relaxed) != FLEET_DOWN &&
	       counter_read(&server->ejected_until) <= now_ms;
}

bool fleet_server_is_well(const struct fleet_server *server, uint64_t now_ms)
{
	return atomic_load_explicit(&server->order, memory_order_relaxed) == FLEET_READY &&
	       fleet_server_is_sound(server, now_ms);
}
