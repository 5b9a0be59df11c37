/*
 * Reads a ClientHello in place, over any number of records: first the headers of the records, until the whole message is there, then the message.
 * Strict, since the server behind will read the same bytes: what could be read in two ways is refused. Pure; any thread.
 */
#include "tls/client_hello.h"

#include "net/address.h"

enum {
	RECORD_HEAD = 5,
	RECORD_MOST = 1 << 14, /* RFC 8446 5.1 */
	RECORD_HANDSHAKE = 22,
	MAJOR = 3, /* of every version, TLS 1.3 included */
	MESSAGE_HEAD = 4,
	CLIENT_HELLO = 1,
	RANDOM = 32,
	SESSION_ID_MOST = 32,
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_ALPN = 16,
	NAME_HOST = 0,
	NAME_MOST = 253,
	LABEL_MOST = 63, /* RFC 1035 2.3.4 */
};

/* ---- the bytes of a message, wherever the records cut them ---- */

struct reader {
	struct span bytes; /* from the next one on; the record headers have been checked */
	size_t record;     /* of them, in the current record */
	size_t left;       /* in the vector that is read */
	bool bad;          /* more was asked for than is left */
};

/* Copies (to NULL: skips) `count` bytes. */
static void reader_take(struct reader *reader, uint8_t *to, size_t count)
{
	if (reader->bad || count > reader->left) {
		reader->bad = true;
		return;
	}
	reader->left -= count;
	while (count) {
		if (reader->record == 0) {
			reader->record = (size_t)reader->bytes.at[3] << 8 | reader->bytes.at[4];
			reader->bytes = span_from(reader->bytes, RECORD_HEAD);
		}
		size_t run = size_min(count, reader->record);
		if (to) {
			memcpy(to, reader->bytes.at, run);
			to += run;
		}
		reader->bytes = span_from(reader->bytes, run);
		reader->record -= run;
		count -= run;
	}
}

/* A number of 1 to 3 bytes; 0 when bad. */
static size_t reader_number(struct reader *reader, unsigned bytes)
{
	uint8_t raw[3] = {0};
	size_t value = 0;

	reader_take(reader, raw, bytes);
	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | raw[i];
	return value;
}

/* Goes into a vector whose length has `bytes` bytes (RFC 8446 3.4); what is then left of the outer one. */
static size_t reader_enter(struct reader *reader, unsigned bytes, size_t least)
{
	size_t length = reader_number(reader, bytes), outer = reader->left;

	if (length < least || length > outer)
		reader->bad = true;
	if (reader->bad)
		return 0;
	reader->left = length;
	return outer - length;
}

/* Nothing may be left unread in it. */
static void reader_leave(struct reader *reader, size_t outer)
{
	if (reader->left)
		reader->bad = true;
	reader->left = outer;
}

static void reader_skip_vector(struct reader *reader, unsigned bytes, size_t least)
{
	size_t outer = reader_enter(reader, bytes, least);

	reader_take(reader, NULL, reader->left);
	reader_leave(reader, outer);
}

/* ---- the records ---- */

/*
 * Walks the headers of the records (RFC 8446 5.1) until a whole ClientHello is there. The versions of records mean nothing except for their
 * first byte, and a handshake record is never empty.
 */
static enum tls_peek records_walk(struct span bytes, size_t *message, uint32_t *need)
{
	uint8_t head[MESSAGE_HEAD];
	size_t at = 0, got = 0;

	*message = MESSAGE_HEAD;
	while (got < *message) {
		struct span rest = span_from(bytes, at);
		if ((rest.len > 0 && rest.at[0] != RECORD_HANDSHAKE) || (rest.len > 1 && rest.at[1] != MAJOR))
			return TLS_PEEK_OTHER;
		*need = (uint32_t)(at + RECORD_HEAD + 1);
		if (rest.len < RECORD_HEAD)
			break;
		size_t length = (size_t)rest.at[3] << 8 | rest.at[4];
		if (length == 0 || length > RECORD_MOST)
			return TLS_PEEK_OTHER;
		size_t there = size_min(length, rest.len - RECORD_HEAD);
		for (size_t i = 0; i < there && got + i < MESSAGE_HEAD; i++)
			head[got + i] = rest.at[RECORD_HEAD + i];
		got += there;
		if (got > 0 && head[0] != CLIENT_HELLO)
			return TLS_PEEK_OTHER;
		if (got >= MESSAGE_HEAD)
			*message = MESSAGE_HEAD + ((size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]);
		if (*message > TLS_CLIENT_HELLO_MOST)
			return TLS_PEEK_OTHER;
		/* More of this record, as far as it can be of the message; or the next one's header. */
		if (there < length) {
			size_t wanted = size_min(length - there, got < *message ? *message - got : 0);
			*need = (uint32_t)(bytes.len + wanted);
			break;
		}
		at += RECORD_HEAD + length;
	}
	return got < *message ? TLS_PEEK_MORE : TLS_PEEK_DONE;
}

/* ---- the message ---- */

