/*
 * Reading and writing SOCKS messages. A reader goes through its message field by field, so that what is wrong is known at its first wrong byte.
 */
#include "socks/message.h"

enum { ADDRESS_TYPE_V4 = 1, ADDRESS_TYPE_NAME = 3, ADDRESS_TYPE_V6 = 4 };
enum {
	LOGIN_VERSION = 1,
	REPLY_VERSION_4 = 0,
	GRANTED_4 = 90,
	REJECTED_4 = 91,
	USER_UNKNOWN_4 = 92,
	USER_WRONG_4 = 93
};

/* ---- fields ---- */

/* What has come of a message, as far as it has not been looked at. */
struct reader {
	struct span rest;
	size_t used;
};

static struct reader reader_make(struct span bytes)
{
	return (struct reader){.rest = bytes};
}

/* False: not all of it is there. */
static bool read_bytes(struct reader *reader, size_t len, struct span *field)
{
	if (reader->rest.len < len)
		return false;
	*field = span_first(reader->rest, len);
	reader->rest = span_from(reader->rest, len);
	reader->used += len;
	return true;
}

static bool read_byte(struct reader *reader, uint8_t *byte)
{
	struct span field;

	if (!read_bytes(reader, 1, &field))
		return false;
	*byte = field.at[0];
	return true;
}

static bool read_port(struct reader *reader, uint16_t *port)
{
	struct span field;

	if (!read_bytes(reader, 2, &field))
		return false;
	*port = (uint16_t)(field.at[0] << 8 | field.at[1]);
	return true;
}

static enum socks_read bad(const char **why, const char *text)
{
	*why = text;
	return SOCKS_BAD;
}

/* A byte that can have one value only. */
static enum socks_read read_constant(struct reader *reader, uint8_t value, const char **why, const char *text)
{
	uint8_t byte;

	if (!read_byte(reader, &byte))
		return SOCKS_MORE;
	return byte == value ? SOCKS_DONE : bad(why, text);
}

/* A byte that says how long a text is, and the text, which is not empty. */
static enum socks_read read_text(struct reader *reader, struct span *text, const char **why, const char *empty)
{
	uint8_t len;

	if (!read_byte(reader, &len))
		return SOCKS_MORE;
	if (len == 0)
		return bad(why, empty);
	return read_bytes(reader, len, text) ? SOCKS_DONE : SOCKS_MORE;
}

/* A text up to its NUL (SOCKS 4). */
static enum socks_read read_string(struct reader *reader, struct span *text, const char **why,
				   const char *too_long)
{
	struct span within = span_first(reader->rest, size_min(reader->rest.len, SOCKS_TEXT_MOST + 1));
	ptrdiff_t end = span_find(within, 0);
	struct span nul;

	if (end < 0)
		return within.len > SOCKS_TEXT_MOST ? bad(why, too_long) : SOCKS_MORE;
	return read_bytes(reader, (size_t)end, text) && read_bytes(reader, 1, &nul) ? SOCKS_DONE : SOCKS_MORE;
}

/* ATYP, the address, the port (RFC 1928 5). *code: what an address of an unknown type is answered. */
static enum socks_read read_place(struct reader *reader, struct socks_place *place, enum socks_code *code,
				  const char **why)
{
	enum socks_read result;
	struct span field;
	uint8_t type;

	*place = (struct socks_place){.address = {.family = ADDRESS_NONE}};
	if (!read_byte(reader, &type))
		return SOCKS_MORE;
	switch (type) {
	case ADDRESS_TYPE_V4:
	case ADDRESS_TYPE_V6:
		if (!read_bytes(reader, type == ADDRESS_TYPE_V4 ? 4 : 16, &field))
			return SOCKS_MORE;
		place->address.family = type == ADDRESS_TYPE_V4 ? ADDRESS_V4 : ADDRESS_V6;
		memcpy(place->address.ip, field.at, field.len);
		break;
	case ADDRESS_TYPE_NAME:
		result = read_text(reader, &place->name, why, "the name is empty");
		if (result != SOCKS_DONE)
			return result;
		break;
	default:
		*code = SOCKS_ADDRESS_UNKNOWN;
		return bad(why, "the address is of an unknown type");
	}
	return read_port(reader, &place->address.port) ? SOCKS_DONE : SOCKS_MORE;
}

