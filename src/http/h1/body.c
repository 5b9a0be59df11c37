/*
 * HTTP/1 bodies (RFC 9112 6, 7): a state machine that may stop after any byte. Called by the connections, on the worker that owns
 * them. Payload is never copied; trailers are collected in the exchange's arena.
 */
#include "http/h1/body.h"
#include "http/char.h"
#include "http/h1/parse_internal.h"

enum {
	SIZE_DIGITS_MOST = 16,
	EXTENSION_MOST = 4096,        /* bytes in one chunk */
	EXTENSIONS_SLACK = 16 * 1024, /* in all: so much, */
	EXTENSIONS_RATIO = 16,        /* and so many times the payload */
	TRAILER_FIRST = 512,
};

/* BWS (RFC 9110 5.6.3) may stand around ';' and '=', nowhere else. */
enum state {
	STATE_SIZE, /* the first digit of a chunk's size */
	STATE_SIZE_MORE,
	STATE_EXTENSION_BWS, /* before a ';' */
	STATE_NAME_START,    /* after the ';' */
	STATE_NAME,
	STATE_NAME_BWS,    /* before a '=' or a ';' */
	STATE_VALUE_START, /* after the '=' */
	STATE_VALUE,
	STATE_QUOTED,
	STATE_QUOTED_PAIR,
	STATE_VALUE_END, /* after the closing quote */
	STATE_SIZE_LF,
	STATE_DATA,
	STATE_DATA_CR,
	STATE_DATA_LF,
	STATE_TRAILER,
	STATE_END,
	STATE_BAD,
};

void h1_body_init(struct h1_body *body, const struct http_head *head)
{
	*body = (struct h1_body){
		.kind = head->body,
		.state = STATE_SIZE,
		.remaining = head->body == HTTP_BODY_LENGTH ? head->length : 0,
		.nominations = head->fields.items,
		.nomination_count = head->fields.count,
	};
}

bool h1_body_ends_at_close(const struct h1_body *body)
{
	return body->kind == HTTP_BODY_CLOSE;
}

/* Where the call puts what it finds out. */
struct step {
	struct h1_body *body;
	struct arena *arena;
	const struct h1_limits *limits;
	bool response;
	struct error *error;
};

static COLD enum h1_body_result bad(const struct step *step, enum error_code code, const char *text)
{
	*step->error = error_make(code, text);
	step->body->state = STATE_BAD;
	return H1_BODY_BAD;
}

static enum h1_body_result malformed(const struct step *step, const char *text)
{
	return bad(step, step->response ? ERROR_UPSTREAM_MALFORMED : ERROR_MALFORMED_REQUEST, text);
}

static enum h1_body_result too_large(const struct step *step, const char *text)
{
	return bad(step, step->response ? ERROR_UPSTREAM_HEAD_TOO_LARGE : ERROR_HEAD_TOO_LARGE, text);
}

static const char *size_digit(struct h1_body *body, uint8_t byte)
{
	int digit = ascii_hex_digit(byte);
	if (digit < 0)
		return "a chunk size that is not a hexadecimal number";
	if (body->digits == SIZE_DIGITS_MOST || body->remaining > (uint64_t)INT64_MAX >> 4)
		return "a chunk size that is too large";
	body->digits++;
	body->remaining = body->remaining << 4 | (unsigned)digit;
	body->state = STATE_SIZE_MORE;
	return NULL;
}

/* What may follow where an extension may begin or end; `bws` is the state for white space. */
static const char *extension_border(struct h1_body *body, uint8_t byte, enum state bws)
{
	if (byte == '\r')
		body->state = STATE_SIZE_LF;
	else if (byte == ';')
		body->state = STATE_NAME_START;
	else if (byte == ' ' || byte == '\t')
		body->state = (uint8_t)bws;
	else if (byte == '\n')
		return "bare LF after a chunk size";
	else
		return "a byte that no chunk size or extension has";
	return NULL;
}

static const char *extension_quoted(struct h1_body *body, uint8_t byte)
{
	if (byte == '"')
		body->state = STATE_VALUE_END;
	else if (byte == '\\')
		body->state = STATE_QUOTED_PAIR;
	else if (!http_char_is(byte, HTTP_CHAR_QUOTED))
		return "a control byte in a chunk extension";
	return NULL;
}