/* A host name of letters, digits, "-", "_" and single dots, and no address (RFC 6066 3). Lower case afterwards. */
static bool name_clean(uint8_t *name, size_t *len)
{
	struct address address;
	size_t label = 0;

	if (*len > 1 && name[*len - 1] == '.')
		(*len)--;
	for (size_t i = 0; i < *len; i++) {
		name[i] = ascii_lower(name[i]);
		bool dot = name[i] == '.';
		if (dot ? label == 0 : label == LABEL_MOST)
			return false;
		if (!dot && !ascii_is_alpha(name[i]) && !ascii_is_digit(name[i]) && name[i] != '-' &&
		    name[i] != '_')
			return false;
		label = dot ? 0 : label + 1;
	}
	return label > 0 && *len <= NAME_MOST && !address_parse_ip(span_make(name, *len), &address);
}

/*
 * RFC 6066 3: a list of names, not two of one type. The only type that exists is host_name, and what another one looked like nobody knows: a list of
 * anything but one host name is refused, as servers do.
 */
static void read_server_name(struct reader *reader, struct tls_client_hello *hello)
{
	size_t list = reader_enter(reader, 2, 1);

	if (reader_number(reader, 1) != NAME_HOST)
		reader->bad = true;
	size_t outer = reader_enter(reader, 2, 1), len = reader->left;
	if (reader->bad || len >= sizeof(hello->name)) {
		reader->bad = true;
		return;
	}
	reader_take(reader, hello->name, len);
	reader_leave(reader, outer);
	reader_leave(reader, list);
	if (!name_clean(hello->name, &len))
		reader->bad = true;
	hello->name_len = (uint8_t)len;
}

/* RFC 7301 3.1 */
static void read_alpn(struct reader *reader, struct tls_client_hello *hello)
{
	size_t list = reader_enter(reader, 2, 2);

	while (!reader->bad && reader->left) {
		uint8_t name[2] = {0};
		size_t outer = reader_enter(reader, 1, 1);
		if (reader->left == sizeof(name)) {
			reader_take(reader, name, sizeof(name));
			hello->h2 |= name[0] == 'h' && name[1] == '2';
		}
		reader_take(reader, NULL, reader->left);
		reader_leave(reader, outer);
	}
	reader_leave(reader, list);
}

/* RFC 8446 4.2: no type twice. */
static void read_extensions(struct reader *reader, struct tls_client_hello *hello)
{
	uint64_t seen[(UINT16_MAX + 1) / 64] = {0};
	size_t all = reader_enter(reader, 2, 0);

	while (!reader->bad && reader->left) {
		size_t type = reader_number(reader, 2);
		if (seen[type / 64] >> type % 64 & 1)
			reader->bad = true;
		seen[type / 64] |= UINT64_C(1) << type % 64;
		size_t outer = reader_enter(reader, 2, 0);
		if (reader->bad)
			return;
		if (type == EXTENSION_SERVER_NAME)
			read_server_name(reader, hello);
		else if (type == EXTENSION_ALPN)
			read_alpn(reader, hello);
		else
			reader_take(reader, NULL, reader->left);
		reader_leave(reader, outer);
	}
	reader_leave(reader, all);
}

/* RFC 8446 4.1.2; one of TLS 1.2 may end before the extensions (RFC 5246 7.4.1.2). */
static bool read_message(struct reader *reader, struct tls_client_hello *hello)
{
	reader_take(reader, NULL, MESSAGE_HEAD);
	if (reader_number(reader, 2) >> 8 != MAJOR)
		reader->bad = true;
	reader_take(reader, NULL, RANDOM);
	size_t outer = reader_enter(reader, 1, 0);
	if (reader->left > SESSION_ID_MOST)
		reader->bad = true;
	reader_take(reader, NULL, reader->left);
	reader_leave(reader, outer);
	outer = reader_enter(reader, 2, 2);
	if (reader->left % 2)
		reader->bad = true;
	reader_take(reader, NULL, reader->left);
	reader_leave(reader, outer);
	reader_skip_vector(reader, 1, 1);
	if (!reader->bad && reader->left)
		read_extensions(reader, hello);
	return !reader->bad && reader->left == 0;
}

enum tls_peek tls_client_hello_peek(struct span bytes, struct tls_client_hello *hello)
{
	size_t message = 0;

	*hello = (struct tls_client_hello){0};
	bytes = span_first(bytes, size_min(bytes.len, TLS_CLIENT_HELLO_MOST));
	enum tls_peek result = records_walk(bytes, &message, &hello->need);
	if (result == TLS_PEEK_MORE && hello->need > TLS_CLIENT_HELLO_MOST)
		result = TLS_PEEK_OTHER;
	if (result == TLS_PEEK_DONE) {
		struct reader reader = {.bytes = bytes, .left = message};
		if (!read_message(&reader, hello))
			result = TLS_PEEK_OTHER;
	}
	if (result != TLS_PEEK_MORE)
		hello->need = 0;
	if (result != TLS_PEEK_DONE)
		*hello = (struct tls_client_hello){.need = hello->need};
	return result;
}
