/*
 * HTTP/1 messages, written (RFC 9112 3, 4, 5, 7.1): the size is counted first, then everything is copied into one piece. Called
 * by the connections, on the worker that owns them. What is written was checked where it came in: by a parser or by the configuration.
 */
#include "http/h1/write.h"

enum {
	DECIMAL_MOST = 20,
	HEXADECIMAL_MOST = 16,
	CONNECTION_MOST = 3, /* options */
	CHUNK_COPIED = 512,  /* payload up to this is copied beside its framing */
};

/* The fields that only this connection needs: what they say is decided once, for counting and for writing. */
struct hop {
	struct span options[CONNECTION_MOST];
	unsigned count;
	struct span protocol; /* Upgrade */
	struct span authorization;
	bool te_trailers, chunked, length_written;
	bool expect_continue;
	char length[DECIMAL_MOST];
	struct span length_text;
};

static const struct span crlf = {(const uint8_t *)"\r\n", 2};
static const struct span colon = {(const uint8_t *)": ", 2};
static const struct span comma = {(const uint8_t *)", ", 2};
static const struct span space = {(const uint8_t *)" ", 1};
static const struct span version = {(const uint8_t *)"HTTP/1.1", 8};

/* Most pieces are short: two overlapping moves cost less than a call. */
static inline uint8_t *put(uint8_t *to, struct span from)
{
	uint64_t first, last;
	if (from.len >= 8 && from.len <= 16) {
		memcpy(&first, from.at, 8);
		memcpy(&last, from.at + from.len - 8, 8);
		memcpy(to, &first, 8);
		memcpy(to + from.len - 8, &last, 8);
	} else if (from.len) {
		memcpy(to, from.at, from.len);
	}
	return to + from.len;
}

static inline uint8_t *put_field(uint8_t *to, struct span name, struct span value)
{
	to = put(to, name);
	*to++ = ':';
	*to++ = ' ';
	to = put(to, value);
	*to++ = '\r';
	*to++ = '\n';
	return to;
}

static inline size_t field_size(struct span name, struct span value)
{
	return name.len + colon.len + value.len + crlf.len;
}

/* Writes from the end of `room` (DECIMAL_MOST bytes); returns the digits. */
static struct span decimal(uint64_t number, char *room)
{
	char *at = room + DECIMAL_MOST;
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	return span_make(at, (size_t)(room + DECIMAL_MOST - at));
}

static void hop_settle(struct hop *hop, const struct http_head *head, const struct h1_write *how)
{
	*hop = (struct hop){.te_trailers = how->te_trailers, .authorization = how->authorization};
	if (how->connection == H1_CONNECTION_CLOSE)
		hop->options[hop->count++] = SPAN("close");
	if (how->connection == H1_CONNECTION_KEEP_ALIVE)
		hop->options[hop->count++] = SPAN("keep-alive");
	if (how->upgrade && head->protocol.len) {
		hop->options[hop->count++] = SPAN("upgrade");
		hop->protocol = head->protocol;
	}
	if (how->te_trailers)
		hop->options[hop->count++] = SPAN("TE");
}

static void hop_set_length(struct hop *hop, uint64_t length)
{
	hop->length_text = decimal(length, hop->length);
	hop->length_written = true;
}

static size_t hop_size(const struct hop *hop)
{
	size_t size = 0;
	for (unsigned i = 0; i < hop->count; i++)
		size += hop->options[i].len + comma.len;
	if (hop->count)
		size += field_size(http_field_name(HTTP_FIELD_CONNECTION), (struct span){0}) - comma.len;
	if (hop->protocol.len)
		size += field_size(http_field_name(HTTP_FIELD_UPGRADE), hop->protocol);
	if (hop->te_trailers)
		size += field_size(http_field_name(HTTP_FIELD_TE), SPAN("trailers"));
	if (hop->authorization.len)
		size += field_size(http_field_name(HTTP_FIELD_PROXY_AUTHORIZATION), hop->authorization);
	if (hop->expect_continue)
		size += field_size(http_field_name(HTTP_FIELD_EXPECT), SPAN("100-continue"));
	if (hop->chunked)
		size += field_size(http_field_name(HTTP_FIELD_TRANSFER_ENCODING), SPAN("chunked"));
	if (hop->length_written)
		size += field_size(http_field_name(HTTP_FIELD_CONTENT_LENGTH), hop->length_text);
	return size;
}

