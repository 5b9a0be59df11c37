/*
 * A configuration, made ready to run among observers. See config.h. Before anything runs.
 */
#include "audit/config_internal.h"
#include "audit/namespace.h"
#include "audit/reverse.h"
#include "config/listen.h"

#include <errno.h>
#include <stdio.h>

enum {
	FIRST_FREE_PORT = 40000, /* for listeners that take any */
	NAME_SERVER_PORT = 53,
	LINE = 256,
};

/* ---- where it listens ---- */

static bool is_any(const struct address *address)
{
	static const uint8_t zero[16];

	return memcmp(address->ip, zero, address->family == ADDRESS_V4 ? 4 : 16) == 0;
}

/*
 * An address of its own in place of all (RFC 5737, RFC 3849): the observer listens beside it on the same port. What is in the file system is not inside the
 * namespace: whoever listens there outside would be put out of the way.
 */
static bool move_address(struct snapshot_address *item, unsigned number)
{
	static const struct address v4 = {.family = ADDRESS_V4, .ip = {203, 0, 113, 1}};
	static const struct address v6 = {.family = ADDRESS_V6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	uint16_t port = item->address.port;

	if (item->address.family == ADDRESS_UNIX)
		return false;
	if (item->dual || is_any(&item->address))
		item->address = item->dual || item->address.family == ADDRESS_V4 ? v4 : v6;
	item->dual = false;
	item->address.port = port ? port : (uint16_t)(FIRST_FREE_PORT + number);
	return true;
}

/* False: it has no address left. */
static bool move_listener(struct snapshot_listener *listener, unsigned *number)
{
	size_t kept = 0;

	for (size_t i = 0; i < listener->address_count; i++)
		if (move_address(&listener->addresses[i], (*number)++))
			listener->addresses[kept++] = listener->addresses[i];
	listener->address_count = kept;
	return kept > 0;
}

/* NULL: it can be served here. */
static const char *why_left_out(struct snapshot_listener *listener, unsigned *number)
{
	if (listener->face == SNAPSHOT_TCP)
		return "a tcp listener passes bytes as they are: there is nothing to hide in them";
	if (listener->face == SNAPSHOT_FORWARD && listener->intercept != INTERCEPT_OFF)
		return "its connections are intercepted by rules of the kernel, which are not in this file";
	if (!move_listener(listener, number))
		return "it listens on UNIX sockets alone, which are outside of the namespace of the audit";
	return NULL;
}

/* ---- servers ---- */

/* A server that is reached over the file system would be the real one. */
static bool cover(struct stage *stage, const struct setting_list *servers)
{
	const struct upstream_server_settings *items = servers->items;

	for (size_t i = 0; i < servers->count; i++) {
		const char *text = items[i].address.text;

		if (strncmp(text, "unix:/", 6) != 0 || audit_namespace_cover(text + 5) || errno == ENOENT)
			continue;
		stage->audit->why = "a server on a UNIX socket could not be kept out of the audit";
		stage->audit->advice = "the right to mount in the namespace is needed (capability SYS_ADMIN)";
		return false;
	}
	return true;
}

/* Whether a listener has the port; *itself: it has the address as well, so that the server is the configuration's own. */
static bool listens_on(const struct snapshot *snapshot, const struct address *place, bool *itself)
{
	bool port = false;

	*itself = false;
	for (size_t i = 0; i < snapshot->listener_count; i++)
		for (size_t k = 0; k < snapshot->listeners[i].address_count; k++) {
			const struct snapshot_address *listener = &snapshot->listeners[i].addresses[k];
			if (listener->address.port != place->port)
				continue;
			port = true;
			*itself |= listen_same(&listener->address, listener->dual, place, false);
		}
	return port;
}

static void add_place(struct stage *stage, const struct address *address, uint64_t port)
{
	struct address place = {.family = ADDRESS_V6, .port = (uint16_t)port}; /* all addresses, IPv4's too */

	struct address own = *address;
	bool itself;

	if (port == 0)
		return;
	own.port = place.port;
	if (listens_on(stage->snapshot, &own, &itself))
		place = own;
	if (itself)
		return;
	for (unsigned i = 0; i < stage->place_count; i++)
		if (address_equal(&stage->places[i], &place))
			return;
	if (stage->place_count < STAGE_PLACES)
		stage->places[stage->place_count++] = place;
	else
		stage->crowded = true;
}

bool stage_server_address(struct stage *stage, struct span text, struct address *address)
{
	uint16_t port;
	struct span host = reverse_split(text, &port);

	if (address_parse(text, address))
		return address->family != ADDRESS_UNIX;
	if (!dns_names_address(&stage->names, host, DNS_TYPE_A, address))
		return false;
	address->port = port;
	return true;
}

static void add_places(struct stage *stage, const struct setting_list *servers, uint64_t health)
{
	const struct upstream_server_settings *items = servers->items;

	for (size_t i = 0; i < servers->count; i++) {
		struct span text = span_make(items[i].address.text, items[i].address.len);
		struct address address;

		if (!stage_server_address(stage, text, &address))
			continue;
		add_place(stage, &address, address.port);
		add_place(stage, &address, health);
	}
}

void stage_find_places(struct stage *stage)
{
	const struct snapshot *snapshot = stage->snapshot;

	for (size_t i = 0; i < snapshot->upstream_count; i++) {
		uint64_t health = snapshot->upstreams[i].health.port;

		add_places(stage, &snapshot->upstreams[i].servers, health);
		add_places(stage, &snapshot->plans[i].file_servers, health);
	}
}

/* ---- name servers ---- */

static void add_resolver(struct stage *stage, struct span text)
{
	struct address address;

	if (!address_parse_ip(text, &address) &&
	    (!address_parse(text, &address) || address.family == ADDRESS_UNIX))
		return;
	if (address.port == 0)
		address.port = NAME_SERVER_PORT;
	for (unsigned i = 0; i < stage->resolver_count; i++)
		if (address_equal(&stage->resolver[i], &address))
			return;
	if (stage->resolver_count < STAGE_RESOLVERS)
		stage->resolver[stage->resolver_count++] = address;
}

/* resolv.conf(5) */
static void find_system_resolvers(struct stage *stage)
{
	FILE *file = fopen("/etc/resolv.conf", "re");
	char line[LINE];

	while (file && fgets(line, sizeof(line), file)) {
		struct span key, value, rest;

		if (!span_cut(span_trim(span_first(span_of(line), strcspn(line, "\r\n"))), ' ', &key, &value))
			continue;
		(void)span_cut(span_trim(value), ' ', &value, &rest);
		if (span_equal(key, SPAN("nameserver")))
			add_resolver(stage, value);
	}
	if (file)
		(void)fclose(file);
}

void stage_find_resolvers(struct stage *stage)
{
	const struct setting_strings *servers = &stage->snapshot->settings.resolver.servers;

	for (size_t i = 0; i < servers->count; i++)
		add_resolver(stage, span_make(servers->items[i].text, servers->items[i].len));
	if (servers->count == 0)
		find_system_resolvers(stage);
	if (stage->resolver_count == 0)
		add_resolver(stage, SPAN("127.0.0.1")); /* what a resolver does that is told of none */
}

/* ---- all of it ---- */

bool stage_prepare_snapshot(struct stage *stage)
{
	struct snapshot *snapshot = stage->snapshot;
	unsigned number = 0;
	size_t kept = 0;

	/* What it would write is somebody else's. */
	snapshot->settings.log.access = (struct setting_string){.text = "off", .len = 3};
	snapshot->settings.log.error = (struct setting_string){.text = "stderr", .len = 6};
	for (size_t i = 0; i < snapshot->upstream_count; i++)
		if (!cover(stage, &snapshot->upstreams[i].servers) ||
		    !cover(stage, &snapshot->plans[i].file_servers))
			return false;
	stage->listener_count = snapshot->listener_count;
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		struct snapshot_listener listener = snapshot->listeners[i];
		bool admin = listener.face == SNAPSHOT_ADMIN;
		const char *why = admin ? NULL : why_left_out(&listener, &number);

		if (why)
			stage_leave_out(stage, &listener, why);
		if (why || admin)
			continue;
		/* Those that are left out go behind, to be given back with the others at the end. */
		snapshot->listeners[i] = snapshot->listeners[kept];
		snapshot->listeners[kept++] = listener;
	}
	snapshot->listener_count = kept;
	return true;
}
