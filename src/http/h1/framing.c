/*
 * How long a body is (RFC 9112 6, RFC 9110 8.6): what two readers could measure differently is refused. Pure; called by the
 * parser only.
 */
#include "http/h1/parse_internal.h"

/* One Transfer-Encoding field line; several are one list (RFC 9110 5.3). No quoted strings, no parameters, no empty members. */
void h1_coding_read(struct h1_message *message, struct span value)
{
	bool more;
	do {
		struct span member;
		more = span_cut(value, ',', &member, &value);
		member = span_trim(member);
		if (!http_is_token(member))
			message->coding_malformed = true;
		message->chunked_last = span_equal_nocase(member, SPAN("chunked"));
		message->chunked += message->chunked_last;
		message->codings++;
	} while (more);
}

/* The value of the one Content-Length there is (RFC 9110 8.6: 1*DIGIT); repeated and list values are refused even when equal. */
static bool length_parse(struct h1_message *message, uint64_t *length)
{
	if (message->lengths > 1)
		return h1_refuse(message, "repeated Content-Length");
	for (size_t i = 0; i < message->length.len; i++)
		if (!ascii_is_digit(message->length.at[i]))
			return h1_refuse(message, "Content-Length is not a number");
	if (message->length.len == 0)
		return h1_refuse(message, "empty Content-Length");
	if (!span_to_u64(message->length, length) || *length > INT64_MAX)
		return h1_refuse(message, "Content-Length is too large");
	return true;
}

/* What holds for both directions: RFC 9112 6.1 and 6.3. `unknown` is the code for a coding that is well formed but not ours. */
static bool coding_check(struct h1_message *message, enum error_code unknown)
{
	if (message->head->version == HTTP_VERSION_10)
		return h1_refuse(message, "Transfer-Encoding in an HTTP/1.0 message");
	if (message->lengths)
		return h1_refuse(message, "Transfer-Encoding together with Content-Length");
	if (message->coding_malformed)
		return h1_refuse(message, "malformed Transfer-Encoding");
	if (message->chunked > 1)
		return h1_refuse(message, "chunked more than once in Transfer-Encoding");
	if (!message->chunked_last)
		return h1_fail(message, message->response ? unknown : ERROR_MALFORMED_REQUEST,
			       "the last transfer coding is not chunked");
	if (message->codings > 1)
		return h1_fail(message, unknown, "a transfer coding other than chunked");
	return true;
}

static void body_set(struct h1_message *message, enum http_body body, uint64_t length)
{
	message->head->body = (uint8_t)body;
	message->head->length = length;
	message->head->length_known = body == HTTP_BODY_LENGTH;
	message->framing->chunked = body == HTTP_BODY_STREAMED;
}

bool h1_request_frame(struct h1_message *message)
{
	struct http_head *head = message->head;
	bool bodiless = head->method == HTTP_METHOD_CONNECT || head->method == HTTP_METHOD_TRACE;
	uint64_t length = 0;
	body_set(message, HTTP_BODY_NONE, 0);
	if (message->codings) {
		if (!coding_check(message, ERROR_CODING_UNKNOWN))
			return false;
		body_set(message, HTTP_BODY_STREAMED, 0);
	} else if (message->lengths) {
		if (!length_parse(message, &length))
			return false;
		body_set(message, HTTP_BODY_LENGTH, length);
	}
	if (!bodiless)
		return true;
	if (http_head_has_body(head)) /* RFC 9110 9.3.6, 9.3.8 */
		return h1_refuse(message, "content in a CONNECT or TRACE request");
	body_set(message, HTTP_BODY_NONE, 0);
	return true;
}

/* 1xx and 204 (RFC 9112 6.1, RFC 9110 8.6): neither field may be there; a length of 0, which is seen in the wild, is dropped. */
static bool frame_never(struct h1_message *message)
{
	uint64_t length = 0;
	if (message->codings)
		return h1_refuse(message, "Transfer-Encoding in a 1xx or 204 response");
	if (message->lengths && !length_parse(message, &length))
		return false;
	if (length)
		return h1_refuse(message, "Content-Length in a 1xx or 204 response");
	return true;
}

/* RFC 9112 6.3, in its order. */
bool h1_response_frame(struct h1_message *message, enum http_method request_method)
{
	struct http_head *head = message->head;
	uint64_t length = 0;
	body_set(message, HTTP_BODY_NONE, 0);
	if (head->status < 200 || head->status == 204)
		return frame_never(message);
	if (request_method == HTTP_METHOD_CONNECT && head->status < 300)
		return true; /* RFC 9110 9.3.6: both fields are ignored */
	bool bodiless = request_method == HTTP_METHOD_HEAD || head->status == 304;
	if (message->codings) {
		if (!coding_check(message, ERROR_UPSTREAM_CODING))
			return false;
		if (!bodiless)
			body_set(message, HTTP_BODY_STREAMED, 0);
		return true;
	}
	if (message->lengths) {
		if (!length_parse(message, &length))
			return false;
		body_set(message, bodiless ? HTTP_BODY_NONE : HTTP_BODY_LENGTH, length);
		head->length_known = true;
		return true;
	}
	if (!bodiless) {
		body_set(message, HTTP_BODY_CLOSE, 0);
		message->framing->keep_alive = false;
	}
	return true;
}