static enum socks_read read_end(const struct reader *reader, enum socks_read result, size_t *used)
{
	if (result == SOCKS_DONE)
		*used = reader->used;
	return result;
}

/* ---- greeting and choice of a method ---- */

enum socks_read socks_greeting_read(struct span bytes, struct span *methods, size_t *used, const char **why)
{
	struct reader reader = reader_make(bytes);
	enum socks_read result = read_constant(&reader, SOCKS_VERSION_5, why, "a greeting of another version");
	uint8_t count;

	if (result != SOCKS_DONE)
		return result;
	if (!read_byte(&reader, &count) || !read_bytes(&reader, count, methods))
		return SOCKS_MORE;
	return read_end(&reader, SOCKS_DONE, used);
}

enum socks_read socks_method_read(struct span bytes, uint8_t *method, size_t *used, const char **why)
{
	struct reader reader = reader_make(bytes);
	enum socks_read result =
		read_constant(&reader, SOCKS_VERSION_5, why, "the answer to the greeting is not SOCKS 5");

	if (result != SOCKS_DONE)
		return result;
	return read_end(&reader, read_byte(&reader, method) ? SOCKS_DONE : SOCKS_MORE, used);
}

size_t socks_greeting_write(struct span methods, uint8_t *out)
{
	if (methods.len == 0 || methods.len > SOCKS_TEXT_MOST)
		return 0;
	out[0] = SOCKS_VERSION_5;
	out[1] = (uint8_t)methods.len;
	memcpy(out + 2, methods.at, methods.len);
	return 2 + methods.len;
}

size_t socks_method_write(uint8_t method, uint8_t *out)
{
	out[0] = SOCKS_VERSION_5;
	out[1] = method;
	return 2;
}

/* ---- user and password ---- */

enum socks_read socks_login_read(struct span bytes, struct socks_login *login, size_t *used, const char **why)
{
	struct reader reader = reader_make(bytes);
	enum socks_read result =
		read_constant(&reader, LOGIN_VERSION, why, "the version of the login is not 1");

	if (result == SOCKS_DONE)
		result = read_text(&reader, &login->user, why, "the user's name is empty");
	if (result == SOCKS_DONE)
		result = read_text(&reader, &login->password, why, "the password is empty");
	return read_end(&reader, result, used);
}

enum socks_read socks_login_reply_read(struct span bytes, bool *good, size_t *used, const char **why)
{
	struct reader reader = reader_make(bytes);
	uint8_t status;
	enum socks_read result =
		read_constant(&reader, LOGIN_VERSION, why, "the version of the answer to the login is not 1");

	if (result != SOCKS_DONE)
		return result;
	if (!read_byte(&reader, &status))
		return SOCKS_MORE;
	*good = status == 0;
	return read_end(&reader, SOCKS_DONE, used);
}

static bool text_fits(struct span text)
{
	return text.len > 0 && text.len <= SOCKS_TEXT_MOST;
}

static size_t write_text(struct span text, uint8_t *out)
{
	out[0] = (uint8_t)text.len;
	memcpy(out + 1, text.at, text.len);
	return 1 + text.len;
}

size_t socks_login_write(const struct socks_login *login, uint8_t *out)
{
	size_t len = 1;

	if (!text_fits(login->user) || !text_fits(login->password))
		return 0;
	out[0] = LOGIN_VERSION;
	len += write_text(login->user, out + len);
	len += write_text(login->password, out + len);
	return len;
}

size_t socks_login_reply_write(bool good, uint8_t *out)
{
	out[0] = LOGIN_VERSION;
	out[1] = good ? 0 : 1;
	return 2;
}

/* ---- requests ---- */

static enum socks_read read_command(struct reader *reader, struct socks_request *request, uint8_t most,
				    const char **why)
{
	if (!read_byte(reader, &request->command))
		return SOCKS_MORE;
	if (request->command >= SOCKS_CONNECT && request->command <= most)
		return SOCKS_DONE;
	request->code = SOCKS_COMMAND_UNKNOWN;
	return bad(why, "the command is unknown");
}

/* The memo of SOCKS 4A: an address 0.0.0.x, x not 0, means that a name follows behind the user id. */
static bool is_placeholder(const uint8_t ip[4])
{
	return ip[0] == 0 && ip[1] == 0 && ip[2] == 0 && ip[3] != 0;
}

