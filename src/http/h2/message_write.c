/*
 * HTTP/2 field lists from heads (RFC 9113 8.2, 8.3). Called by the connections, on the worker that owns them. What is written was checked
 * where it came in: by a parser or by the configuration.
 */
#include "http/h2/message_write.h"
#include "http/h2/message_internal.h"
#include "http/websocket.h"

enum {
	ADDED_MOST = 9,    /* pseudo-fields and what framing needs */
	COOKIE_SHORT = 20, /* bytes; shorter ones could be guessed by their size (RFC 7541 7.1.3) */
	DECIMAL_MOST = 20,
};

struct writer {
	struct arena *arena;
	struct h2_fields *list;
};

static bool writer_init(struct writer *writer, struct arena *arena, const struct http_fields *fields,
			struct h2_fields *list)
{
	*writer = (struct writer){arena, list};
	list->count = 0;
	list->items = arena_alloc(arena, (ADDED_MOST + (size_t)fields->count) * sizeof(*list->items));
	return list->items != NULL;
}

static void put(struct writer *writer, struct span name, struct span value)
{
	writer->list->items[writer->list->count++] = (struct h2_field){.name = name, .value = value};
}

static bool put_length(struct writer *writer, uint64_t length)
{
	char digits[DECIMAL_MOST], *at = digits + DECIMAL_MOST;
	do
		*--at = (char)('0' + length % 10);
	while (length /= 10);
	struct span text = arena_copy(writer->arena, span_make(at, (size_t)(digits + DECIMAL_MOST - at)));
	put(writer, h2_field_names[HTTP_FIELD_CONTENT_LENGTH], text);
	return text.at != NULL;
}

/* As it is when it is in lower case already. NULL at: out of memory. */
static struct span lowered(struct span name, struct arena *arena)
{
	size_t upper = 0;
	while (upper < name.len && ascii_lower(name.at[upper]) == name.at[upper])
		upper++;
	if (upper == name.len)
		return name;
	uint8_t *copy = arena_alloc(arena, name.len);
	for (size_t i = 0; copy && i < name.len; i++)
		copy[i] = ascii_lower(name.at[i]);
	return span_make(copy, name.len);
}

static bool is_sensitive(const struct http_field *field)
{
	return field->id == HTTP_FIELD_AUTHORIZATION || field->id == HTTP_FIELD_PROXY_AUTHORIZATION ||
	       (field->id == HTTP_FIELD_COOKIE && field->value.len < COOKIE_SHORT);
}

/* What belongs to one connection, and what is written anew; no codec leaves any of it in a head. */
static bool is_framing(enum http_field_id id, bool request)
{
	return h2_field_is_hop(id) || id == HTTP_FIELD_TE || id == HTTP_FIELD_CONTENT_LENGTH ||
	       (request && (id == HTTP_FIELD_HOST || id == HTTP_FIELD_EXPECT));
}

/* `omitted`: by name, or empty. */
static bool put_fields(struct writer *writer, const struct http_fields *fields, bool request,
		       struct span omitted)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct http_field *field = &fields->items[i];
		if (field->dropped || is_framing(field->id, request))
			continue;
		struct span name = h2_field_names[field->id];
		if (field->id == HTTP_FIELD_OTHER) {
			if (omitted.len && span_equal_nocase(field->name, omitted))
				continue;
			name = lowered(field->name, writer->arena);
			if (!name.at)
				return false;
		}
		put(writer, name, span_trim(field->value)); /* RFC 9113 8.2.1 */
		writer->list->items[writer->list->count - 1].sensitive = is_sensitive(field);
	}
	return true;
}

bool h2_request_is_websocket(const struct http_head *head)
{
	return head->method == HTTP_METHOD_GET && head->protocol.len && !http_head_has_body(head) &&
	       http_list_has(head->protocol, SPAN("websocket"));
}

bool h2_request_list(const struct http_head *head, bool extended, struct arena *arena, struct h2_fields *list)
{
	bool connect = head->method == HTTP_METHOD_CONNECT;
	struct writer writer;
	if (!writer_init(&writer, arena, &head->fields, list))
		return false;
	put(&writer, SPAN(":method"), extended ? SPAN("CONNECT") : head->method_text);
	if (!connect) { /* RFC 9113 8.5 */
		put(&writer, SPAN(":scheme"), head->scheme);
		put(&writer, SPAN(":path"), head->path);
	}
	if (head->authority.len) /* RFC 9113 8.3.1: never empty */
		put(&writer, SPAN(":authority"), head->authority);
	if (extended)
		put(&writer, SPAN(":protocol"), SPAN("websocket"));
	struct span omitted = extended ? SPAN("sec-websocket-key") : (struct span){0};
	if (!put_fields(&writer, &head->fields, true, omitted))
		return false;
	if (head->te_trailers)
		put(&writer, h2_field_names[HTTP_FIELD_TE], SPAN("trailers"));
	if (connect || extended)
		return true;
	if (head->expect_continue && http_head_has_body(head))
		put(&writer, h2_field_names[HTTP_FIELD_EXPECT], SPAN("100-continue"));
	return head->body == HTTP_BODY_LENGTH ? put_length(&writer, head->length) : true;
}

/* RFC 9110 8.6. */
static bool response_has_length(const struct http_head *head)
{
	if (head->status < 200 || head->status == 204)
		return false;
	return head->body == HTTP_BODY_LENGTH || (head->body == HTTP_BODY_NONE && head->length_known);
}

bool h2_response_list(const struct http_head *head, struct span date, struct arena *arena,
		      struct h2_fields *list)
{
	bool switched = head->status == 101, interim = http_status_is_interim(head->status);
	unsigned status = switched ? 200 : head->status;
	struct writer writer;
	if (!writer_init(&writer, arena, &head->fields, list))
		return false;
	const char digits[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
			       (char)('0' + status % 10)};
	struct span text = arena_copy(arena, span_make(digits, sizeof(digits)));
	if (!text.at)
		return false;
	put(&writer, SPAN(":status"), text);
	if (!interim && date.len && !http_fields_find(&head->fields, HTTP_FIELD_DATE)) {
		date = arena_copy(arena, date);
		put(&writer, h2_field_names[HTTP_FIELD_DATE], date);
		if (!date.at)
			return false;
	}
	struct span omitted = switched ? SPAN("sec-websocket-accept") : (struct span){0};
	if (!put_fields(&writer, &head->fields, false, omitted))
		return false;
	return response_has_length(head) ? put_length(&writer, head->length) : true;
}

bool h2_trailers_list(const struct http_fields *trailers, struct arena *arena, struct h2_fields *list)
{
	struct writer writer;
	return writer_init(&writer, arena, trailers, list) &&
	       put_fields(&writer, trailers, false, (struct span){0});
}

bool h2_response_switch(struct http_head *response, const struct http_head *request, struct arena *arena)
{
	const struct http_field *key = http_fields_find_name(&request->fields, SPAN("sec-websocket-key"));
	response->status = 101;
	response->reason = (struct span){0};
	response->protocol = SPAN("websocket");
	http_fields_drop_name(&response->fields, SPAN("sec-websocket-accept"));
	if (!key)
		return true;
	char accept[WEBSOCKET_ACCEPT_LENGTH];
	if (!websocket_accept_make(key->value, accept))
		return false;
	struct span copy = arena_copy(arena, span_make(accept, sizeof(accept)));
	return copy.at &&
	       http_fields_add(&response->fields, HTTP_FIELD_OTHER, SPAN("Sec-WebSocket-Accept"), copy);
}
