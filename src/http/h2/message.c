/*
 * HTTP/2 heads and trailers (RFC 9113 8.2, 8.3), field by field. Called by the connections, on the worker that owns them, while a header
 * block is decoded. What a complete head means is in message_end.c. Pure but for the arena.
 */
#include "http/char.h"
#include "http/h2/message_internal.h"

enum { FIELD_OVERHEAD = 32 }; /* RFC 9113 6.5.2, SETTINGS_MAX_HEADER_LIST_SIZE */

COLD bool h2_fail(struct h2_message *message, enum error_code code, const char *text)
{
	if (!error_is(&message->fault))
		message->fault = error_make(code, text);
	return false;
}

COLD bool h2_refuse(struct h2_message *message, const char *text)
{
	return h2_fail(message, message->response ? ERROR_UPSTREAM_MALFORMED : ERROR_MALFORMED_REQUEST, text);
}

COLD bool h2_too_large(struct h2_message *message, const char *text)
{
	return h2_fail(message, message->response ? ERROR_UPSTREAM_HEAD_TOO_LARGE : ERROR_HEAD_TOO_LARGE, text);
}

void h2_message_init(struct h2_message *message, enum h2_message_kind kind, struct http_head *head,
		     enum http_method request_method, struct arena *arena, const struct h2_message_rules *rules)
{
	ENSURE(kind != H2_MESSAGE_TRAILERS);
	*message = (struct h2_message){
		.head = head,
		.fields = &head->fields,
		.arena = arena,
		.rules = rules,
		.kind = (uint8_t)kind,
		.method = (uint8_t)request_method,
		.response = kind == H2_MESSAGE_RESPONSE,
	};
	*head = (struct http_head){.version = HTTP_VERSION_2};
	if (kind == H2_MESSAGE_REQUEST)
		head->scheme = rules->scheme;
	http_fields_init(&head->fields, arena);
}

void h2_message_begin_trailers(struct h2_message *message, struct http_fields *trailers)
{
	http_fields_init(trailers, message->arena);
	message->fields = trailers;
	message->kind = H2_MESSAGE_TRAILERS;
	message->size = 0;
	message->count = 0;
	if (h2_message_is_tunnel(message)) /* RFC 9113 8.5 */
		h2_refuse(message, "fields inside a tunnel");
}

/* The value's bytes (RFC 9110 5.5, RFC 9113 8.2.1), and no white space around it, which a reader of HTTP/1 would take away. */
static const char *value_check(struct span value)
{
	size_t at = 0;
	if (value.len == 0)
		return NULL;
	while (at < value.len) {
		while (value.len - at >= 8 && !http_char_8_have_control(value.at + at))
			at += 8;
		for (size_t end = size_min(value.len, at + 8); at < end; at++)
			if (!http_char_is(value.at[at], HTTP_CHAR_VALUE))
				return value.at[at] ? "a control byte in a field value" :
						      "NUL in a field value";
	}
	uint8_t first = value.at[0], last = value.at[value.len - 1];
	if (first == ' ' || first == '\t' || last == ' ' || last == '\t')
		return "white space at an end of a field value";
	return NULL;
}

/* RFC 9113 8.2.1 forbids a little less; a name that is no token could not be written to HTTP/1. */
static const char *name_check(struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (!http_char_is(name.at[i], HTTP_CHAR_TOKEN))
			return name.at[i] == ':' ? "a colon in a field name" :
						   "a byte in a field name that no name has";
		if (name.at[i] >= 'A' && name.at[i] <= 'Z')
			return "an uppercase letter in a field name";
	}
	return name.len ? NULL : "empty field name";
}

/* ---- pseudo-fields (RFC 9113 8.3) ---- */

struct pseudo {
	struct span name;
	uint8_t bit; /* enum h2_pseudo */
};

#define PSEUDO(text)                                                                                         \
	{                                                                                                    \
		(const uint8_t *)(text), sizeof(text) - 1                                                    \
	}

static const struct pseudo pseudos[] = {
	{PSEUDO(":path"), H2_PSEUDO_PATH},           {PSEUDO(":method"), H2_PSEUDO_METHOD},
	{PSEUDO(":scheme"), H2_PSEUDO_SCHEME},       {PSEUDO(":status"), H2_PSEUDO_STATUS},
	{PSEUDO(":authority"), H2_PSEUDO_AUTHORITY}, {PSEUDO(":protocol"), H2_PSEUDO_PROTOCOL},
};

static unsigned pseudo_identify(struct span name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(pseudos); i++)
		if (span_equal(name, pseudos[i].name))
			return pseudos[i].bit;
	return 0;
}

/* Why this pseudo-field may not come here, or NULL. */
static const char *pseudo_check(const struct h2_message *message, unsigned bit)
{
	if (message->kind == H2_MESSAGE_TRAILERS) /* RFC 9113 8.1 */
		return "a pseudo-field in trailers";
	if (bit == 0)
		return "an unknown pseudo-field";
	if (message->response != (bit == H2_PSEUDO_STATUS))
		return message->response ? "a pseudo-field of requests in a response" : ":status in a request";
	if (bit == H2_PSEUDO_PROTOCOL && !message->rules->extended_connect) /* RFC 8441 3 */
		return ":protocol, which was not offered";
	if (message->pseudo & bit)
		return "a repeated pseudo-field";
	if (message->regular)
		return "a pseudo-field after an ordinary field";
	return NULL;
}