static enum socks_read request_4_read(struct reader *reader, struct socks_request *request, const char **why)
{
	struct socks_place *place = &request->place;
	enum socks_read result = read_command(reader, request, SOCKS_BIND, why);
	struct span ip;

	if (result != SOCKS_DONE)
		return result;
	if (!read_port(reader, &place->address.port) || !read_bytes(reader, 4, &ip))
		return SOCKS_MORE;
	result = read_string(reader, &request->user, why, "the user id is too long");
	if (result != SOCKS_DONE)
		return result;
	if (!is_placeholder(ip.at)) {
		place->address.family = ADDRESS_V4;
		memcpy(place->address.ip, ip.at, 4);
		return SOCKS_DONE;
	}
	result = read_string(reader, &place->name, why, "the name is too long");
	if (result == SOCKS_DONE && place->name.len == 0)
		return bad(why, "the name is empty");
	return result;
}

static enum socks_read request_5_read(struct reader *reader, struct socks_request *request, const char **why)
{
	enum socks_read result = read_command(reader, request, SOCKS_UDP, why);

	if (result == SOCKS_DONE)
		result = read_constant(reader, 0, why, "a reserved byte is not 0"); /* RFC 1928 4 */
	if (result == SOCKS_DONE)
		result = read_place(reader, &request->place, &request->code, why);
	return result;
}

enum socks_read socks_request_read(enum socks_version version, struct span bytes,
				   struct socks_request *request, size_t *used, const char **why)
{
	struct reader reader = reader_make(bytes);
	enum socks_read result = read_constant(&reader, (uint8_t)version, why, "a request of another version");

	*request = (struct socks_request){.code = SOCKS_FAILED};
	if (result != SOCKS_DONE)
		return result;
	result = version == SOCKS_VERSION_4 ? request_4_read(&reader, request, why) :
					      request_5_read(&reader, request, why);
	return read_end(&reader, result, used);
}

static size_t write_port(uint16_t port, uint8_t *out)
{
	out[0] = (uint8_t)(port >> 8);
	out[1] = (uint8_t)port;
	return 2;
}

/* 0: it is no place for SOCKS 5. */
static size_t write_place(const struct socks_place *place, uint8_t *out)
{
	size_t len = 1;

	switch (place->address.family) {
	case ADDRESS_V4:
		out[0] = ADDRESS_TYPE_V4;
		memcpy(out + len, place->address.ip, 4);
		len += 4;
		break;
	case ADDRESS_V6:
		out[0] = ADDRESS_TYPE_V6;
		memcpy(out + len, place->address.ip, 16);
		len += 16;
		break;
	case ADDRESS_NONE:
		if (!text_fits(place->name))
			return 0;
		out[0] = ADDRESS_TYPE_NAME;
		len += write_text(place->name, out + len);
		break;
	default:
		return 0;
	}
	return len + write_port(place->address.port, out + len);
}

static bool string_fits(struct span text)
{
	return text.len <= SOCKS_TEXT_MOST && span_find(text, 0) < 0;
}

static size_t write_string(struct span text, uint8_t *out)
{
	if (text.len)
		memcpy(out, text.at, text.len);
	out[text.len] = 0;
	return text.len + 1;
}

static size_t request_4_write(const struct socks_request *request, uint8_t *out)
{
	const struct socks_place *place = &request->place;
	static const uint8_t placeholder[4] = {0, 0, 0, 1};
	bool named = place->address.family == ADDRESS_NONE;
	size_t len = 2;

	if (request->command > SOCKS_BIND || !string_fits(request->user))
		return 0;
	if (named ? place->name.len == 0 || !string_fits(place->name) : place->address.family != ADDRESS_V4)
		return 0;
	if (!named && is_placeholder(place->address.ip))
		return 0; /* it would be read as the sign for a name */
	out[0] = SOCKS_VERSION_4;
	out[1] = request->command;
	len += write_port(place->address.port, out + len);
	memcpy(out + len, named ? placeholder : place->address.ip, 4);
	len += 4;
	len += write_string(request->user, out + len);
	return named ? len + write_string(place->name, out + len) : len;
}

