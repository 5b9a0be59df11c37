/*
 * HTTP/1 heads (RFC 9112 2 to 5): the first line, the fields, and what they mean together. Called by the connections, on the worker
 * that owns them. Pure but for the arena.
 */
#include "http/h1/parse_internal.h"
#include "http/char.h"
#include "http/target.h"

bool h1_fail(struct h1_message *message, enum error_code code, const char *text)
{
	*message->error = error_make(code, text);
	return false;
}

bool h1_refuse(struct h1_message *message, const char *text)
{
	return h1_fail(message, message->response ? ERROR_UPSTREAM_MALFORMED : ERROR_MALFORMED_REQUEST, text);
}

bool h1_too_large(struct h1_message *message, const char *text)
{
	return h1_fail(message, message->response ? ERROR_UPSTREAM_HEAD_TOO_LARGE : ERROR_HEAD_TOO_LARGE, text);
}

/* The first line, without its CRLF. */
static bool first_line(struct h1_message *message, struct h1_cursor *cursor, struct span *line)
{
	size_t len = (size_t)(cursor->end - cursor->at);
	const uint8_t *lf = len ? memchr(cursor->at, '\n', len) : NULL;
	if (!lf)
		return h1_refuse(message, "a first line without its end");
	if (lf == cursor->at || lf[-1] != '\r')
		return h1_refuse(message, "bare LF as the end of the first line");
	*line = span_make(cursor->at, (size_t)(lf - 1 - cursor->at));
	cursor->at = lf + 1;
	if (line->len <= message->limits->request_line)
		return true;
	if (message->response)
		return h1_too_large(message, "status line too long");
	return h1_fail(message, ERROR_TARGET_TOO_LONG, NULL);
}

/* RFC 9112 2.3: "HTTP/" DIGIT "." DIGIT. Returns the major version, or -1. A higher minor is read as 1.1 (RFC 9110 2.5). */
static int version_parse(struct span text, uint8_t *version)
{
	if (text.len != 8 || memcmp(text.at, "HTTP/", 5) != 0 || text.at[6] != '.')
		return -1;
	if (!ascii_is_digit(text.at[5]) || !ascii_is_digit(text.at[7]))
		return -1;
	*version = text.at[7] == '0' ? HTTP_VERSION_10 : HTTP_VERSION_11;
	return text.at[5] - '0';
}

/* RFC 9112 3: method SP request-target SP HTTP-version, and nothing else. */
static bool request_line_parse(struct h1_message *message, struct span line)
{
	struct http_head *head = message->head;
	struct span target, version;
	head->method_text = span_first(line, http_char_run(line, HTTP_CHAR_TOKEN));
	struct span rest = span_from(line, head->method_text.len);
	if (line.len == 0)
		return h1_refuse(message, "an empty line instead of a request line");
	if (head->method_text.len == 0)
		return h1_refuse(message, "no method at the start of the request line");
	if (rest.len == 0 || rest.at[0] != ' ')
		return h1_refuse(message, "a method with a byte that no method has, or no target");
	head->method = (uint8_t)http_method_identify(head->method_text);
	bool versioned = span_cut(span_from(rest, 1), ' ', &target, &version);
	head->path = target; /* for the log, should it be refused */
	if (!versioned)
		return h1_refuse(message, "no version in the request line");
	if (target.len == 0)
		return h1_refuse(message, "more than one space in the request line");
	int major = version_parse(version, &head->version);
	if (major < 0)
		return h1_refuse(message, "malformed version, or a space too many in the request line");
	if (major != 1)
		return h1_fail(message, ERROR_VERSION_UNSUPPORTED, NULL);
	return http_target_parse(target, message->arena, head, message->error);
}

/* RFC 9112 4: HTTP-version SP status-code SP [ reason-phrase ]; the last SP is often forgotten when there is no reason. */
static bool status_line_parse(struct h1_message *message, struct span line)
{
	struct http_head *head = message->head;
	if (line.len < 12 || line.at[8] != ' ')
		return h1_refuse(message, "malformed status line");
	if (version_parse(span_first(line, 8), &head->version) != 1)
		return h1_refuse(message, "the response is not HTTP/1");
	const uint8_t *digits = line.at + 9;
	if (!ascii_is_digit(digits[0]) || !ascii_is_digit(digits[1]) || !ascii_is_digit(digits[2]))
		return h1_refuse(message, "the status is not a number of three digits");
	head->status = (uint16_t)((digits[0] - '0') * 100 + (digits[1] - '0') * 10 + digits[2] - '0');
	if (head->status < 100 || head->status > 599) /* RFC 9110 15 */
		return h1_refuse(message, "the status is not between 100 and 599");
	if (line.len > 12 && line.at[12] != ' ')
		return h1_refuse(message, "no space between the status and the reason");
	head->reason = span_from(line, line.len > 12 ? 13 : 12);
	if (!http_is_field_value(head->reason))
		return h1_refuse(message, "a control byte in the reason");
	return true;
}

