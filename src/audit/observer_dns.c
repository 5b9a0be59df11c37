/*
 * The observer as a name server: notes each question, and says of every name that it is one address (RFC 1035 4.1). See observer.h. Its own thread.
 */
#include "audit/observer_internal.h"

enum {
	MESSAGE_MOST = 1232,
	HEADER = 12,
	NAME_MOST = 255,
	LABEL_MOST = 63,
	TYPE_A = 1,
	TYPE_AAAA = 28,
	TYPE_OPT = 41,
	OPTION_SUBNET = 8, /* RFC 7871 6 */
	ANSWER_MOST = 28,
};

/* What is left of a message; once `bad`, everything that is read is nothing. */
struct reader {
	struct span left;
	bool bad;
};

static struct span take(struct reader *reader, size_t len)
{
	struct span taken = {0};

	if (reader->bad || len > reader->left.len) {
		reader->bad = true;
		return taken;
	}
	taken = span_first(reader->left, len);
	reader->left = span_from(reader->left, len);
	return taken;
}

static unsigned take_number(struct reader *reader, size_t bytes)
{
	struct span taken = take(reader, bytes);
	unsigned value = 0;

	for (size_t i = 0; i < taken.len; i++)
		value = value << 8 | taken.at[i];
	return value;
}

/* A name without compression, which questions have none of; lower case, with dots between. */
static size_t take_name(struct reader *reader, uint8_t name[NAME_MOST])
{
	size_t len = 0;

	for (;;) {
		unsigned label = take_number(reader, 1);
		if (label == 0 || reader->bad)
			return len;
		if (label > LABEL_MOST || len + label + 1 > NAME_MOST) {
			reader->bad = true;
			return 0;
		}
		struct span text = take(reader, label);
		if (len)
			name[len++] = '.';
		for (size_t i = 0; i < text.len; i++)
			name[len++] = ascii_lower(text.at[i]);
	}
}

/* The client's subnet among the options of an OPT record (RFC 6891 6.1.2); empty: none. */
static struct span find_subnet(struct reader *reader, unsigned additional)
{
	while (additional-- > 0 && !reader->bad) {
		uint8_t name[NAME_MOST];
		(void)take_name(reader, name);
		unsigned type = take_number(reader, 2);
		(void)take(reader, 6);
		struct reader data = {.left = take(reader, take_number(reader, 2))};
		while (type == TYPE_OPT && data.left.len && !data.bad) {
			unsigned option = take_number(&data, 2);
			struct span value = take(&data, take_number(&data, 2));
			if (option == OPTION_SUBNET && !data.bad)
				return value;
		}
	}
	return (struct span){0};
}

/* How long the answer is, written behind the question; the first `question` bytes are the question's own. */
static size_t write_answer(uint8_t *message, size_t question, unsigned type, const struct address *answer)
{
	static const uint8_t pointer[] = {0xc0, HEADER};
	bool has = (type == TYPE_A && answer->family == ADDRESS_V4) ||
		   (type == TYPE_AAAA && answer->family == ADDRESS_V6);
	const size_t length = answer->family == ADDRESS_V4 ? 4 : 16;
	uint8_t *at = message + question;

	message[2] =
		(uint8_t)(0x84 | (message[2] & 1)); /* an answer, authoritative, recursion as it was desired */
	message[3] = 0x80;
	memset(message + 6, 0, 6); /* no records but this one */
	message[7] = has;
	if (!has)
		return question;
	at = mempcpy(at, pointer, sizeof(pointer));
	const uint8_t fixed[] = {0, (uint8_t)type, 0, 1, 0, 0, 0, 1, 0, (uint8_t)length};
	at = mempcpy(at, fixed, sizeof(fixed));
	at = mempcpy(at, answer->ip, length);
	return (size_t)(at - message);
}

/* Notes it and turns the message into its answer; 0: it is no question that there is an answer to. */
static size_t answer_question(struct observer_listener *listener, uint8_t *message, size_t len,
			      const struct address *peer)
{
	struct reader reader = {.left = span_make(message, len)};
	struct observer_note *note = observer_note_new(listener->observer);
	struct observer_guest *guest = observer_guest_new(listener->observer, peer, &listener->bound);
	uint8_t name[NAME_MOST];
	size_t result = 0;

	(void)take(&reader, 2);
	bool question = (take_number(&reader, 2) & 0xf800) == 0 && take_number(&reader, 2) == 1;
	(void)take(&reader, 4);
	unsigned additional = take_number(&reader, 2);
	size_t name_len = take_name(&reader, name);
	unsigned type = take_number(&reader, 2);
	(void)take(&reader, 2);
	if (note && guest && question && !reader.bad) {
		size_t end = len - reader.left.len;
		note->message.kind = OBSERVER_QUESTION;
		note->message.connection = &guest->connection;
		note->message.name = arena_copy(&note->arena, span_make(name, name_len));
		note->message.type = type;
		note->message.subnet = arena_copy(&note->arena, find_subnet(&reader, additional));
		if (note->message.name.at && note->message.subnet.at)
			observer_note_keep(listener->observer, note);
		result = write_answer(message, end, type, &listener->answer);
	}
	observer_note_end(listener->observer, note);
	return result;
}

void *observer_dns_run(void *of)
{
	struct observer_listener *listener = of;
	uint8_t message[MESSAGE_MOST + ANSWER_MOST];

	while (observer_wait_readable(listener->observer, listener->fd)) {
		union socket_address raw;
		socklen_t raw_len = sizeof(raw);
		ssize_t got = recvfrom(listener->fd, message, MESSAGE_MOST, MSG_DONTWAIT, &raw.any, &raw_len);
		if (got < HEADER)
			continue;
		struct address peer = address_from_socket(&raw, raw_len);
		size_t len = answer_question(listener, message, (size_t)got, &peer);
		if (len)
			(void)sendto(listener->fd, message, len, MSG_DONTWAIT | MSG_NOSIGNAL, &raw.any,
				     raw_len);
	}
	return NULL;
}
