/*
 * Forwarded and X-Forwarded-*: whom to believe, and what to say. Any thread.
 *
 * Hops are read into an array, from the client's end to ours, and walked backwards while they are trusted. What goes
 * on to the server is written anew from what was understood, never copied.
 */
#include "mask/forwarded.h"

#include "http/target.h"
#include "mask/name.h"

struct hop {
	struct address address;   /* family NONE: not known by address */
	struct span text;         /* as it may be written: an address, "unknown", "_name" */
	struct span scheme, host; /* Forwarded only; empty = not said */
	bool bad;                 /* nothing that could be understood */
};

struct hops {
	struct hop *items;
	size_t count;
};

bool forwarded_compile(const struct setting_strings *trusted, int style, struct arena *arena,
		       struct diagnostics *diagnostics, struct forwarded_policy *policy)
{
	*policy = (struct forwarded_policy){.style = (enum forwarded_style)style};
	return peers_compile(trusted, arena, diagnostics, &policy->trusted);
}

bool forwarded_trusts(const struct forwarded_policy *policy, const struct address *peer)
{
	return peers_have(&policy->trusted, peer);
}

static struct span address_text(const struct address *address, struct arena *arena)
{
	struct address plain = address_unmap(address);
	char text[ADDRESS_TEXT] UNINITIALISED;

	if (plain.family != ADDRESS_V4 && plain.family != ADDRESS_V6)
		return SPAN("unknown");
	return arena_copy(arena, span_make(text, address_format_ip(&plain, text)));
}

/* obfnode = "_" 1*( ALPHA / DIGIT / "." / "_" / "-" ) (RFC 7239 6.3) */
static bool is_obfuscated(struct span text)
{
	if (text.len < 2 || text.at[0] != '_')
		return false;
	for (size_t i = 1; i < text.len; i++) {
		uint8_t byte = text.at[i];

		if (!ascii_is_alpha(byte) && !ascii_is_digit(byte) && byte != '.' && byte != '_' && byte != '-')
			return false;
	}
	return true;
}

/* node-port = 1*5DIGIT / obfport (RFC 7239 6) */
static bool is_node_port(struct span text)
{
	uint64_t port;

	return is_obfuscated(text) || (text.len <= 5 && span_to_u64(text, &port) && port <= 65535);
}

/*
 * A node (RFC 7239 6): IPv4, "[" IPv6 "]", "unknown" or an obfuscated name, each with a port or without. `loose`: as
 * X-Forwarded-For writes it, where an IPv6 address stands bare too. False: none of these.
 */
static bool parse_node(struct span text, bool loose, struct hop *hop)
{
	struct span name = text, port = span_make(NULL, 0);
	bool bracketed = text.len > 0 && text.at[0] == '[';
	ptrdiff_t end = span_find(text, bracketed ? ']' : ':');

	if (loose && address_parse_ip(text, &hop->address))
		return true;
	hop->address = (struct address){.family = ADDRESS_NONE};
	if (end >= 0) {
		name = bracketed ? span_make(text.at + 1, (size_t)end - 1) : span_first(text, (size_t)end);
		port = span_from(text, (size_t)end + bracketed);
		if (port.len > 0 && (port.at[0] != ':' || !is_node_port(span_from(port, 1))))
			return false;
	}
	if (address_parse_ip(name, &hop->address))
		return (hop->address.family == ADDRESS_V6) == bracketed;
	hop->text = span_equal_nocase(name, SPAN("unknown")) ? SPAN("unknown") : name;
	return !bracketed && (hop->text.at != name.at || is_obfuscated(name));
}

/* token / quoted-string; *rest goes on behind it. The text is unescaped into the arena where needed. */
static bool parse_value(struct span *rest, struct arena *arena, struct span *value)
{
	size_t at = 1, len = 0;
	uint8_t *out;

	if (rest->len == 0 || rest->at[0] != '"') {
		ptrdiff_t end = span_find(*rest, ';');

		*value = end < 0 ? *rest : span_first(*rest, (size_t)end);
		*rest = span_from(*rest, value->len);
		return http_is_token(*value);
	}
	out = arena_alloc(arena, rest->len);
	if (!out)
		return false;
	for (; at < rest->len && rest->at[at] != '"'; at++) {
		if (rest->at[at] == '\\' && ++at == rest->len)
			return false;
		out[len++] = rest->at[at];
	}
	if (at >= rest->len)
		return false;
	*value = span_make(out, len);
	*rest = span_from(*rest, at + 1);
	return true;
}

