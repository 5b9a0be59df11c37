/*
 * Questions and answers of DNS. See dns.h.
 */
#include "audit/dns.h"

enum {
	HEADER = 12,
	CLASS_IN = 1,
	TYPE_OPT = 41,
	OPTION_SUBNET = 8, /* RFC 7871 6 */
	LABEL_MOST = 63,
	TTL = 1, /* seconds */
	POINTER_TO_QUESTION = 0xc000 | HEADER,
	FLAG_RESPONSE = 0x8000,
	FLAG_AUTHORITATIVE = 0x0400,
	FLAG_RECURSION = 0x0100,
	FLAG_RECURSION_AVAILABLE = 0x0080,
	PAYLOAD = 1232, /* bytes that we take: what every path carries */
};

/* ---- reading ---- */

/* Big-endian. Reading past the end makes it broken, and gives zeros. */
struct reader {
	struct span rest;
	bool broken;
};

static struct span take(struct reader *reader, size_t len)
{
	struct span taken;

	if (reader->rest.len < len) {
		reader->broken = true;
		reader->rest.len = 0;
		return (struct span){0};
	}
	taken = span_first(reader->rest, len);
	reader->rest = span_from(reader->rest, len);
	return taken;
}

static uint8_t take8(struct reader *reader)
{
	struct span one = take(reader, 1);

	return one.len ? one.at[0] : 0;
}

static uint16_t take16(struct reader *reader)
{
	uint16_t high = take8(reader);

	return (uint16_t)(high << 8 | take8(reader));
}

/* RFC 1035 3.1: labels up to the empty one; nothing that a question points back to. Bytes of labels are kept but for their case. */
static bool take_name(struct reader *reader, struct dns_question *question)
{
	for (;;) {
		struct span label = take(reader, take8(reader));

		if (reader->broken || label.len > LABEL_MOST)
			return false;
		if (label.len == 0)
			return question->name_len > 0;
		if (question->name_len + label.len + (question->name_len > 0) > sizeof(question->name))
			return false;
		if (question->name_len)
			question->name[question->name_len++] = '.';
		for (size_t i = 0; i < label.len; i++)
			question->name[question->name_len++] = ascii_lower(label.at[i]);
	}
}

static void look_at_options(struct span data, struct dns_question *question)
{
	struct reader reader = {.rest = data};

	while (reader.rest.len) {
		uint16_t code = take16(&reader);
		struct span value = take(&reader, take16(&reader));

		if (!reader.broken && code == OPTION_SUBNET)
			question->subnet = value;
	}
}

/* RFC 6891 6.1.2: a record of the root, whose data are options. */
static void look_at_additional(struct reader *reader, struct dns_question *question)
{
	uint16_t type;
	struct span data;

	if (take8(reader) != 0)
		return; /* it has a name: something else, that nothing here is for */
	type = take16(reader);
	(void)take(reader, 6); /* size, extended code, flags */
	data = take(reader, take16(reader));
	if (reader->broken || type != TYPE_OPT)
		return;
	question->edns = true;
	look_at_options(data, question);
}

bool dns_question_parse(struct span packet, struct dns_question *question)
{
	struct reader reader = {.rest = packet};
	uint16_t flags, questions, others, additional;
	const uint8_t *start;

	*question = (struct dns_question){.id = take16(&reader)};
	flags = take16(&reader);
	questions = take16(&reader);
	others = take16(&reader); /* answers */
	others |= take16(&reader);
	additional = take16(&reader);
	/* An answer, another kind of operation, or not one question (RFC 9619). */
	if (reader.broken || flags & 0xf800 || questions != 1 || others)
		return false;
	question->recursion = flags & FLAG_RECURSION;
	start = reader.rest.at;
	if (!take_name(&reader, question))
		return false;
	question->type = take16(&reader);
	if (take16(&reader) != CLASS_IN || reader.broken)
		return false;
	question->raw = span_make(start, (size_t)(reader.rest.at - start));
	if (additional)
		look_at_additional(&reader, question);
	return true;
}

/* ---- writing ---- */

struct writer {
	uint8_t *at;
	size_t len, room;
	bool full;
};

static void put(struct writer *writer, const void *bytes, size_t len)
{
	if (writer->room - writer->len < len) {
		writer->full = true;
		return;
	}
	memcpy(writer->at + writer->len, bytes, len);
	writer->len += len;
}

