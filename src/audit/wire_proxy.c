/*
 * Connections through proxies. See wire.h. The connection's thread.
 */
#include "audit/wire_internal.h"
#include "upstream/parent_talk.h"

#include <netdb.h>

/* The first address of the name that takes the connection. */
static bool open_name(struct wire *wire, struct span host, uint16_t port, const struct address *from,
		      uint64_t deadline)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char name[256];
	bool open = false;

	if (host.len == 0 || host.len >= sizeof(name))
		return wire_fail(wire, "the proxy's name is too long");
	memcpy(name, host.at, host.len);
	name[host.len] = '\0';
	int error = getaddrinfo(name, NULL, &hints, &found);
	if (error)
		return wire_fail(wire, "the proxy's name does not resolve: %s", gai_strerror(error));
	for (const struct addrinfo *item = found; item && !open; item = item->ai_next) {
		union socket_address raw = {0};
		if (item->ai_addrlen > sizeof(raw))
			continue;
		memcpy(&raw, item->ai_addr, item->ai_addrlen);
		struct address address = address_from_socket(&raw, item->ai_addrlen);
		address.port = port;
		if (from && from->family != ADDRESS_NONE && from->family != address.family)
			continue;
		open = wire_open(wire, &address, from, deadline);
	}
	freeaddrinfo(found);
	return open;
}

bool wire_open_proxy(struct wire *wire, const struct parent_server *proxy, const struct address *from,
		     struct span alpn, uint64_t deadline)
{
	struct tls_blocking_client options = {.alpn = alpn};
	struct address literal;

	if (!address_parse_ip(proxy->host, &literal))
		options.name = proxy->host;
	if (proxy->address.family == ADDRESS_NONE) {
		if (!open_name(wire, proxy->host, proxy->port, from, deadline))
			return false;
	} else if (!wire_open(wire, &proxy->address, from, deadline)) {
		return false;
	}
	return proxy->kind != PARENT_HTTPS || wire_tls(wire, &options, deadline);
}

static bool talk_over(const struct parent_talk *talk)
{
	return talk->state == PARENT_TALK_OPEN || talk->state == PARENT_TALK_FAILED;
}

bool wire_tunnel(struct wire *wire, const struct parent_server *proxy, struct span host,
		 const struct address *address, unsigned *status, uint64_t deadline)
{
	struct memory memory;
	struct parent_talk talk;
	struct arena arena;
	bool good = true;

	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	parent_talk_init(&talk, proxy, &memory, address, host, address->port);
	struct span say = parent_talk_begin(&talk, &arena);
	if (say.at && say.len)
		good = wire_send(wire, say, deadline);
	while (good && !talk_over(&talk)) {
		struct span come = wire_waiting(wire);
		if (come.len == 0) {
			good = wire_receive(wire, deadline);
			continue;
		}
		say = (struct span){0};
		wire_take(wire, parent_talk_feed(&talk, come, &arena, &say));
		if (say.len)
			good = wire_send(wire, say, deadline);
	}
	*status = talk.status;
	if (good && talk.state == PARENT_TALK_FAILED)
		good = wire_fail(wire, "%s", error_text(&talk.error));
	parent_talk_fini(&talk);
	arena_fini(&arena);
	return good;
}