/* Sorts one field: for the codec itself, for one connection only, or for the message. */
static bool field_take(struct h1_message *message, struct span name, struct span value)
{
	enum http_field_id id = http_field_identify(name);
	switch (id) {
	case HTTP_FIELD_CONTENT_LENGTH:
		message->lengths++;
		message->length = value;
		return true;
	case HTTP_FIELD_TRANSFER_ENCODING:
		h1_coding_read(message, value);
		return true;
	case HTTP_FIELD_CONNECTION:
		return h1_connection_read(message, value);
	case HTTP_FIELD_UPGRADE:
		return h1_upgrade_read(message, value);
	case HTTP_FIELD_TE:
		message->te_trailers |= http_list_has(value, SPAN("trailers"));
		return true;
	case HTTP_FIELD_KEEP_ALIVE:
	case HTTP_FIELD_PROXY_CONNECTION:
	case HTTP_FIELD_HTTP2_SETTINGS:
		return true;
	case HTTP_FIELD_HOST:
		if (message->response)
			break;
		message->hosts++;
		message->host = value;
		return true;
	case HTTP_FIELD_EXPECT:
		if (message->response)
			break;
		http_expect_read(value, &message->expect_continue, &message->expect_unknown);
		return true;
	case HTTP_FIELD_OTHER:
		if (name.len == 5 && span_equal_nocase(name, SPAN("Close")))
			return true; /* reserved (RFC 9110 18.4): a Connection: close of ours would nominate it */
		break;
	default:
		break;
	}
	if (!http_fields_add(&message->head->fields, id, name, value))
		return h1_fail(message, ERROR_MEMORY, NULL);
	return true;
}

static bool fields_parse(struct h1_message *message, struct h1_cursor *cursor)
{
	const struct h1_limits *limits = message->limits;
	struct span name, value;
	unsigned count = 0;
	while (!h1_empty_line(cursor)) {
		const uint8_t *start = cursor->at;
		if (start == cursor->end)
			return h1_refuse(message, "a head without its end");
		if (++count > limits->fields)
			return h1_too_large(message, "too many fields");
		const char *why = h1_field_line(cursor, &name, &value);
		if (why)
			return h1_refuse(message, why);
		if ((size_t)(cursor->at - start) > (size_t)limits->field_line + 2)
			return h1_too_large(message, "field line too long");
		if (!field_take(message, name, value))
			return false;
	}
	if (cursor->at != cursor->end)
		return h1_refuse(message, "bytes after the end of the head");
	return true;
}

/* RFC 9112 3.2: exactly one valid Host in HTTP/1.1; RFC 9112 3.2.2, 3.2.3: the target's authority replaces it. */
static bool host_settle(struct h1_message *message)
{
	struct http_head *head = message->head, ignored;
	bool from_target = head->target_form == HTTP_TARGET_ABSOLUTE ||
			   head->target_form == HTTP_TARGET_AUTHORITY;
	if (message->hosts > 1)
		return h1_refuse(message, "repeated Host");
	if (message->hosts == 0)
		return head->version == HTTP_VERSION_10 ? true : h1_refuse(message, "no Host");
	if (message->host.len == 0)
		return h1_refuse(message, "empty Host");
	if (http_authority_read(message->host, message->arena, from_target ? &ignored : head, message->error))
		return true;
	if (message->error->code == ERROR_BAD_TARGET)
		message->error->code = ERROR_MALFORMED_REQUEST;
	return false;
}

/* RFC 9110 10.1.1: ignored in HTTP/1.0, and without content there is nothing to wait for. */
static bool expect_settle(struct h1_message *message)
{
	struct http_head *head = message->head;
	if (head->version == HTTP_VERSION_10)
		return true;
	if (message->expect_unknown)
		return h1_fail(message, ERROR_EXPECTATION_FAILED, NULL);
	head->expect_continue = message->expect_continue && http_head_has_body(head);
	return true;
}

bool h1_request_parse(struct span bytes, struct arena *arena, const struct h1_limits *limits,
		      struct span scheme, struct http_head *head, struct h1_framing *framing,
		      struct error *error)
{
	struct h1_cursor cursor = {bytes.at, bytes.at + bytes.len};
	struct h1_message message = {
		.arena = arena, .limits = limits, .head = head, .framing = framing, .error = error};
	struct span line = {0};
	*head = (struct http_head){.version = HTTP_VERSION_11, .scheme = scheme};
	*framing = (struct h1_framing){0};
	http_fields_init(&head->fields, arena);
	if (!first_line(&message, &cursor, &line) || !request_line_parse(&message, line))
		return false;
	if (bytes.len > limits->head)
		return h1_too_large(&message, NULL);
	if (!fields_parse(&message, &cursor))
		return false;
	h1_persistence_settle(&message);
	return host_settle(&message) && h1_request_frame(&message) && expect_settle(&message);
}

/* RFC 9110 7.8, 15.2.2: a 101 names the one protocol that follows; a 426 those that would do. */
static bool switch_settle(struct h1_message *message)
{
	struct http_head *head = message->head;
	if (head->status == 101 && (!message->framing->upgrade || message->protocols != 1))
		return h1_fail(message, ERROR_UPSTREAM_UPGRADE,
			       "a 101 response that does not name one protocol");
	if (head->status != 101 && head->status != 426) {
		head->protocol = (struct span){0};
		message->framing->upgrade = false;
	}
	return true;
}

bool h1_response_parse(struct span bytes, struct arena *arena, const struct h1_limits *limits,
		       enum http_method request_method, struct http_head *head, struct h1_framing *framing,
		       struct error *error)
{
	struct h1_cursor cursor = {bytes.at, bytes.at + bytes.len};
	struct h1_message message = {.response = true,
				     .arena = arena,
				     .limits = limits,
				     .head = head,
				     .framing = framing,
				     .error = error};
	struct span line = {0};
	*head = (struct http_head){.version = HTTP_VERSION_11};
	*framing = (struct h1_framing){0};
	http_fields_init(&head->fields, arena);
	if (!first_line(&message, &cursor, &line) || !status_line_parse(&message, line))
		return false;
	if (bytes.len > limits->head)
		return h1_too_large(&message, NULL);
	if (!fields_parse(&message, &cursor))
		return false;
	h1_persistence_settle(&message);
	return switch_settle(&message) && h1_response_frame(&message, request_method);
}
