/*
 * The masks of forward listeners, applied; and Via. Any thread.
 */
#include "mask/forward_mask_internal.h"

#include "http/target.h"
#include "mask/field_order.h"
#include "mask/own_address.h"

enum forward_mask_kind forward_mask_kind(const struct forward_mask *mask)
{
	return mask->kind;
}

bool forward_mask_cuts_referer(const struct forward_mask *mask)
{
	return mask->referer == FORWARD_REFERER_ORIGIN || mask->referer == FORWARD_REFERER_NONE;
}

/* ---- what is dropped ---- */

/* By name, and by what it says of the client; own: NULL where that is not looked at. */
static void drop_fields(const struct forward_mask *mask, const struct own_address *own,
			struct http_fields *fields)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		struct http_field *field = &fields->items[i];
		if (field->dropped)
			continue;
		uint8_t treatment = name_set_find(mask->requests, field->id, field->name);
		field->dropped = treatment == FIELD_DROP || (!treatment && mask->allowlist) ||
				 (own && own_address_in(own, field->value));
	}
}

/* What to look for in values; NULL: nothing. `room` is where it is kept. */
static const struct own_address *own_address(const struct forward_mask *mask, const struct address *client,
					     struct own_address *room)
{
	return mask->client_address && own_address_init(client, room) ? room : NULL;
}

bool forward_mask_is_told(const struct forward_mask *mask, const struct address *client, struct span path)
{
	struct own_address room;
	const struct own_address *own = own_address(mask, client, &room);

	return own && own_address_in(own, path);
}

void forward_mask_trailers(const struct forward_mask *mask, const struct address *client,
			   struct http_fields *trailers)
{
	struct own_address room;

	drop_fields(mask, own_address(mask, client, &room), trailers);
}

/* ---- Referer ---- */

/* "https://a.test:8443/b?c": up to the path, without userinfo; empty: not of that form. */
static struct span origin_of(struct span url, struct span *scheme, struct span *authority)
{
	ptrdiff_t slashes = span_search(url, SPAN("://"));
	size_t start, end;

	if (slashes <= 0)
		return (struct span){0};
	*scheme = span_first(url, (size_t)slashes);
	if (!span_equal_nocase(*scheme, SPAN("http")) && !span_equal_nocase(*scheme, SPAN("https")))
		return (struct span){0};
	start = end = (size_t)slashes + 3;
	for (; end < url.len && url.at[end] != '/' && url.at[end] != '?' && url.at[end] != '#'; end++)
		if (url.at[end] == '@')
			start = end + 1;
	*authority = span_make(url.at + start, end - start);
	return span_first(url, end);
}

static uint16_t port_of(const struct http_authority *host, struct span scheme)
{
	if (host->port)
		return host->port;
	return http_scheme_port(span_equal_nocase(scheme, SPAN("https")) ? SPAN("https") : SPAN("http"));
}

static bool is_same_origin(const struct http_head *request, struct span scheme,
			   const struct http_authority *authority)
{
	return span_equal_nocase(scheme, request->scheme) && span_equal(authority->host, request->host.host) &&
	       port_of(authority, scheme) == port_of(&request->host, request->scheme);
}

/* False: out of memory. */
static bool trim_referer(enum forward_referer how, const struct http_head *request, struct http_field *field)
{
	struct span scheme = {0}, authority = {0};
	struct http_authority host = {0};
	struct arena *arena = request->fields.arena;
	struct error error = ERROR_OK;

	if (!origin_of(field->value, &scheme, &authority).len ||
	    !http_authority_parse(authority, arena, &host, &error)) {
		field->dropped = true; /* what is not understood is not trimmed either */
		return true;
	}
	if (how == FORWARD_REFERER_SAME_ORIGIN) {
		field->dropped = !is_same_origin(request, scheme, &host);
		return true;
	}
	const struct span parts[] = {scheme, SPAN("://"), authority, SPAN("/")};
	field->value = arena_join(arena, parts, ARRAY_LENGTH(parts));
	return field->value.at != NULL;
}

/* ---- what is set ---- */

static bool trim_referers(const struct forward_mask *mask, struct http_head *request)
{
	struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(&request->fields, &index)))
		if (field->id == HTTP_FIELD_REFERER && !trim_referer(mask->referer, request, field))
			return false;
	return true;
}

/* The steps that are off by default. */
static bool apply_steps(const struct forward_mask *mask, struct http_head *request)
{
	struct http_fields *fields = &request->fields;

	if (mask->referer != FORWARD_REFERER_FULL && !trim_referers(mask, request))
		return false;
	for (unsigned i = 0; i < mask->set_count; i++) {
		const struct forward_set *set = &mask->set[i];
		if (!http_fields_set(fields, http_field_identify(set->name), set->name, set->value))
			return false;
	}
	return true;
}

/* ---- what is told ---- */