static uint8_t *hop_put(uint8_t *to, const struct hop *hop)
{
	for (unsigned i = 0; i < hop->count; i++) {
		to = i ? put(to, comma) : put(put(to, http_field_name(HTTP_FIELD_CONNECTION)), colon);
		to = put(to, hop->options[i]);
	}
	if (hop->count)
		to = put(to, crlf);
	if (hop->protocol.len)
		to = put_field(to, http_field_name(HTTP_FIELD_UPGRADE), hop->protocol);
	if (hop->te_trailers)
		to = put_field(to, http_field_name(HTTP_FIELD_TE), SPAN("trailers"));
	if (hop->authorization.len)
		to = put_field(to, http_field_name(HTTP_FIELD_PROXY_AUTHORIZATION), hop->authorization);
	if (hop->expect_continue)
		to = put_field(to, http_field_name(HTTP_FIELD_EXPECT), SPAN("100-continue"));
	if (hop->chunked)
		to = put_field(to, http_field_name(HTTP_FIELD_TRANSFER_ENCODING), SPAN("chunked"));
	if (hop->length_written)
		to = put_field(to, http_field_name(HTTP_FIELD_CONTENT_LENGTH), hop->length_text);
	return to;
}

static size_t fields_size(const struct http_fields *fields)
{
	size_t size = 0;
	for (uint32_t i = 0; i < fields->count; i++)
		if (!fields->items[i].dropped)
			size += field_size(fields->items[i].name, fields->items[i].value);
	return size;
}

static uint8_t *fields_put(uint8_t *to, const struct http_fields *fields)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (!fields->items[i].dropped)
			to = put_field(to, fields->items[i].name, fields->items[i].value);
	return to;
}

/* RFC 9112 6, RFC 9110 8.6: one way to frame a body, and a length of 0 where content would be expected. */
static void request_frame(struct hop *hop, const struct http_head *head, const struct h1_write *how)
{
	if (head->method == HTTP_METHOD_CONNECT)
		return;
	hop->expect_continue = head->expect_continue && http_head_has_body(head);
	hop->chunked = how->chunked;
	if (hop->chunked)
		return;
	if (head->body == HTTP_BODY_LENGTH)
		hop_set_length(hop, head->length);
	else if (head->method == HTTP_METHOD_POST || head->method == HTTP_METHOD_PUT ||
		 head->method == HTTP_METHOD_PATCH)
		hop_set_length(hop, 0);
}

/* RFC 9112 3.2: the pieces of the target in the form that the other side needs. */
struct target {
	struct span scheme, separator, authority, path;
};

static struct target request_target(const struct http_head *head, const struct h1_write *how)
{
	if (head->method == HTTP_METHOD_CONNECT)
		return (struct target){.authority = head->authority};
	if (!how->absolute_form)
		return (struct target){.path = head->path};
	struct target target = {head->scheme, SPAN("://"), head->authority, head->path};
	if (span_equal(head->path, SPAN("*"))) /* RFC 9112 3.2.4 */
		target.path.len = 0;
	return target;
}

bool h1_request_write(struct buffers *buffers, struct chunk_queue *out, const struct http_head *head,
		      const struct h1_write *how)
{
	struct target target = request_target(head, how);
	struct hop hop;
	hop_settle(&hop, head, how);
	request_frame(&hop, head, how);
	size_t size = head->method_text.len + space.len + target.scheme.len + target.separator.len +
		      target.authority.len + target.path.len + space.len + version.len + crlf.len;
	size += field_size(http_field_name(HTTP_FIELD_HOST), head->authority);
	size += fields_size(&head->fields) + hop_size(&hop) + crlf.len;

	uint8_t *start = chunk_queue_reserve(buffers, out, size), *to = start;
	if (!start)
		return false;
	to = put(put(to, head->method_text), space);
	to = put(put(to, target.scheme), target.separator);
	to = put(put(to, target.authority), target.path);
	to = put(put(put(to, space), version), crlf);
	to = put_field(to, http_field_name(HTTP_FIELD_HOST), head->authority);
	to = fields_put(to, &head->fields);
	to = put(hop_put(to, &hop), crlf);
	ENSURE((size_t)(to - start) == size);
	chunk_queue_commit(buffers, out, size);
	return true;
}