static bool take_scheme(struct span value, struct span *scheme)
{
	if (span_equal_nocase(value, SPAN("https")))
		*scheme = SPAN("https");
	else if (span_equal_nocase(value, SPAN("http")))
		*scheme = SPAN("http");
	else
		return false;
	return true;
}

static bool take_host(struct span value, struct arena *arena, struct span *host)
{
	struct http_authority authority;
	struct error error;

	if (!http_authority_parse(value, arena, &authority, &error))
		return false;
	*host = value;
	return true;
}

static bool take_pair(struct span name, struct span value, struct arena *arena, struct hop *hop, unsigned *seen)
{
	unsigned bit = 0;
	bool good = true;

	if (span_equal_nocase(name, SPAN("for"))) {
		bit = 1;
		good = parse_node(value, false, hop);
		hop->bad = !good;
	} else if (span_equal_nocase(name, SPAN("proto"))) {
		bit = 2;
		(void)take_scheme(value, &hop->scheme);
	} else if (span_equal_nocase(name, SPAN("host"))) {
		bit = 4;
		(void)take_host(value, arena, &hop->host);
	} else if (span_equal_nocase(name, SPAN("by"))) {
		bit = 8;
	}
	if (*seen & bit)
		return false; /* "Each parameter MUST NOT occur more than once per field-value" (RFC 7239 4) */
	*seen |= bit;
	return good;
}

/* forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] ) (RFC 7239 4) */
static bool parse_element(struct span rest, struct arena *arena, struct hop *hop)
{
	unsigned seen = 0;

	*hop = (struct hop){.text = SPAN("unknown")};
	while (rest.len > 0) {
		struct span name, value;

		if (rest.at[0] == ';') {
			rest = span_from(rest, 1);
			continue;
		}
		if (!span_cut(rest, '=', &name, &rest) || !http_is_token(name) ||
		    !parse_value(&rest, arena, &value))
			return false;
		if (rest.len > 0 && rest.at[0] != ';')
			return false;
		if (!take_pair(name, value, arena, hop, &seen))
			return false;
	}
	return seen != 0;
}

static bool parse_x_member(struct span member, struct hop *hop)
{
	*hop = (struct hop){.text = SPAN("unknown")};
	hop->bad = !parse_node(member, true, hop);
	return true;
}

/* The members of all fields by this id, in order; the count alone when `hops` has no items. -1: the grammar is broken. */
static ptrdiff_t walk(const struct http_fields *fields, enum http_field_id id, struct arena *arena,
		      struct hop *items)
{
	const struct http_field *field;
	uint32_t index = 0;
	ptrdiff_t count = 0;

	while ((field = http_fields_next(fields, &index))) {
		struct span rest = field->value, member;

		if (field->id != id)
			continue;
		while (http_list_next(&rest, &member)) {
			if (items && id == HTTP_FIELD_FORWARDED && !parse_element(member, arena, &items[count]))
				return -1;
			if (items && id != HTTP_FIELD_FORWARDED && !parse_x_member(member, &items[count]))
				return -1;
			count++;
		}
	}
	return count;
}

static bool read_hops(const struct http_fields *fields, enum http_field_id id, struct arena *arena,
		      struct hops *hops)
{
	ptrdiff_t count = walk(fields, id, arena, NULL);

	*hops = (struct hops){.count = 0};
	if (count == 0)
		return true;
	hops->items = arena_zalloc(arena, (size_t)count, sizeof(*hops->items));
	if (!hops->items)
		return false;
	if (walk(fields, id, arena, hops->items) == count)
		hops->count = (size_t)count;
	return true;
}