static void put16(struct writer *writer, unsigned value)
{
	put(writer, (const uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

/* What a record begins with, up to the length of its data. */
static void put_record(struct writer *writer, uint16_t type)
{
	put16(writer, POINTER_TO_QUESTION);
	put16(writer, type);
	put16(writer, CLASS_IN);
	put16(writer, 0);
	put16(writer, TTL);
}

static bool has_address(const struct dns_question *question, const struct dns_answer *answer)
{
	return answer->address && ((question->type == DNS_TYPE_A && answer->address->family == ADDRESS_V4) ||
				   (question->type == DNS_TYPE_AAAA && answer->address->family == ADDRESS_V6));
}

size_t dns_answer_write(const struct dns_question *question, const struct dns_answer *answer, uint8_t *out,
			size_t room)
{
	struct writer writer = {.at = out, .room = room};
	bool address = has_address(question, answer), service = question->type == DNS_TYPE_SRV && answer->port;

	put16(&writer, question->id);
	put16(&writer, FLAG_RESPONSE | FLAG_AUTHORITATIVE | FLAG_RECURSION_AVAILABLE |
			       (question->recursion ? FLAG_RECURSION : 0));
	put16(&writer, 1);
	put16(&writer, address || service);
	put16(&writer, 0);
	put16(&writer, question->edns);
	put(&writer, question->raw.at, question->raw.len);
	if (address) {
		size_t len = question->type == DNS_TYPE_A ? 4 : 16;
		put_record(&writer, question->type);
		put16(&writer, (unsigned)len);
		put(&writer, answer->address->ip, len);
	} else if (service) {
		static const uint8_t node[] = {4, 'n', 'o', 'd', 'e'};
		struct span name = span_first(question->raw, question->raw.len - 4);
		put_record(&writer, DNS_TYPE_SRV);
		put16(&writer, (unsigned)(6 + sizeof(node) + name.len));
		put16(&writer, 0);
		put16(&writer, 1);
		put16(&writer, answer->port);
		put(&writer, node, sizeof(node));
		put(&writer, name.at, name.len); /* RFC 2782: not compressed */
	}
	if (question->edns) {
		static const uint8_t options[] = {0, 0, TYPE_OPT, PAYLOAD >> 8, PAYLOAD & 0xff, 0, 0, 0,
						  0, 0, 0};
		put(&writer, options, sizeof(options));
	}
	return writer.full ? 0 : writer.len;
}

/* ---- addresses of names ---- */

struct dns_name {
	struct span name;
	uint32_t number;
};

void dns_names_init(struct dns_names *names)
{
	*names = (struct dns_names){.lock = PTHREAD_MUTEX_INITIALIZER};
	memory_init(&names->memory, 0);
	arena_init(&names->arena, &names->memory, NULL, NULL, 0);
	map_init(&names->map, NULL);
}

void dns_names_fini(struct dns_names *names)
{
	map_fini(&names->map);
	arena_fini(&names->arena);
	pthread_mutex_destroy(&names->lock);
}

/* With the lock held. NULL: there is no more room. */
static const struct dns_name *name_of(struct dns_names *names, struct span text)
{
	struct dns_name *name = map_get(&names->map, text);

	if (name || names->count == DNS_NAMES_MOST)
		return name;
	name = arena_alloc(&names->arena, sizeof(*name));
	if (!name)
		return NULL;
	*name = (struct dns_name){.name = arena_copy(&names->arena, text), .number = names->count};
	if (!name->name.at || !map_put(&names->map, name->name, name))
		return NULL;
	names->count++;
	return name;
}

bool dns_names_address(struct dns_names *names, struct span text, uint16_t type, struct address *address)
{
	const struct dns_name *name;
	uint8_t high, low;

	if (type != DNS_TYPE_A && type != DNS_TYPE_AAAA)
		return false;
	pthread_mutex_lock(&names->lock);
	name = name_of(names, text);
	pthread_mutex_unlock(&names->lock);
	if (!name)
		return false;
	high = (uint8_t)(name->number / 250);
	low = (uint8_t)(name->number % 250 + 1);
	/* In both families ordinary unicast space, which every proxy takes for public. */
	if (type == DNS_TYPE_A)
		*address = (struct address){.family = ADDRESS_V4, .ip = {44, 7, high, low}};
	else
		*address = (struct address){.family = ADDRESS_V6,
					    .ip = {0x26, 0x00, 0x70, 0x44, [14] = high, [15] = low}};
	return true;
}