/* RFC 9112 6.1, RFC 9110 8.6. */
static void response_frame(struct hop *hop, const struct http_head *head, const struct h1_write *how)
{
	if (head->status < 200 || head->status == 204)
		return;
	if (how->chunked && head->body != HTTP_BODY_NONE)
		hop->chunked = true;
	else if (head->body == HTTP_BODY_LENGTH || (head->body == HTTP_BODY_NONE && head->length_known))
		hop_set_length(hop, head->length);
}

bool h1_response_write(struct buffers *buffers, struct chunk_queue *out, const struct http_head *head,
		       const struct h1_write *how, struct span date)
{
	char digits[DECIMAL_MOST];
	struct span status = decimal(head->status, digits);
	struct span reason = head->reason.len ? head->reason : span_of(http_status_reason(head->status));
	bool dated = head->status >= 200 && date.len && !http_fields_find(&head->fields, HTTP_FIELD_DATE);
	struct hop hop;
	hop_settle(&hop, head, how);
	response_frame(&hop, head, how);
	size_t size = version.len + space.len + status.len + space.len + reason.len + crlf.len;
	size += dated ? field_size(http_field_name(HTTP_FIELD_DATE), date) : 0;
	size += fields_size(&head->fields) + hop_size(&hop) + crlf.len;

	uint8_t *start = chunk_queue_reserve(buffers, out, size), *to = start;
	if (!start)
		return false;
	to = put(put(put(to, version), space), status);
	to = put(put(put(to, space), reason), crlf);
	if (dated)
		to = put_field(to, http_field_name(HTTP_FIELD_DATE), date);
	to = fields_put(to, &head->fields);
	to = put(hop_put(to, &hop), crlf);
	ENSURE((size_t)(to - start) == size);
	chunk_queue_commit(buffers, out, size);
	return true;
}

/* RFC 9112 7.1: the size and its CRLF; returns the length. */
static size_t chunk_size_put(size_t bytes, uint8_t *to)
{
	static const char digits[] = "0123456789abcdef";
	unsigned count = 1;
	while (count < HEXADECIMAL_MOST && bytes >> (4 * count))
		count++;
	for (unsigned i = 0; i < count; i++)
		to[i] = (uint8_t)digits[bytes >> (4 * (count - 1 - i)) & 15];
	to[count] = '\r';
	to[count + 1] = '\n';
	return count + 2;
}

/* A small chunk: framing and payload in one piece. */
static bool chunk_write_copied(struct buffers *buffers, struct chunk_queue *out, struct chunk_queue *data)
{
	uint8_t *start = chunk_queue_reserve(buffers, out, HEXADECIMAL_MOST + 4 + data->bytes);
	if (!start)
		return false;
	size_t bytes = data->bytes;
	uint8_t *to = start + chunk_size_put(bytes, start);
	chunk_queue_peek(data, to, bytes);
	to = put(to + bytes, crlf);
	chunk_queue_commit(buffers, out, (size_t)(to - start));
	chunk_queue_clear(buffers, data);
	return true;
}

bool h1_chunk_write(struct buffers *buffers, struct chunk_queue *out, struct chunk_queue *data)
{
	uint8_t size[HEXADECIMAL_MOST + 2];
	struct chunk_queue end;
	if (data->bytes == 0)
		return true;
	if (data->bytes <= CHUNK_COPIED)
		return chunk_write_copied(buffers, out, data);
	chunk_queue_init(&end);
	if (!chunk_queue_static(buffers, &end, crlf))
		return false;
	if (!chunk_queue_copy(buffers, out, span_make(size, chunk_size_put(data->bytes, size)))) {
		chunk_queue_clear(buffers, &end);
		return false;
	}
	chunk_queue_move_all(out, data);
	chunk_queue_move_all(out, &end);
	return true;
}

bool h1_last_chunk_write(struct buffers *buffers, struct chunk_queue *out, const struct http_fields *trailers)
{
	size_t size = trailers ? fields_size(trailers) : 0;
	if (size == 0)
		return chunk_queue_static(buffers, out, SPAN("0\r\n\r\n"));
	size += 5;
	uint8_t *start = chunk_queue_reserve(buffers, out, size);
	if (!start)
		return false;
	uint8_t *to = put(start, SPAN("0\r\n"));
	to = put(fields_put(to, trailers), crlf);
	ENSURE((size_t)(to - start) == size);
	chunk_queue_commit(buffers, out, size);
	return true;
}
