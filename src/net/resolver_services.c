/*
 * SRV records out of a DNS message (RFC 1035 4, RFC 2782), as whatever name server sent it: nothing in it is believed. Pure functions, any thread.
 */
#include "net/resolver_internal.h"
#include "net/resolver_records.h"

enum {
	HEADER = 12,
	TYPE_CNAME = 5,
	TYPE_SRV = 33,
	CLASS_IN = 1,
	ALIASES_MOST = 8,
	NAME_WIRE_MOST = 255, /* RFC 1035 2.3.4 */
	LABEL_MOST = 63,
};

/* A message and how far it was read. */
struct reader {
	struct span message;
	size_t at;
};

/* A name as text, lower case, no dot at the end; the root is empty. */
struct name {
	char text[NAME_WIRE_MOST];
	size_t len;
	bool strange; /* not what hosts are named like: no text then */
};

struct record {
	struct name owner;
	uint16_t type, class;
	uint32_t ttl;
	size_t end; /* where the next one begins */
};

static bool read_u16(struct reader *reader, uint16_t *value)
{
	const uint8_t *at = reader->message.at + reader->at;

	if (reader->message.len - reader->at < 2)
		return false;
	*value = (uint16_t)(at[0] << 8 | at[1]);
	reader->at += 2;
	return true;
}

static bool read_u32(struct reader *reader, uint32_t *value)
{
	uint16_t high, low;

	if (!read_u16(reader, &high) || !read_u16(reader, &low))
		return false;
	*value = (uint32_t)high << 16 | low;
	return true;
}

static void name_add(struct name *name, struct span label)
{
	if (name->strange)
		return;
	if (name->len)
		name->text[name->len++] = '.';
	for (size_t i = 0; i < label.len; i++) {
		uint8_t byte = ascii_lower(label.at[i]);
		if (!ascii_is_alpha(byte) && !ascii_is_digit(byte) && byte != '-' && byte != '_')
			name->strange = true;
		name->text[name->len++] = (char)byte;
	}
	if (name->strange)
		name->len = 0;
}

/*
 * RFC 1035 4.1.4. Each pointer has to lead to before the run of labels that it stands in, so that there is no way round; a name that is too long is
 * malformed before its text is full.
 */
static bool read_name(struct reader *reader, struct name *name)
{
	const uint8_t *bytes = reader->message.at;
	size_t at = reader->at, start = at, wire = 1;
	bool jumped = false;

	*name = (struct name){.len = 0};
	while (at < reader->message.len) {
		uint8_t head = bytes[at];
		if (head == 0) {
			if (!jumped)
				reader->at = at + 1;
			return true;
		}
		if (head >= 0xc0) {
			if (at + 1 >= reader->message.len)
				return false;
			size_t to = (size_t)(head & 0x3f) << 8 | bytes[at + 1];
			if (to >= start)
				return false;
			if (!jumped)
				reader->at = at + 2;
			jumped = true;
			at = start = to;
			continue;
		}
		wire += head + 1U;
		if (head > LABEL_MOST || wire > NAME_WIRE_MOST || head > reader->message.len - at - 1)
			return false;
		name_add(name, span_make(bytes + at + 1, head));
		at += head + 1U;
	}
	return false;
}

static bool read_record(struct reader *reader, struct record *record)
{
	uint16_t len;

	if (!read_name(reader, &record->owner) || !read_u16(reader, &record->type) ||
	    !read_u16(reader, &record->class) || !read_u32(reader, &record->ttl) || !read_u16(reader, &len) ||
	    reader->message.len - reader->at < len)
		return false;
	if (record->ttl > INT32_MAX) /* RFC 2181 8 */
		record->ttl = 0;
	record->end = reader->at + len;
	return true;
}

static bool name_same(const struct name *a, const struct name *b)
{
	return !a->strange && !b->strange && span_equal(span_make(a->text, a->len), span_make(b->text, b->len));
}

static bool service_same(const struct resolver_service *a, const struct resolver_service *b)
{
	return a->priority == b->priority && a->weight == b->weight && a->port == b->port &&
	       span_equal(span_make(a->target, a->len), span_make(b->target, b->len));
}

static void service_add(struct resolver_records *records, const struct resolver_service *service)
{
	for (unsigned i = 0; i < records->count; i++)
		if (service_same(&records->services[i], service))
			return;
	if (records->count == RESOLVER_MOST_RECORDS)
		records->cut = true;
	else
		records->services[records->count++] = *service;
}

/* The data of an SRV record. Targets that cannot be looked up are passed over. False: malformed. */
static bool read_service(struct reader *reader, size_t end, struct resolver_records *records)
{
	struct resolver_service service = {0};
	char lower[RESOLVER_MAX_NAME];
	struct name target;

	if (!read_u16(reader, &service.priority) || !read_u16(reader, &service.weight) ||
	    !read_u16(reader, &service.port) || !read_name(reader, &target) || reader->at != end)
		return false;
	if (target.len == 0 && !target.strange)
		records->withdrawn = true;
	if (service.port == 0 || target.strange ||
	    !resolver_name_check(span_make(target.text, target.len), lower))
		return true;
	service.len = (uint8_t)target.len;
	memcpy(service.target, target.text, target.len);
	service_add(records, &service);
	return true;
}

/* One record of the answer; `wanted` follows the aliases, which stand before what they lead to. */
static bool take_record(struct reader *reader, struct name *wanted, unsigned *aliases,
			struct resolver_records *records)
{
	struct record record;

	if (!read_record(reader, &record))
		return false;
	bool ours = record.class == CLASS_IN && name_same(&record.owner, wanted);
	if (ours && record.type == TYPE_CNAME) {
		if (++*aliases > ALIASES_MOST || !read_name(reader, wanted) || reader->at != record.end)
			return false;
	} else if (ours && record.type == TYPE_SRV) {
		if (!read_service(reader, record.end, records))
			return false;
	} else {
		ours = false;
	}
	if (ours && record.ttl < records->ttl)
		records->ttl = record.ttl;
	reader->at = record.end;
	return true;
}

bool resolver_services_parse(struct span message, struct resolver_records *records)
{
	struct reader reader = {.message = message, .at = 4};
	uint16_t questions, answers, type, class;
	struct name wanted;
	unsigned aliases = 0;

	records->count = 0;
	records->cut = records->withdrawn = false;
	records->ttl = UINT32_MAX;
	if (message.len < HEADER || !read_u16(&reader, &questions) || !read_u16(&reader, &answers) ||
	    questions != 1)
		return false;
	reader.at = HEADER;
	if (!read_name(&reader, &wanted) || !read_u16(&reader, &type) || !read_u16(&reader, &class))
		return false;
	for (unsigned i = 0; i < answers; i++)
		if (!take_record(&reader, &wanted, &aliases, records))
			return false;
	records->withdrawn = records->withdrawn && records->count == 0;
	records->outcome = records->count || records->withdrawn ? RESOLVER_FOUND : RESOLVER_NOTHING;
	return true;
}