/* One field line of all that are there by this id, with `member` at the end (RFC 9110 5.3). */
static bool append_member(struct http_fields *fields, enum http_field_id id, struct span member)
{
	const struct http_field *field;
	uint32_t index = 0;
	size_t room = member.len;
	uint8_t *out, *at;

	while ((field = http_fields_next(fields, &index)))
		room += field->id == id ? field->value.len + 2 : 0;
	out = at = arena_alloc(fields->arena, room);
	if (!out)
		return false;
	index = 0;
	while ((field = http_fields_next(fields, &index))) {
		if (field->id != id || field->value.len == 0)
			continue;
		at = mempcpy(at, field->value.at, field->value.len);
		at = mempcpy(at, ", ", 2);
	}
	if (member.len > 0)
		at = mempcpy(at, member.at, member.len);
	return http_fields_set(fields, id, http_field_name(id), span_make(out, (size_t)(at - out)));
}

static bool append_client(struct http_fields *fields, const struct address *client)
{
	struct address address = address_unmap(client);
	char ip[ADDRESS_TEXT];
	struct span text, node;

	if (address.family != ADDRESS_V4 && address.family != ADDRESS_V6)
		return true;
	text = span_make(ip, address_format_ip(&address, ip));
	node = arena_format(fields->arena, address.family == ADDRESS_V6 ? "for=\"[%.*s]\"" : "for=%.*s",
			    SPAN_ARG(text));
	if (!node.at || !append_member(fields, HTTP_FIELD_X_FORWARDED_FOR, text))
		return false;
	return append_member(fields, HTTP_FIELD_FORWARDED, node);
}

static bool add_trace(const struct forward_mask *mask, const struct address *client, struct span pseudonym,
		      struct http_head *request)
{
	if (mask->kind == FORWARD_ELITE)
		return true;
	if (mask->kind == FORWARD_TRANSPARENT && !append_client(&request->fields, client))
		return false;
	return via_append(&request->fields, (enum http_version)request->version, pseudonym);
}

bool forward_mask_request(const struct forward_mask *mask, const struct address *client,
			  struct span pseudonym, struct http_head *request)
{
	struct own_address room;

	drop_fields(mask, own_address(mask, client, &room), &request->fields);
	if (mask->steps && !apply_steps(mask, request))
		return false;
	if (!add_trace(mask, client, pseudonym, request))
		return false;
	return !mask->order || field_order_apply(&request->fields);
}

void forward_mask_hide(const struct forward_mask *mask, struct http_fields *fields)
{
	struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(fields, &index)))
		field->dropped = name_set_find(mask->responses, field->id, field->name) == FIELD_DROP;
}

bool forward_mask_response(const struct forward_mask *mask, struct span pseudonym, struct http_head *response)
{
	struct http_fields *fields = &response->fields;

	forward_mask_hide(mask, fields);
	if (mask->kind == FORWARD_ELITE)
		return true;
	return via_append(fields, (enum http_version)response->version, pseudonym);
}

/* ---- Via ---- */

static struct span version_text(enum http_version version)
{
	switch (version) {
	case HTTP_VERSION_SOCKS4: /* not reached: it has no fields */
	case HTTP_VERSION_SOCKS5:
		break;
	case HTTP_VERSION_10:
		return SPAN("1.0");
	case HTTP_VERSION_11:
		return SPAN("1.1");
	case HTTP_VERSION_2:
		return SPAN("2");
	case HTTP_VERSION_3:
		return SPAN("3");
	}
	return SPAN("1.1");
}

bool via_append(struct http_fields *fields, enum http_version version, struct span pseudonym)
{
	const struct span parts[] = {version_text(version), SPAN(" "), pseudonym};
	struct span member = arena_join(fields->arena, parts, ARRAY_LENGTH(parts));

	return member.at && append_member(fields, HTTP_FIELD_VIA, member);
}

/* The next member of a Via: commas within comments do not count, comments nest and quote (RFC 9110 5.6.5). */
static bool via_next(struct span *rest, struct span *member)
{
	size_t at = 0, depth = 0;

	if (rest->len == 0)
		return false;
	for (; at < rest->len; at++) {
		uint8_t byte = rest->at[at];

		if (byte == ',' && depth == 0)
			break;
		if (byte == '\\' && depth > 0)
			at++;
		else if (byte == '(')
			depth++;
		else if (byte == ')' && depth > 0)
			depth--;
	}
	at = size_min(at, rest->len);
	*member = span_trim(span_first(*rest, at));
	*rest = span_from(*rest, at < rest->len ? at + 1 : at);
	return true;
}

/* received-protocol RWS received-by [RWS comment] */
static struct span received_by(struct span member)
{
	size_t at = 0, start;

	while (at < member.len && member.at[at] != ' ' && member.at[at] != '\t')
		at++;
	while (at < member.len && (member.at[at] == ' ' || member.at[at] == '\t'))
		at++;
	start = at;
	while (at < member.len && member.at[at] != ' ' && member.at[at] != '\t' && member.at[at] != '(')
		at++;
	return span_make(member.at + start, at - start);
}

bool via_has(const struct http_fields *fields, struct span pseudonym)
{
	const struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(fields, &index))) {
		struct span rest = field->value, member;

		if (field->id != HTTP_FIELD_VIA)
			continue;
		while (via_next(&rest, &member)) {
			if (span_equal_nocase(received_by(member), pseudonym))
				return true;
		}
	}
	return false;
}
