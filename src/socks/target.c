/*
 * What a SOCKS request asks for, as the head of a request. Its target goes through the parser that HTTP's targets go through, so that no name is a name
 * here and an address, or none, there.
 */
#include "socks/socks_internal.h"

#include "http/target.h"

static const struct {
	enum http_method method;
	const char *text;
} methods[] = {
	[SOCKS_CONNECT] = {HTTP_METHOD_CONNECT, "CONNECT"},
	[SOCKS_BIND] = {HTTP_METHOD_OTHER, "BIND"},
	[SOCKS_UDP] = {HTTP_METHOD_OTHER, "UDP"},
};

/* HOST or HOST:PORT. For BIND and UDP a port may be unknown to the client, and is 0 then (RFC 1928 4, 7). NULL at: out of memory. */
static struct span place_text(const struct socks_place *place, bool with_port, struct arena *arena)
{
	unsigned port = place->address.port;
	struct address address = place->address;
	char text[ADDRESS_TEXT];

	/* IPv6 by its text, without the brackets that it has to have here. */
	if (address.family == ADDRESS_NONE && span_find(place->name, ':') >= 0 &&
	    address_parse_ip(place->name, &address))
		address.port = place->address.port;
	if (address.family == ADDRESS_NONE)
		return with_port ? arena_format(arena, "%.*s:%u", SPAN_ARG(place->name), port) :
				   arena_copy(arena, place->name);
	size_t len = address_format_ip(&address, text);
	const char *open = address.family == ADDRESS_V6 ? "[" : "",
		   *close = address.family == ADDRESS_V6 ? "]" : "";
	return with_port ? arena_format(arena, "%s%.*s%s:%u", open, (int)len, text, close, port) :
			   arena_format(arena, "%s%.*s%s", open, (int)len, text, close);
}

/* A name with a byte in it that would mean something in HOST:PORT. */
static bool name_is_odd(const struct socks_place *place)
{
	struct address address;

	if (place->address.family != ADDRESS_NONE)
		return false;
	if (span_find(place->name, 0) >= 0 || span_find(place->name, '[') >= 0)
		return true;
	return span_find(place->name, ':') >= 0 && !address_parse_ip(place->name, &address);
}

bool socks_head_fill(struct http_head *head, enum socks_version version, const struct socks_request *request,
		     struct span scheme, struct arena *arena, struct error *error)
{
	const struct socks_place *place = &request->place;
	bool with_port = place->address.port || request->command == SOCKS_CONNECT;

	head->method = (uint8_t)methods[request->command].method;
	head->method_text = span_of(methods[request->command].text);
	head->version = version == SOCKS_VERSION_4 ? HTTP_VERSION_SOCKS4 : HTTP_VERSION_SOCKS5;
	head->target_form = HTTP_TARGET_AUTHORITY;
	head->scheme = scheme;
	head->body = HTTP_BODY_NONE;
	if (name_is_odd(place)) {
		head->authority = arena_copy(arena, place->name);
		*error = error_make(ERROR_BAD_TARGET, "a byte that no host name has");
		return false;
	}
	head->authority = place_text(place, with_port, arena);
	if (!head->authority.at) {
		*error = error_make(ERROR_MEMORY, NULL);
		return false;
	}
	return http_authority_read(head->authority, arena, head, error);
}