/* One byte of a chunk's extensions (RFC 9112 7.1.1). */
static const char *extension_byte(struct h1_body *body, uint8_t byte)
{
	bool blank = byte == ' ' || byte == '\t', token = http_char_is(byte, HTTP_CHAR_TOKEN);
	switch (body->state) {
	case STATE_EXTENSION_BWS:
		if (!blank && byte != ';')
			return "white space after a chunk size or extension";
		return extension_border(body, byte, STATE_EXTENSION_BWS);
	case STATE_NAME_START:
		if (!blank && !token)
			return "a chunk extension without a name";
		if (token)
			body->state = STATE_NAME;
		return NULL;
	case STATE_NAME_BWS:
		if (!blank && byte != '=' && byte != ';')
			return "white space after a chunk extension";
		/* fall through */
	case STATE_NAME:
		if (byte == '=')
			body->state = STATE_VALUE_START;
		else if (!token || body->state != STATE_NAME)
			return extension_border(body, byte, STATE_NAME_BWS);
		return NULL;
	case STATE_VALUE_START:
		if (byte == '"')
			body->state = STATE_QUOTED;
		else if (token)
			body->state = STATE_VALUE;
		else if (!blank)
			return "a chunk extension without its value";
		return NULL;
	case STATE_VALUE:
		return token ? NULL : extension_border(body, byte, STATE_EXTENSION_BWS);
	case STATE_QUOTED:
		return extension_quoted(body, byte);
	case STATE_QUOTED_PAIR:
		body->state = STATE_QUOTED;
		return http_char_is(byte, HTTP_CHAR_VALUE) ? NULL : "a control byte in a chunk extension";
	default: /* STATE_VALUE_END */
		return extension_border(body, byte, STATE_EXTENSION_BWS);
	}
}

/* Bytes that say nothing are bounded: in one chunk, and against the payload that they come with. */
static const char *extension_count(struct h1_body *body)
{
	body->extensions++;
	if (++body->overhead > EXTENSION_MOST)
		return "chunk extensions too long";
	if (body->extensions > EXTENSIONS_SLACK &&
	    (body->extensions - EXTENSIONS_SLACK) / EXTENSIONS_RATIO > body->total)
		return "more chunk extensions than payload";
	return NULL;
}

static const char *size_lf(struct h1_body *body, uint8_t byte)
{
	if (byte != '\n')
		return "bare CR after a chunk size";
	body->state = body->remaining ? STATE_DATA : STATE_TRAILER;
	body->digits = 0;
	body->overhead = 0;
	return NULL;
}

static const char *data_end(struct h1_body *body, uint8_t byte)
{
	if (byte != (body->state == STATE_DATA_CR ? '\r' : '\n'))
		return "a chunk does not end where its size says";
	body->state = body->state == STATE_DATA_CR ? STATE_DATA_LF : STATE_SIZE;
	return NULL;
}

/* One byte of chunk framing. */
static const char *framing_byte(struct h1_body *body, uint8_t byte)
{
	const char *why;
	switch (body->state) {
	case STATE_SIZE:
		return size_digit(body, byte);
	case STATE_SIZE_MORE:
		if (http_char_is(byte, HTTP_CHAR_HEX))
			return size_digit(body, byte);
		return extension_border(body, byte, STATE_EXTENSION_BWS);
	case STATE_SIZE_LF:
		return size_lf(body, byte);
	case STATE_DATA_CR:
	case STATE_DATA_LF:
		return data_end(body, byte);
	default:
		why = extension_byte(body, byte);
		return why ? why : extension_count(body);
	}
}

static bool trailer_append(const struct step *step, struct span bytes)
{
	struct h1_body *body = step->body;
	if (body->trailer.len + bytes.len > body->trailer_capacity) {
		size_t capacity = size_max(TRAILER_FIRST, 2 * (body->trailer.len + bytes.len));
		uint8_t *room = arena_alloc(step->arena, capacity);
		if (!room)
			return false;
		if (body->trailer.len)
			memcpy(room, body->trailer.at, body->trailer.len);
		body->trailer.at = room;
		body->trailer_capacity = (uint32_t)capacity;
	}
	memcpy((uint8_t *)body->trailer.at + body->trailer.len, bytes.at, bytes.len); /* owned: see body.h */
	body->trailer.len += bytes.len;
	return true;
}

/* Keeps a trailer that may be kept. False: out of memory. */
static bool trailer_add(const struct step *step, struct span name, struct span value)
{
	struct h1_body *body = step->body;
	enum http_field_id id = http_field_identify(name);
	if (!http_field_may_trail(id, name))
		return true;
	if (!body->trailers) {
		body->trailers = arena_alloc(step->arena, sizeof(*body->trailers));
		if (!body->trailers)
			return false;
		http_fields_init(body->trailers, step->arena);
	}
	return http_fields_add(body->trailers, id, name, value);
}