static bool status_take(struct h2_message *message, struct span value)
{
	const uint8_t *digits = value.at;
	if (value.len != 3 || !ascii_is_digit(digits[0]) || !ascii_is_digit(digits[1]) ||
	    !ascii_is_digit(digits[2]))
		return h2_refuse(message, "the status is not a number of three digits");
	unsigned status = (digits[0] - '0') * 100u + (digits[1] - '0') * 10u + digits[2] - '0';
	if (status < 100 || status > 599) /* RFC 9110 15 */
		return h2_refuse(message, "the status is not between 100 and 599");
	if (status == 101) /* RFC 9113 8.6 */
		return h2_refuse(message, "a 101 response in HTTP/2");
	message->head->status = (uint16_t)status;
	return true;
}

static bool pseudo_keep(struct h2_message *message, unsigned bit, struct span value)
{
	struct http_head *head = message->head;
	struct span *members[] = {
		[H2_PSEUDO_METHOD] = &head->method_text, [H2_PSEUDO_SCHEME] = &head->scheme,
		[H2_PSEUDO_PATH] = &head->path,          [H2_PSEUDO_AUTHORITY] = &head->authority,
		[H2_PSEUDO_PROTOCOL] = &head->protocol,
	};
	struct span copy = arena_copy(message->arena, value);
	if (!copy.at)
		return h2_fail(message, ERROR_MEMORY, NULL);
	*members[bit] = copy;
	if (bit == H2_PSEUDO_METHOD)
		head->method = (uint8_t)http_method_identify(copy);
	return true;
}

static bool pseudo_take(struct h2_message *message, struct span name, struct span value)
{
	unsigned bit = pseudo_identify(name);
	const char *why = pseudo_check(message, bit);
	if (!why)
		why = value_check(value);
	if (!why && value.len == 0)
		why = bit == H2_PSEUDO_PATH ? "empty :path" : "an empty pseudo-field";
	if (why)
		return h2_refuse(message, why);
	if (!message->response && value.len > message->rules->request_line)
		return h2_fail(message, ERROR_TARGET_TOO_LONG, NULL);
	message->pseudo |= (uint8_t)bit;
	return bit == H2_PSEUDO_STATUS ? status_take(message, value) : pseudo_keep(message, bit, value);
}

/* ---- ordinary fields ---- */

/* RFC 9110 8.6: 1*DIGIT, once; repeated and list values are refused even when equal. */
static bool length_take(struct h2_message *message, struct span value)
{
	if (message->length_seen)
		return h2_refuse(message, "repeated Content-Length");
	message->length_seen = true;
	for (size_t i = 0; i < value.len; i++)
		if (!ascii_is_digit(value.at[i]))
			return h2_refuse(message, "Content-Length is not a number");
	if (value.len == 0)
		return h2_refuse(message, "empty Content-Length");
	if (!span_to_u64(value, &message->length) || message->length > INT64_MAX)
		return h2_refuse(message, "Content-Length is too large");
	return true;
}

static bool host_take(struct h2_message *message, struct span value)
{
	if (message->host.at)
		return h2_refuse(message, "repeated Host");
	if (value.len == 0) /* RFC 9113 8.3.1 */
		return h2_refuse(message, "empty Host");
	message->host = arena_copy(message->arena, value);
	return message->host.at ? true : h2_fail(message, ERROR_MEMORY, NULL);
}

/* `name` is static for an id that is known, and else copied with the value. */
static bool field_keep(struct h2_message *message, enum http_field_id id, struct span name, struct span value)
{
	bool known = id != HTTP_FIELD_OTHER;
	size_t copied = known ? 0 : name.len;
	uint8_t *room = arena_alloc(message->arena, copied + value.len);
	if (!room)
		return h2_fail(message, ERROR_MEMORY, NULL);
	if (copied)
		memcpy(room, name.at, copied);
	if (value.len)
		memcpy(room + copied, value.at, value.len);
	struct span kept = known ? h2_field_names[id] : span_make(room, copied);
	if (!http_fields_add(message->fields, id, kept, span_make(room + copied, value.len)))
		return h2_fail(message, ERROR_MEMORY, NULL);
	return true;
}

/* RFC 9113 8.2.3: the crumbs are joined when all have come. They are one field. */
static bool cookie_take(struct h2_message *message, struct span value)
{
	message->cookies++;
	message->cookie_size += value.len + 2;
	if (message->cookie_size + h2_field_names[HTTP_FIELD_COOKIE].len > message->rules->field_line)
		return h2_too_large(message, "cookies too large");
	return field_keep(message, HTTP_FIELD_COOKIE, (struct span){0}, value);
}