size_t socks_request_write(enum socks_version version, const struct socks_request *request, uint8_t *out)
{
	size_t len;

	if (request->command < SOCKS_CONNECT || request->command > SOCKS_UDP)
		return 0;
	if (version == SOCKS_VERSION_4)
		return request_4_write(request, out);
	out[0] = SOCKS_VERSION_5;
	out[1] = request->command;
	out[2] = 0;
	len = write_place(&request->place, out + 3);
	return len ? 3 + len : 0;
}

/* ---- replies ---- */

static enum socks_code code_of_4(uint8_t code)
{
	switch (code) {
	case GRANTED_4:
		return SOCKS_SUCCEEDED;
	case USER_UNKNOWN_4:
	case USER_WRONG_4:
		return SOCKS_NOT_ALLOWED;
	default:
		return SOCKS_FAILED;
	}
}

static enum socks_read reply_4_read(struct reader *reader, struct socks_reply *reply)
{
	struct socks_place *bound = &reply->bound;
	struct span ip;
	uint8_t code;

	if (!read_byte(reader, &code) || !read_port(reader, &bound->address.port) ||
	    !read_bytes(reader, 4, &ip))
		return SOCKS_MORE;
	reply->code = code_of_4(code);
	bound->address.family = ADDRESS_V4;
	memcpy(bound->address.ip, ip.at, 4);
	return SOCKS_DONE;
}

static enum socks_read reply_5_read(struct reader *reader, struct socks_reply *reply, const char **why)
{
	enum socks_code ignored;
	uint8_t code;

	if (!read_byte(reader, &code))
		return SOCKS_MORE;
	reply->code = code <= SOCKS_ADDRESS_UNKNOWN ? (enum socks_code)code : SOCKS_FAILED;
	enum socks_read result = read_constant(reader, 0, why, "a reserved byte is not 0");
	return result == SOCKS_DONE ? read_place(reader, &reply->bound, &ignored, why) : result;
}

enum socks_read socks_reply_read(enum socks_version version, struct span bytes, struct socks_reply *reply,
				 size_t *used, const char **why)
{
	struct reader reader = reader_make(bytes);
	uint8_t first = version == SOCKS_VERSION_4 ? REPLY_VERSION_4 : SOCKS_VERSION_5;
	enum socks_read result = read_constant(&reader, first, why, "a reply of another version");

	*reply = (struct socks_reply){.code = SOCKS_FAILED};
	if (result != SOCKS_DONE)
		return result;
	result = version == SOCKS_VERSION_4 ? reply_4_read(&reader, reply) : reply_5_read(&reader, reply, why);
	return read_end(&reader, result, used);
}

size_t socks_reply_write(enum socks_version version, enum socks_code code, const struct address *bound,
			 uint8_t *out)
{
	struct socks_place place = {.address = {.family = ADDRESS_V4}};
	bool v4 = version == SOCKS_VERSION_4;

	if (bound->family == ADDRESS_V4 || (bound->family == ADDRESS_V6 && !v4))
		place.address = *bound;
	if (v4) {
		out[0] = REPLY_VERSION_4;
		out[1] = code == SOCKS_SUCCEEDED ? GRANTED_4 : REJECTED_4;
		write_port(place.address.port, out + 2);
		memcpy(out + 4, place.address.ip, 4);
		return 8;
	}
	out[0] = SOCKS_VERSION_5;
	out[1] = (uint8_t)code;
	out[2] = 0;
	return 3 + write_place(&place, out + 3);
}

/* ---- datagrams ---- */

bool socks_datagram_read(struct span bytes, struct socks_datagram *datagram, const char **why)
{
	struct reader reader = reader_make(bytes);
	enum socks_code ignored;
	struct span reserved;

	*why = "the datagram is too short";
	if (!read_bytes(&reader, 2, &reserved) || !read_byte(&reader, &datagram->fragment))
		return false;
	if (reserved.at[0] || reserved.at[1]) {
		*why = "reserved bytes are not 0";
		return false;
	}
	if (read_place(&reader, &datagram->place, &ignored, why) != SOCKS_DONE)
		return false;
	datagram->data = reader.rest;
	return true;
}

size_t socks_datagram_head_write(const struct socks_place *place, uint8_t *out)
{
	memset(out, 0, 3);
	size_t len = write_place(place, out + 3);
	return len ? 3 + len : 0;
}
