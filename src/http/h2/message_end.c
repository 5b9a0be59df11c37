/*
 * What a complete HTTP/2 head means: its target, its host, and how long its body is (RFC 9113 8.1.1, 8.3, 8.5; RFC 8441 4). Called by
 * message.c only. Pure but for the arena.
 */
#include "http/h2/message_internal.h"
#include "http/target.h"

/* ---- the target ---- */

/* The fault that a reader of targets has left in `fault`; `code` for a malformed one. */
static bool target_fail(struct h2_message *message, enum error_code code)
{
	if (message->fault.code == ERROR_BAD_TARGET)
		message->fault.code = (uint8_t)code;
	return false;
}

/* RFC 9113 8.3.1: the scheme as http_target_parse would spell it. */
static bool scheme_settle(struct h2_message *message)
{
	struct http_head *head = message->head;
	if (span_equal_nocase(head->scheme, SPAN("https")))
		head->scheme = SPAN("https");
	else if (span_equal_nocase(head->scheme, SPAN("http")))
		head->scheme = SPAN("http");
	else
		return h2_fail(message, ERROR_BAD_TARGET, "the scheme is neither http nor https");
	return true;
}

static bool path_settle(struct h2_message *message)
{
	struct http_head *head = message->head;
	if (head->path.at[0] != '/' && !span_equal(head->path, SPAN("*")))
		return h2_fail(message, ERROR_BAD_TARGET, ":path does not begin with a slash");
	if (!http_target_parse(head->path, message->arena, head, &message->fault))
		return false;
	if (head->target_form == HTTP_TARGET_ORIGIN)
		head->target_form = HTTP_TARGET_ABSOLUTE; /* as whole as one */
	return true;
}

/* Do both name the same host and port? For a CONNECT, which has no scheme, a Host without port is taken for the same. */
static bool authorities_agree(const struct http_head *head, const struct http_authority *host)
{
	const struct http_authority *authority = &head->host;
	bool connect = head->method == HTTP_METHOD_CONNECT;
	uint16_t usual = connect ? authority->port : http_scheme_port(head->scheme);
	if ((authority->port ? authority->port : usual) != (host->port ? host->port : usual))
		return false;
	if (authority->ip_family != host->ip_family)
		return false;
	return authority->ip_family ? memcmp(authority->ip, host->ip, sizeof(host->ip)) == 0 :
				      span_equal(authority->host, host->host);
}

/* RFC 9113 8.3.1: Host stands in for :authority, and may not say something else. */
static bool host_settle(struct h2_message *message)
{
	struct http_head *head = message->head;
	struct http_authority host;
	if (!(message->pseudo & H2_PSEUDO_AUTHORITY)) {
		if (!message->host.at)
			return h2_refuse(message, "neither :authority nor Host");
		if (!http_authority_read(message->host, message->arena, head, &message->fault))
			return target_fail(message, ERROR_MALFORMED_REQUEST);
		return true;
	}
	/* A CONNECT's has been read as its target. */
	if (head->target_form != HTTP_TARGET_AUTHORITY &&
	    !http_authority_read(head->authority, message->arena, head, &message->fault))
		return false;
	if (!message->host.at)
		return true;
	if (!http_authority_parse(message->host, message->arena, &host, &message->fault))
		return target_fail(message, ERROR_MALFORMED_REQUEST);
	return authorities_agree(head, &host) ? true : h2_refuse(message, "Host differs from :authority");
}

/* RFC 9113 8.5 */
static bool connect_settle(struct h2_message *message)
{
	struct http_head *head = message->head;
	if (message->pseudo & (H2_PSEUDO_SCHEME | H2_PSEUDO_PATH))
		return h2_refuse(message, "CONNECT with :scheme or :path");
	if (!(message->pseudo & H2_PSEUDO_AUTHORITY))
		return h2_refuse(message, "CONNECT without :authority");
	return http_target_parse(head->authority, message->arena, head, &message->fault);
}

/* RFC 8441 4: what HTTP/1 asks for by GET and Upgrade. */
static bool extended_settle(struct h2_message *message)
{
	const unsigned needed = H2_PSEUDO_SCHEME | H2_PSEUDO_PATH | H2_PSEUDO_AUTHORITY;
	struct http_head *head = message->head;
	if (head->method != HTTP_METHOD_CONNECT)
		return h2_refuse(message, ":protocol with a method other than CONNECT");
	if ((message->pseudo & needed) != needed)
		return h2_refuse(message, ":protocol without :scheme, :path or :authority");
	if (!http_is_token(head->protocol))
		return h2_refuse(message, "a byte in :protocol that no protocol has");
	if (!span_equal_nocase(head->protocol, SPAN("websocket")))
		return h2_fail(message, ERROR_PROTOCOL_UNKNOWN, NULL);
	message->extended = true;
	head->protocol = SPAN("websocket");
	head->method = HTTP_METHOD_GET;
	head->method_text = SPAN("GET");
	return scheme_settle(message) && path_settle(message);
}

