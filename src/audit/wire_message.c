/*
 * Messages of HTTP/1 as they are on the wire. See wire.h. The connection's thread.
 *
 * Not the parser of http/h1: that one refuses what is ambiguous and drops what is between two hops; an audit wants to see it.
 */
#include "audit/wire_internal.h"
#include "http/head.h"

enum { INTERIM_MOST = 16, CHUNK_LINE_MOST = 1024, TRAILERS_MOST = 16 * 1024 };

/* ---- heads ---- */

/* The length of the first line with its end; 0: it has not come whole. */
static size_t line_length(struct span bytes)
{
	return (size_t)(span_find(bytes, '\n') + 1);
}

/* Without its line end. */
static struct span line_text(struct span line)
{
	if (line.len && line.at[line.len - 1] == '\n')
		line.len--;
	if (line.len && line.at[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* How long a head is, or a trailer section, with its empty line; 0: it is not there whole. */
static size_t section_length(struct span bytes)
{
	size_t at = 0, length;

	while ((length = line_length(span_from(bytes, at)))) {
		bool empty = line_text(span_first(span_from(bytes, at), length)).len == 0;
		at += length;
		if (empty)
			return at;
	}
	return 0;
}

static void parse_start(struct span line, struct wire_message *message)
{
	struct span first, second, rest;

	(void)span_cut(line, ' ', &first, &rest);
	(void)span_cut(rest, ' ', &second, &rest);
	if (span_starts_with(first, SPAN("HTTP/"))) {
		uint64_t status = 0;
		message->version = first;
		if (span_to_u64(second, &status) && status >= 100 && status <= 999)
			message->status = (unsigned)status;
		return;
	}
	message->method = first;
	message->target = second;
	message->version = rest;
}

static void parse_field(struct span line, struct wire_message *message)
{
	struct wire_field *field;

	if (line.len && (line.at[0] == ' ' || line.at[0] == '\t') && message->count > 0) {
		field = &message->fields[message->count - 1];
		const uint8_t *from = field->value.at;
		field->value = span_trim(span_make(from, (size_t)(line.at + line.len - from)));
		return;
	}
	if (message->count == WIRE_FIELDS_MOST)
		return;
	field = &message->fields[message->count++];
	if (!span_cut(line, ':', &field->name, &field->value))
		field->value = span_from(line, line.len);
	field->value = span_trim(field->value);
}

void wire_message_parse(struct span bytes, struct wire_message *message)
{
	size_t length = line_length(bytes);

	*message = (struct wire_message){.head = bytes};
	message->start = line_text(length ? span_first(bytes, length) : bytes);
	parse_start(message->start, message);
	bytes = span_from(bytes, length ? length : bytes.len);
	while ((length = line_length(bytes))) {
		struct span line = line_text(span_first(bytes, length));
		if (line.len == 0)
			break;
		parse_field(line, message);
		bytes = span_from(bytes, length);
	}
}

struct span wire_field_find(const struct wire_message *message, const char *name)
{
	for (unsigned i = 0; i < message->count; i++)
		if (span_equal_nocase(message->fields[i].name, span_of(name)))
			return message->fields[i].value;
	return (struct span){0};
}

/* ---- bodies ---- */

struct body {
	struct wire *wire;
	struct arena *arena;
	struct wire_message *message;
	uint8_t *kept; /* WIRE_BODY_MOST bytes of the arena, once there is something */
	uint64_t deadline;
};

static bool keep(struct body *body, struct span bytes)
{
	struct span *kept = &body->message->body;

	if (!body->kept && bytes.len)
		body->kept = arena_alloc(body->arena, WIRE_BODY_MOST);
	if (bytes.len && !body->kept)
		return wire_fail(body->wire, "out of memory");
	bytes.len = size_min(bytes.len, WIRE_BODY_MOST - kept->len);
	if (bytes.len)
		memcpy(body->kept + kept->len, bytes.at, bytes.len);
	*kept = span_make(body->kept, kept->len + bytes.len);
	return true;
}

static bool read_length(struct body *body, uint64_t length)
{
	while (length > 0) {
		struct span come = wire_waiting(body->wire);
		if (come.len == 0) {
			if (!wire_receive(body->wire, body->deadline))
				return false;
			continue;
		}
		come.len = (size_t)(length < come.len ? length : come.len);
		if (!keep(body, come))
			return false;
		wire_take(body->wire, come.len);
		length -= come.len;
	}
	return true;
}

/* The next line, in *line until something is received again. */
static bool read_line(struct body *body, struct span *line)
{
	for (;;) {
		struct span come = wire_waiting(body->wire);
		size_t length = line_length(come);
		if (length) {
			*line = line_text(span_first(come, length));
			wire_take(body->wire, length);
			return true;
		}
		if (come.len > CHUNK_LINE_MOST)
			return wire_fail(body->wire, "a line of a chunk is too long");
		if (!wire_receive(body->wire, body->deadline))
			return false;
	}
}

static bool read_trailers(struct body *body)
{
	for (;;) {
		struct span come = wire_waiting(body->wire);
		size_t length = section_length(come);
		if (length) {
			body->message->trailers = arena_copy(body->arena, span_first(come, length));
			wire_take(body->wire, length);
			return body->message->trailers.at ? true : wire_fail(body->wire, "out of memory");
		}
		if (come.len > TRAILERS_MOST)
			return wire_fail(body->wire, "the trailers are too long");
		if (!wire_receive(body->wire, body->deadline))
			return false;
	}
}

/* RFC 9112 7.1 */
static bool read_chunks(struct body *body)
{
	struct span line = {0};

	while (read_line(body, &line)) {
		uint64_t length = 0;
		size_t digits = 0;
		while (digits < line.len && digits < 15 && ascii_hex_digit(line.at[digits]) >= 0)
			length = length << 4 | (uint64_t)ascii_hex_digit(line.at[digits++]);
		if (digits == 0)
			return wire_fail(body->wire, "a chunk without its size");
		if (length == 0)
			return read_trailers(body);
		if (!read_length(body, length) || !read_line(body, &line))
			return false;
	}
	return false;
}

static bool read_rest(struct body *body)
{
	do {
		struct span come = wire_waiting(body->wire);
		if (!keep(body, come))
			return false;
		wire_take(body->wire, come.len);
	} while (wire_receive(body->wire, body->deadline));
	return body->wire->ended;
}

/* RFC 9112 6.3; RFC 9112 9.3 for what may follow. */
static void read_body(struct body *body, struct span method)
{
	struct wire_message *message = body->message;
	struct span coding = wire_field_find(message, "transfer-encoding");
	struct span length_text = wire_field_find(message, "content-length");
	struct span connection = wire_field_find(message, "connection");
	unsigned status = message->status;
	bool response = message->method.at == NULL, tunnel, none;
	uint64_t length = 0;

	if (!connection.at)
		connection = wire_field_find(message, "proxy-connection");
	message->keep_alive = span_equal(message->version, SPAN("HTTP/1.1")) ?
				      !http_list_has(connection, SPAN("close")) :
				      http_list_has(connection, SPAN("keep-alive"));
	tunnel = status == 101 || (span_equal(method, SPAN("CONNECT")) && status / 100 == 2);
	none = response && (status / 100 == 1 || status == 204 || status == 304 || tunnel ||
			    span_equal(method, SPAN("HEAD")));
	if (none)
		message->complete = true;
	else if (coding.at && http_list_has(coding, SPAN("chunked")))
		message->complete = read_chunks(body);
	else if (length_text.at && span_to_u64(length_text, &length))
		message->complete = read_length(body, length);
	else if (!response)
		message->complete = true;
	else
		message->complete = read_rest(body);
	message->keep_alive = message->keep_alive && message->complete && !body->wire->ended;
}

static bool read_head(struct wire *wire, struct arena *arena, struct wire_message *message, uint64_t deadline)
{
	for (;;) {
		struct span come = wire_waiting(wire);
		size_t length = section_length(come);
		if (length && line_text(span_first(come, length)).len == 0) {
			wire_take(wire, length); /* empty lines before the head (RFC 9112 2.2) */
			continue;
		}
		if (length) {
			struct span head = arena_copy(arena, span_first(come, length));
			if (!head.at)
				return wire_fail(wire, "out of memory");
			wire_take(wire, length);
			wire_message_parse(head, message);
			return true;
		}
		if (come.len > WIRE_HEAD_MOST)
			return wire_fail(wire, "the head is too long");
		if (!wire_receive(wire, deadline))
			return false;
	}
}

bool wire_read(struct wire *wire, struct span method, bool interim, struct arena *arena,
	       struct wire_message *message, uint64_t deadline)
{
	struct body body = {.wire = wire, .arena = arena, .message = message, .deadline = deadline};
	unsigned count = 0;

	do {
		if (!read_head(wire, arena, message, deadline))
			return false;
		if (method.len && message->status == 0)
			return wire_fail(wire, "what came is no response of HTTP/1");
	} while (!interim && http_status_is_interim(message->status) && ++count < INTERIM_MOST);
	read_body(&body, method);
	return true;
}