/* The members from the client on, as X-Forwarded-For writes them. */
static bool write_chain(const struct hops *hops, size_t first, struct arena *arena, struct span *chain)
{
	size_t room = 0;
	uint8_t *out, *at;

	for (size_t i = first; i < hops->count; i++) {
		struct hop *hop = &hops->items[i];

		if (hop->address.family != ADDRESS_NONE)
			hop->text = address_text(&hop->address, arena);
		if (!hop->text.at)
			return false;
		room += hop->text.len + 2;
	}
	out = at = arena_alloc(arena, room);
	if (!out)
		return false;
	for (size_t i = first; i < hops->count; i++) {
		if (i > first)
			at = mempcpy(at, ", ", 2);
		at = mempcpy(at, hops->items[i].text.at, hops->items[i].text.len);
	}
	*chain = span_make(out, (size_t)(at - out));
	return true;
}

/* The member of a list that belongs to the client's hop when there is one for each hop; else the last, which the nearest hop wrote. */
static struct span member_for(const struct http_fields *fields, struct span name, size_t hops, size_t first)
{
	const struct http_field *field;
	struct span last = span_make(NULL, 0), chosen = last;
	uint32_t index = 0;
	size_t count = 0;

	while ((field = http_fields_next(fields, &index))) {
		struct span rest = field->value, member;

		if (!span_equal_nocase(field->name, name))
			continue;
		while (http_list_next(&rest, &member)) {
			if (count++ == first)
				chosen = member;
			last = member;
		}
	}
	return count == hops && chosen.at ? chosen : last;
}

static bool believe(const struct forwarded_policy *policy, const struct http_head *request,
		    struct arena *arena, struct forwarded_origin *origin)
{
	const struct http_fields *fields = &request->fields;
	bool rfc7239 = http_fields_count_id(fields, HTTP_FIELD_X_FORWARDED_FOR) == 0;
	struct address nearest = origin->client;
	struct hops hops;
	size_t first;

	if (!read_hops(fields, rfc7239 ? HTTP_FIELD_FORWARDED : HTTP_FIELD_X_FORWARDED_FOR, arena, &hops))
		return false;
	for (first = hops.count; first > 0 && forwarded_trusts(policy, &nearest); first--) {
		const struct hop *hop = &hops.items[first - 1];

		if (hop->bad)
			break;
		if (hop->address.family != ADDRESS_NONE)
			origin->client = address_unmap(&hop->address);
		nearest = hop->address;
	}
	if (!write_chain(&hops, first, arena, &origin->chain))
		return false;
	if (first < hops.count) {
		origin->client_text = hops.items[first].text;
		if (hops.items[first].scheme.len > 0)
			origin->scheme = hops.items[first].scheme;
		if (hops.items[first].host.len > 0)
			origin->host = hops.items[first].host;
	}
	if (rfc7239 && hops.count > 0)
		return true;
	(void)take_scheme(member_for(fields, SPAN("X-Forwarded-Proto"), hops.count, first), &origin->scheme);
	(void)take_host(member_for(fields, SPAN("X-Forwarded-Host"), hops.count, first), arena, &origin->host);
	return true;
}

bool forwarded_read(const struct forwarded_policy *policy, const struct address *peer,
		    const struct http_head *request, struct arena *arena, struct forwarded_origin *origin)
{
	*origin = (struct forwarded_origin){
		.client = address_unmap(peer),
		.client_text = address_text(peer, arena),
		.scheme = request->scheme,
		.host = request->authority,
	};
	if (!origin->client_text.at)
		return false;
	return !forwarded_trusts(policy, &origin->client) || believe(policy, request, arena, origin);
}

/* Drops what came. Other X-Forwarded-* of a trusted hop (-Port, -Prefix) are its to say. */
static void drop_incoming(struct http_fields *fields, bool keep_others)
{
	struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(fields, &index))) {
		bool other = mask_name_begins(field->name, SPAN("x-forwarded-")) ||
			     mask_name_is(field->name, SPAN("x-real-ip"));
		bool ours = mask_name_is(field->name, SPAN("forwarded")) ||
			    mask_name_is(field->name, SPAN("x-forwarded")) ||
			    mask_name_is(field->name, SPAN("x-forwarded-for")) ||
			    mask_name_is(field->name, SPAN("x-forwarded-proto")) ||
			    mask_name_is(field->name, SPAN("x-forwarded-host"));

		if (ours || (other && !keep_others))
			field->dropped = true;
	}
}