/* The whole trailer section is here (RFC 9112 7.1.2): the rules are those of a head. */
static enum h1_body_result trailer_parse(const struct step *step)
{
	struct h1_body *body = step->body;
	struct h1_cursor cursor = {body->trailer.at, body->trailer.at + body->trailer.len};
	struct span name, value;
	unsigned count = 0;
	while (!h1_empty_line(&cursor)) {
		if (++count > step->limits->fields)
			return too_large(step, "too many trailers");
		const char *why = h1_field_line(&cursor, &name, &value);
		if (why)
			return malformed(step, why);
		if (!trailer_add(step, name, value))
			return bad(step, ERROR_MEMORY, NULL);
	}
	if (body->trailers)
		h1_nominated_drop(body->trailers, body->nominations, body->nomination_count);
	body->state = STATE_END;
	return H1_BODY_END;
}

/* Byte `index` of the line being collected, which goes on in `in`. */
static uint8_t trailer_byte(const struct h1_body *body, struct span in, size_t index)
{
	size_t before = body->trailer.len - body->overhead;
	return index < before ? body->trailer.at[body->overhead + index] : in.at[index - before];
}

/* Collects the line that begins at overhead in the trailer section; END when it was the empty one. */
static enum h1_body_result trailer_line(const struct step *step, struct span *in)
{
	struct h1_body *body = step->body;
	ptrdiff_t lf = span_find(*in, '\n');
	size_t take = lf < 0 ? in->len : (size_t)lf + 1;
	size_t before = body->trailer.len - body->overhead, len = before + take;
	/* First, so that how the bytes are cut does not decide what is wrong with them. */
	if (len >= 2 && before < 2 && trailer_byte(body, *in, 0) == '\r' && trailer_byte(body, *in, 1) != '\n')
		return malformed(step, "bare CR after the last chunk");
	if (len > (size_t)step->limits->field_line + 2)
		return too_large(step, "trailer line too long");
	if (body->trailer.len + take > step->limits->head)
		return too_large(step, "trailers too large");
	if (!trailer_append(step, span_first(*in, take)))
		return bad(step, ERROR_MEMORY, NULL);
	*in = span_from(*in, take);
	if (lf < 0)
		return H1_BODY_MORE;
	if (len < 2 || body->trailer.at[body->trailer.len - 2] != '\r')
		return malformed(step, "bare LF after the last chunk");
	body->overhead = (uint32_t)body->trailer.len;
	return len == 2 ? trailer_parse(step) : H1_BODY_DATA;
}

static enum h1_body_result trailer_read(const struct step *step, struct span *in)
{
	struct h1_body *body = step->body;
	enum h1_body_result result = H1_BODY_DATA;
	if (body->trailer.len == 0 && span_starts_with(*in, SPAN("\r\n"))) {
		*in = span_from(*in, 2);
		body->state = STATE_END;
		return H1_BODY_END;
	}
	while (result == H1_BODY_DATA) /* a line, and more to come */
		result = in->len ? trailer_line(step, in) : H1_BODY_MORE;
	return result;
}

static enum h1_body_result data_take(struct h1_body *body, struct span *in, struct span *data, uint64_t most)
{
	size_t take = in->len < most ? in->len : (size_t)most;
	*data = span_first(*in, take);
	*in = span_from(*in, take);
	body->total += take;
	return H1_BODY_DATA;
}

static enum h1_body_result chunked_read(const struct step *step, struct span *in, struct span *data)
{
	struct h1_body *body = step->body;
	while (body->state != STATE_END) {
		if (body->state == STATE_BAD)
			return malformed(step, "a body that was refused before");
		if (in->len == 0)
			return H1_BODY_MORE;
		if (body->state == STATE_TRAILER)
			return trailer_read(step, in);
		if (body->state == STATE_DATA) {
			data_take(body, in, data, body->remaining);
			body->remaining -= data->len;
			if (body->remaining == 0)
				body->state = STATE_DATA_CR;
			return H1_BODY_DATA;
		}
		const char *why = framing_byte(body, in->at[0]);
		if (why)
			return malformed(step, why);
		*in = span_from(*in, 1);
	}
	return H1_BODY_END;
}

enum h1_body_result h1_body_read(struct h1_body *body, struct span *in, struct span *data, struct arena *arena,
				 const struct h1_limits *limits, bool response, struct error *error)
{
	struct step step = {body, arena, limits, response, error};
	switch (body->kind) {
	case HTTP_BODY_NONE:
		return H1_BODY_END;
	case HTTP_BODY_STREAMED:
		return chunked_read(&step, in, data);
	case HTTP_BODY_CLOSE:
		return in->len ? data_take(body, in, data, UINT64_MAX) : H1_BODY_MORE;
	default:
		break;
	}
	if (body->remaining == 0)
		return H1_BODY_END;
	if (in->len == 0)
		return H1_BODY_MORE;
	data_take(body, in, data, body->remaining);
	body->remaining -= data->len;
	return H1_BODY_DATA;
}