static bool target_settle(struct h2_message *message)
{
	struct http_head *head = message->head;
	if (!(message->pseudo & H2_PSEUDO_METHOD))
		return h2_refuse(message, "no :method");
	if (!http_is_token(head->method_text))
		return h2_refuse(message, "a byte in :method that no method has");
	size_t target = head->method == HTTP_METHOD_CONNECT ? head->authority.len : head->path.len;
	if (head->method_text.len + target > message->rules->request_line)
		return h2_fail(message, ERROR_TARGET_TOO_LONG, NULL);
	if (message->pseudo & H2_PSEUDO_PROTOCOL)
		return extended_settle(message);
	if (head->method == HTTP_METHOD_CONNECT)
		return connect_settle(message);
	if (!(message->pseudo & H2_PSEUDO_SCHEME))
		return h2_refuse(message, "no :scheme");
	if (!(message->pseudo & H2_PSEUDO_PATH))
		return h2_refuse(message, "no :path");
	return scheme_settle(message) && path_settle(message);
}

/* ---- fields ---- */

/* RFC 9113 8.2.3: crumbs become one field, with "; " between them; empty ones are left out. */
static bool cookies_settle(struct h2_message *message)
{
	struct http_fields *fields = message->fields;
	struct http_field *first = NULL;
	if (message->cookies < 2)
		return true;
	uint8_t *room = arena_alloc(message->arena, message->cookie_size), *to = room;
	if (!room)
		return h2_fail(message, ERROR_MEMORY, NULL);
	for (uint32_t i = 0; i < fields->count; i++) {
		struct http_field *field = &fields->items[i];
		if (field->id != HTTP_FIELD_COOKIE)
			continue;
		field->dropped = first != NULL;
		if (!first)
			first = field;
		if (field->value.len == 0)
			continue;
		if (to != room) {
			*to++ = ';';
			*to++ = ' ';
		}
		memcpy(to, field->value.at, field->value.len);
		to += field->value.len;
	}
	first->value = span_make(room, (size_t)(to - room));
	return true;
}

/* RFC 9110 10.1.1: without content there is nothing to wait for. */
static bool expect_settle(struct h2_message *message)
{
	if (message->expect_unknown)
		return h2_fail(message, ERROR_EXPECTATION_FAILED, NULL);
	message->head->expect_continue = message->expect_continue && http_head_has_body(message->head);
	return true;
}

/* ---- the body ---- */

/* No data may come (NONE), so many bytes (LENGTH), or any number. */
static bool body_set(struct h2_message *message, enum http_body body, uint64_t length)
{
	struct http_head *head = message->head;
	head->body = (uint8_t)body;
	head->length = length;
	head->length_known = body == HTTP_BODY_LENGTH;
	message->measured = body != HTTP_BODY_STREAMED;
	message->left = body == HTTP_BODY_LENGTH ? length : 0;
	return true;
}

/* Data belongs to the tunnel. */
static bool body_set_tunnel(struct h2_message *message)
{
	body_set(message, HTTP_BODY_NONE, 0);
	message->measured = false;
	return true;
}

/* A body that may be there, and is as long as Content-Length, if any, says (RFC 9113 8.1.1). */
static bool body_settle(struct h2_message *message, bool ended, enum http_body empty)
{
	if (ended && message->length_seen && message->length)
		return h2_refuse(message, "Content-Length, but the stream ends with the head");
	if (message->length_seen)
		return body_set(message, HTTP_BODY_LENGTH, message->length);
	return body_set(message, ended ? empty : HTTP_BODY_STREAMED, 0);
}

static bool request_body_settle(struct h2_message *message, bool ended)
{
	bool tunnel = h2_message_is_tunnel(message), trace = message->head->method == HTTP_METHOD_TRACE;
	if ((tunnel || trace) && message->length_seen && message->length) /* RFC 9110 9.3.6, 9.3.8 */
		return h2_refuse(message, "content in a CONNECT or TRACE request");
	if (tunnel)
		return body_set_tunnel(message);
	if (trace)
		return ended ? body_set(message, HTTP_BODY_NONE, 0) :
			       h2_refuse(message, "content in a CONNECT or TRACE request");
	return body_settle(message, ended, HTTP_BODY_NONE);
}

bool h2_request_settle(struct h2_message *message, bool ended)
{
	return target_settle(message) && host_settle(message) && cookies_settle(message) &&
	       request_body_settle(message, ended) && expect_settle(message);
}

bool h2_response_settle(struct h2_message *message, bool ended)
{
	struct http_head *head = message->head;
	if (!(message->pseudo & H2_PSEUDO_STATUS))
		return h2_refuse(message, "no :status");
	if (h2_message_is_tunnel(message)) /* RFC 9110 9.3.6: a length is ignored */
		return body_set_tunnel(message);
	if (head->status < 200 && ended) /* RFC 9113 8.1 */
		return h2_refuse(message, "an interim response that ends the stream");
	if (head->status < 200 || head->status == 204) { /* RFC 9110 8.6; a length of 0 is dropped, as in HTTP/1 */
		if (message->length_seen && message->length)
			return h2_refuse(message, "Content-Length in a 1xx or 204 response");
		return body_set(message, HTTP_BODY_NONE, 0);
	}
	if (message->method != HTTP_METHOD_HEAD && head->status != 304)
		return body_settle(message, ended, HTTP_BODY_LENGTH);
	body_set(message, HTTP_BODY_NONE, message->length);
	head->length_known = message->length_seen;
	return true;
}
