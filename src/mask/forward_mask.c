/*
 * The masks of forward listeners, and Via. Any thread.
 */
#include "mask/forward_mask.h"

#include "mask/name.h"

/* Fields that carry a client's address or number, or tell of a proxy. "-" at the end: everything that begins so. */
static const char *const telling[] = {
	"forwarded",
	"forwarded-",
	"x-forwarded",
	"x-forwarded-",
	"x-original-forwarded-",
	"x-originally-forwarded-",
	"http-forwarded",
	"http-x-forwarded-",
	"http-client-ip",
	"http-via",
	"via",
	"x-via",
	"proxy-",
	"x-proxy",
	"x-proxy-",
	"x-real-ip",
	"real-ip",
	"client-ip",
	"x-client-ip",
	"x-clientip",
	"x-client-address",
	"true-client-ip",
	"true-client-",
	"cf-connecting-",
	"cf-pseudo-ipv4",
	"cf-ipcountry",
	"cf-visitor",
	"cf-ray",
	"fastly-client-ip",
	"fastly-client",
	"cdn-loop",
	"cdn-src-ip",
	"incap-client-ip",
	"x-cluster-client-ip",
	"x-remote-",
	"remote-addr",
	"x-originating-ip",
	"x-azure-clientip",
	"x-azure-socketip",
	"x-envoy-external-address",
	"x-envoy-peer-metadata",
	"x-appengine-user-ip",
	"x-coming-from",
	"coming-from",
	"x-bluecoat-via",
	"x-squid-",
	"xroxy-connection",
	"x-msisdn",
	"x-nokia-",
	"x-up-",
	"x-h3g-",
	"x-imsi",
	"x-imei",
	"msisdn",
	"x-wsb-",
	"x-network-info",
	"x-sourceip",
	"source-ip",
	"wl-proxy-client-ip",
	"wl-proxy-",
	"z-forwarded-for",
};

bool forward_mask_names(struct span name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(telling); i++) {
		struct span row = span_of(telling[i]);

		if (row.at[row.len - 1] == '-' ? mask_name_begins(name, row) : mask_name_is(name, row))
			return true;
	}
	return false;
}

static void drop_telling(struct http_fields *fields, bool keep_via)
{
	struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(fields, &index))) {
		if (keep_via && field->id == HTTP_FIELD_VIA)
			continue;
		if (forward_mask_names(field->name))
			field->dropped = true;
	}
}

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

bool forward_mask_request(enum forward_mask_kind mask, const struct address *client, struct span pseudonym,
			  struct http_head *request)
{
	struct http_fields *fields = &request->fields;

	http_fields_drop_id(fields, HTTP_FIELD_PROXY_AUTHORIZATION);
	http_fields_drop_id(fields, HTTP_FIELD_PROXY_CONNECTION);
	switch (mask) {
	case FORWARD_TRANSPARENT:
		return append_client(fields, client) &&
		       via_append(fields, (enum http_version)request->version, pseudonym);
	case FORWARD_ANONYMOUS:
		drop_telling(fields, true);
		return via_append(fields, (enum http_version)request->version, pseudonym);
	case FORWARD_ELITE:
		drop_telling(fields, false);
		return true;
	}
	return true;
}

void forward_mask_trailers(enum forward_mask_kind mask, struct http_fields *trailers)
{
	if (mask != FORWARD_TRANSPARENT)
		drop_telling(trailers, false);
}

bool forward_mask_response(enum forward_mask_kind mask, struct span pseudonym, struct http_head *response)
{
	struct http_fields *fields = &response->fields;

	/* They are between a client and its next proxy (RFC 9110 11.7); an origin's would make the client show us credentials. */
	http_fields_drop_id(fields, HTTP_FIELD_PROXY_AUTHENTICATE);
	http_fields_drop_id(fields, HTTP_FIELD_PROXY_AUTHENTICATION_INFO);
	http_fields_drop_id(fields, HTTP_FIELD_PROXY_CONNECTION);
	if (mask == FORWARD_ELITE)
		return true;
	return via_append(fields, (enum http_version)response->version, pseudonym);
}

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