void forwarded_drop(struct http_fields *fields)
{
	drop_incoming(fields, false);
}

static bool write_x(const struct forwarded_origin *origin, struct span peer, struct http_fields *fields)
{
	struct span value = peer;

	if (origin->chain.len > 0)
		value = arena_join(fields->arena, (const struct span[]){origin->chain, SPAN(", "), peer}, 3);
	if (!value.at || !http_fields_add_known(fields, HTTP_FIELD_X_FORWARDED_FOR, value))
		return false;
	if (!http_fields_add_known(fields, HTTP_FIELD_X_FORWARDED_PROTO, origin->scheme))
		return false;
	return origin->host.len == 0 ||
	       http_fields_add_known(fields, HTTP_FIELD_X_FORWARDED_HOST, origin->host);
}

static uint8_t *append(uint8_t *at, struct span text)
{
	return text.len > 0 ? mempcpy(at, text.at, text.len) : at;
}

/* for=NODE;host=HOST;proto=SCHEME; what is no token is quoted (RFC 7239 4). */
static uint8_t *append_node(uint8_t *at, struct span node)
{
	bool ipv6 = span_find(node, ':') >= 0;

	at = append(at, ipv6 ? SPAN("for=\"[") : SPAN("for="));
	at = append(at, node);
	return append(at, ipv6 ? SPAN("]\"") : SPAN(""));
}

static uint8_t *append_said(uint8_t *at, struct span host, struct span scheme)
{
	if (host.len > 0) {
		bool token = http_is_token(host);

		at = append(at, token ? SPAN(";host=") : SPAN(";host=\""));
		at = append(at, host);
		at = append(at, token ? SPAN("") : SPAN("\""));
	}
	at = append(at, SPAN(";proto="));
	return append(at, scheme);
}

/*
 * The client's element carries what it asked for; ours, the last, what we were asked for. Those between say only who
 * they are.
 */
static bool write_rfc7239(const struct forwarded_origin *origin, struct span peer,
			  const struct http_head *request, struct http_fields *fields)
{
	struct span rest = origin->chain, node;
	size_t room = 256 + peer.len + origin->host.len + request->authority.len + origin->chain.len;
	bool first = true;
	uint8_t *out, *at;

	for (size_t i = 0; i < rest.len; i++)
		room += rest.at[i] == ',' ? 16 : 0;
	out = at = arena_alloc(fields->arena, room);
	if (!out)
		return false;
	while (http_list_next(&rest, &node)) {
		at = append_node(at, node);
		if (first)
			at = append_said(at, origin->host, origin->scheme);
		first = false;
		at = append(at, SPAN(", "));
	}
	at = append_node(at, peer);
	at = append_said(at, first ? origin->host : request->authority,
			 first ? origin->scheme : request->scheme);
	ENSURE((size_t)(at - out) <= room);
	return http_fields_add_known(fields, HTTP_FIELD_FORWARDED, span_make(out, (size_t)(at - out)));
}

bool forwarded_write(const struct forwarded_policy *policy, const struct address *peer,
		     const struct forwarded_origin *origin, struct http_head *request, struct arena *arena)
{
	struct http_fields *fields = &request->fields;
	struct address plain = address_unmap(peer);
	bool x = policy->style == FORWARDED_BOTH || policy->style == FORWARDED_X;
	bool rfc7239 = policy->style == FORWARDED_BOTH || policy->style == FORWARDED_RFC7239;
	struct span text = address_text(&plain, arena);

	if (!text.at)
		return false;
	drop_incoming(fields, x && forwarded_trusts(policy, &plain));
	if (x && !write_x(origin, text, fields))
		return false;
	return !rfc7239 || write_rfc7239(origin, text, request, fields);
}