/* "close" is reserved (RFC 9110 18.4): a Connection: close of ours would nominate it. The key is not used here (RFC 8441 5.1). */
static bool is_left_out(const struct h2_message *message, struct span name)
{
	return span_equal(name, SPAN("close")) ||
	       ((message->pseudo & H2_PSEUDO_PROTOCOL) && span_equal(name, SPAN("sec-websocket-key")));
}

static bool trailer_take(struct h2_message *message, enum http_field_id id, struct span name, struct span value)
{
	if (id == HTTP_FIELD_TE) /* RFC 9113 8.2.2 */
		return h2_refuse(message, "TE in trailers");
	return http_field_may_trail(id, name) ? field_keep(message, id, name, value) : true;
}

static bool request_field_take(struct h2_message *message, enum http_field_id id, struct span name,
			       struct span value)
{
	switch (id) {
	case HTTP_FIELD_CONTENT_LENGTH:
		return length_take(message, value);
	case HTTP_FIELD_HOST:
		return host_take(message, value);
	case HTTP_FIELD_COOKIE:
		return cookie_take(message, value);
	case HTTP_FIELD_EXPECT:
		http_expect_read(value, &message->expect_continue, &message->expect_unknown);
		return true;
	case HTTP_FIELD_TE: /* RFC 9113 8.2.2 */
		if (!span_equal_nocase(value, SPAN("trailers")))
			return h2_refuse(message, "TE with a value other than trailers");
		return message->head->te_trailers = true;
	default:
		return field_keep(message, id, name, value);
	}
}

static bool response_field_take(struct h2_message *message, enum http_field_id id, struct span name,
				struct span value)
{
	if (id == HTTP_FIELD_CONTENT_LENGTH)
		return length_take(message, value);
	if (id == HTTP_FIELD_TE) /* RFC 9113 8.2.2 */
		return h2_refuse(message, "TE in a response");
	return field_keep(message, id, name, value);
}

/* Why a name or a value is none, or NULL. A known name is looked up only once. */
static const char *field_check(enum http_field_id id, struct span name, struct span value)
{
	const char *why = NULL;
	if (id == HTTP_FIELD_OTHER || !span_equal(name, h2_field_names[id]))
		why = name_check(name);
	if (!why && h2_field_is_hop(id)) /* RFC 9113 8.2.2 */
		why = id == HTTP_FIELD_TRANSFER_ENCODING ? "Transfer-Encoding in HTTP/2" :
							   "a field that belongs to one connection";
	return why ? why : value_check(value);
}

static bool field_take(struct h2_message *message, struct span name, struct span value)
{
	const struct h2_message_rules *rules = message->rules;
	enum http_field_id id = http_field_identify(name);
	const char *why = field_check(id, name, value);
	message->regular = true;
	if (why)
		return h2_refuse(message, why);
	if (name.len + 2 + value.len > rules->field_line)
		return h2_too_large(message, "field line too long");
	if (id != HTTP_FIELD_COOKIE || message->response || message->cookies == 0)
		message->count++;
	if (message->count > rules->fields)
		return h2_too_large(message, "too many fields");
	if (id == HTTP_FIELD_OTHER && is_left_out(message, name))
		return true;
	if (message->kind == H2_MESSAGE_TRAILERS)
		return trailer_take(message, id, name, value);
	return message->response ? response_field_take(message, id, name, value) :
				   request_field_take(message, id, name, value);
}

void h2_message_field(struct h2_message *message, struct span name, struct span value)
{
	message->size += name.len + value.len + FIELD_OVERHEAD;
	if (error_is(&message->fault))
		return;
	bool good = name.len && name.at[0] == ':' ? pseudo_take(message, name, value) :
						    field_take(message, name, value);
	if (good && message->size > message->rules->head)
		h2_too_large(message, NULL);
}

/* ---- ends ---- */

static bool message_settle(struct h2_message *message, bool ended)
{
	if (error_is(&message->fault))
		return false;
	if (message->kind == H2_MESSAGE_REQUEST)
		return h2_request_settle(message, ended);
	if (message->kind == H2_MESSAGE_RESPONSE)
		return h2_response_settle(message, ended);
	/* RFC 9113 8.1 */
	return ended ? true : h2_refuse(message, "trailers that do not end the stream");
}

bool h2_message_end(struct h2_message *message, bool ended, struct error *error)
{
	if (message_settle(message, ended))
		return true;
	*error = message->fault;
	return false;
}

bool h2_message_data(struct h2_message *message, size_t bytes)
{
	if (!message->measured)
		return true;
	if (bytes > message->left)
		return false;
	message->left -= bytes;
	return true;
}

bool h2_message_body_end(const struct h2_message *message)
{
	if (message->response && http_status_is_interim(message->head->status))
		return false;
	return !message->measured || message->left == 0;
}

bool h2_message_is_tunnel(const struct h2_message *message)
{
	unsigned status = message->head->status;
	if (message->response)
		return message->method == HTTP_METHOD_CONNECT && status >= 200 && status < 300;
	return message->extended || message->head->method == HTTP_METHOD_CONNECT;
}
