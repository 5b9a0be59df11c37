/*
 * The list of fields of a message, and how a field's name becomes an id. Called by codecs, the mask and handlers, on the
 * worker that owns the exchange. Everything it allocates is in the exchange's arena.
 */
#include "http/field.h"
#include "http/char.h"

enum { FIELDS_FIRST = 24 };

static const struct span field_names[HTTP_FIELD_IDS] = {
#define ROW(id, name) [HTTP_FIELD_##id] = {(const uint8_t *)(name), sizeof(name) - 1},
	HTTP_FIELD_TABLE(ROW)
#undef ROW
};

/*
 * A perfect hash of the names in field.h: length, first letter, the letter at three quarters, last letter, in lower case. A row that a
 * new name would make collide is a compiler warning (override-init); a wrong letter fails the unit test.
 */
enum { SLOTS = 128 };
#define SLOT(length, first, inner, last)                                                                     \
	(((length)*97u + (first)*105u + (last)*96u + (inner)*63u) & (SLOTS - 1))

static const uint8_t field_slots[SLOTS] = {
	[SLOT(6, 'a', 'p', 't')] = HTTP_FIELD_ACCEPT,
	[SLOT(7, 'a', 'v', 'c')] = HTTP_FIELD_ALT_SVC,
	[SLOT(13, 'a', 't', 'n')] = HTTP_FIELD_AUTHORIZATION,
	[SLOT(13, 'c', 't', 'l')] = HTTP_FIELD_CACHE_CONTROL,
	[SLOT(11, 'c', 'e', 't')] = HTTP_FIELD_CLIENT_CERT,
	[SLOT(17, 'c', 'c', 'n')] = HTTP_FIELD_CLIENT_CERT_CHAIN,
	[SLOT(10, 'c', 'i', 'n')] = HTTP_FIELD_CONNECTION,
	[SLOT(16, 'c', 'd', 'g')] = HTTP_FIELD_CONTENT_ENCODING,
	[SLOT(14, 'c', 'n', 'h')] = HTTP_FIELD_CONTENT_LENGTH,
	[SLOT(16, 'c', 't', 'n')] = HTTP_FIELD_CONTENT_LOCATION,
	[SLOT(12, 'c', 'y', 'e')] = HTTP_FIELD_CONTENT_TYPE,
	[SLOT(6, 'c', 'i', 'e')] = HTTP_FIELD_COOKIE,
	[SLOT(4, 'd', 'e', 'e')] = HTTP_FIELD_DATE,
	[SLOT(6, 'e', 'c', 't')] = HTTP_FIELD_EXPECT,
	[SLOT(9, 'f', 'd', 'd')] = HTTP_FIELD_FORWARDED,
	[SLOT(4, 'h', 't', 't')] = HTTP_FIELD_HOST,
	[SLOT(14, 'h', 'i', 's')] = HTTP_FIELD_HTTP2_SETTINGS,
	[SLOT(10, 'k', 'i', 'e')] = HTTP_FIELD_KEEP_ALIVE,
	[SLOT(8, 'l', 'o', 'n')] = HTTP_FIELD_LOCATION,
	[SLOT(12, 'm', 'r', 's')] = HTTP_FIELD_MAX_FORWARDS,
	[SLOT(18, 'p', 'i', 'e')] = HTTP_FIELD_PROXY_AUTHENTICATE,
	[SLOT(25, 'p', 'o', 'o')] = HTTP_FIELD_PROXY_AUTHENTICATION_INFO,
	[SLOT(19, 'p', 'a', 'n')] = HTTP_FIELD_PROXY_AUTHORIZATION,
	[SLOT(16, 'p', 't', 'n')] = HTTP_FIELD_PROXY_CONNECTION,
	[SLOT(12, 'p', 't', 's')] = HTTP_FIELD_PROXY_STATUS,
	[SLOT(7, 'r', 'e', 'r')] = HTTP_FIELD_REFERER,
	[SLOT(6, 's', 'e', 'r')] = HTTP_FIELD_SERVER,
	[SLOT(10, 's', 'k', 'e')] = HTTP_FIELD_SET_COOKIE,
	[SLOT(25, 's', 'e', 'y')] = HTTP_FIELD_STRICT_TRANSPORT_SECURITY,
	[SLOT(2, 't', 'e', 'e')] = HTTP_FIELD_TE,
	[SLOT(7, 't', 'e', 'r')] = HTTP_FIELD_TRAILER,
	[SLOT(17, 't', 'o', 'g')] = HTTP_FIELD_TRANSFER_ENCODING,
	[SLOT(7, 'u', 'd', 'e')] = HTTP_FIELD_UPGRADE,
	[SLOT(10, 'u', 'e', 't')] = HTTP_FIELD_USER_AGENT,
	[SLOT(3, 'v', 'a', 'a')] = HTTP_FIELD_VIA,
	[SLOT(15, 'x', '-', 'r')] = HTTP_FIELD_X_FORWARDED_FOR,
	[SLOT(16, 'x', 'h', 't')] = HTTP_FIELD_X_FORWARDED_HOST,
	[SLOT(16, 'x', 'p', 't')] = HTTP_FIELD_X_FORWARDED_PORT,
	[SLOT(17, 'x', 'p', 'o')] = HTTP_FIELD_X_FORWARDED_PROTO,
	[SLOT(9, 'x', '-', 'p')] = HTTP_FIELD_X_REAL_IP,
};

/*
 * Equal without case, 4 or 8 bytes at a time, for a `known` of letters, digits and '-' only: its letters are the bytes with
 * bit 0x40, and in those alone bit 0x20 may differ.
 */
static inline bool equal_known_8(const uint8_t *at, const uint8_t *known)
{
	uint64_t text, word;
	memcpy(&text, at, sizeof(text));
	memcpy(&word, known, sizeof(word));
	return ((text ^ word) & ~((word & 0x4040404040404040u) >> 1)) == 0;
}

static inline bool equal_known_4(const uint8_t *at, const uint8_t *known)
{
	uint32_t text, word;
	memcpy(&text, at, sizeof(text));
	memcpy(&word, known, sizeof(word));
	return ((text ^ word) & ~((word & 0x40404040u) >> 1)) == 0;
}

static inline bool equal_known(const uint8_t *at, struct span known)
{
	size_t last;
	if (known.len >= 8) {
		last = known.len - 8;
		for (size_t i = 0; i < last; i += 8)
			if (!equal_known_8(at + i, known.at + i))
				return false;
		return equal_known_8(at + last, known.at + last);
	}
	if (known.len >= 4) {
		last = known.len - 4;
		return equal_known_4(at, known.at) && equal_known_4(at + last, known.at + last);
	}
	for (size_t i = 0; i < known.len; i++)
		if (ascii_lower(at[i]) != ascii_lower(known.at[i]))
			return false;
	return true;
}

enum http_field_id http_field_identify(struct span name)
{
	if (name.len < 2)
		return HTTP_FIELD_OTHER;
	unsigned first = name.at[0] | 0x20u, inner = name.at[name.len * 3 / 4] | 0x20u;
	unsigned last = name.at[name.len - 1] | 0x20u;
	uint8_t id = field_slots[SLOT((unsigned)name.len, first, inner, last)];
	if (field_names[id].len != name.len || !equal_known(name.at, field_names[id]))
		return HTTP_FIELD_OTHER;
	return id;
}

struct span http_field_name(enum http_field_id id)
{
	return field_names[id];
}

void http_fields_init(struct http_fields *fields, struct arena *arena)
{
	*fields = (struct http_fields){.arena = arena};
}

static COLD bool fields_grow(struct http_fields *fields)
{
	if (fields->capacity > UINT32_MAX / 4)
		return false;
	uint32_t capacity = fields->capacity ? fields->capacity * 2 : FIELDS_FIRST;
	struct http_field *items = arena_alloc(fields->arena, capacity * sizeof(*items));
	if (!items)
		return false;
	if (fields->count)
		memcpy(items, fields->items, fields->count * sizeof(*items));
	fields->items = items;
	fields->capacity = capacity;
	return true;
}

bool http_fields_add(struct http_fields *fields, enum http_field_id id, struct span name, struct span value)
{
	if (fields->count == fields->capacity && !fields_grow(fields))
		return false;
	fields->items[fields->count++] = (struct http_field){.name = name, .value = value, .id = (uint8_t)id};
	return true;
}

bool http_fields_add_known(struct http_fields *fields, enum http_field_id id, struct span value)
{
	return http_fields_add(fields, id, field_names[id], value);
}

static inline bool field_is(const struct http_field *field, enum http_field_id id, struct span name)
{
	if (field->dropped || field->id != id)
		return false;
	return id != HTTP_FIELD_OTHER || span_equal_nocase(field->name, name);
}

bool http_fields_set(struct http_fields *fields, enum http_field_id id, struct span name, struct span value)
{
	struct http_field *first = NULL;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct http_field *field = &fields->items[i];
		if (!field_is(field, id, name))
			continue;
		if (first)
			field->dropped = true;
		else
			first = field;
	}
	if (!first)
		return http_fields_add(fields, id, name, value);
	first->name = name;
	first->value = value;
	return true;
}

bool http_fields_copy(struct http_fields *to, const struct http_fields *from, struct arena *arena)
{
	const struct http_field *field;
	uint32_t index = 0;

	http_fields_init(to, arena);
	while ((field = http_fields_next(from, &index))) {
		struct span name = arena_copy(arena, field->name);
		struct span value = arena_copy(arena, field->value);
		if (!name.at || !value.at || !http_fields_add(to, field->id, name, value))
			return false;
	}
	return true;
}

void http_fields_drop_id(struct http_fields *fields, enum http_field_id id)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (fields->items[i].id == id)
			fields->items[i].dropped = true;
}

void http_fields_drop_name(struct http_fields *fields, struct span name)
{
	enum http_field_id id = http_field_identify(name);
	for (uint32_t i = 0; i < fields->count; i++)
		if (field_is(&fields->items[i], id, name))
			fields->items[i].dropped = true;
}

struct http_field *http_fields_find(const struct http_fields *fields, enum http_field_id id)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (fields->items[i].id == id && !fields->items[i].dropped)
			return &fields->items[i];
	return NULL;
}

struct http_field *http_fields_find_name(const struct http_fields *fields, struct span name)
{
	enum http_field_id id = http_field_identify(name);
	for (uint32_t i = 0; i < fields->count; i++)
		if (field_is(&fields->items[i], id, name))
			return &fields->items[i];
	return NULL;
}

unsigned http_fields_count_id(const struct http_fields *fields, enum http_field_id id)
{
	unsigned count = 0;
	for (uint32_t i = 0; i < fields->count; i++)
		count += fields->items[i].id == id && !fields->items[i].dropped;
	return count;
}

struct http_field *http_fields_next(const struct http_fields *fields, uint32_t *index)
{
	while (*index < fields->count) {
		struct http_field *field = &fields->items[(*index)++];
		if (!field->dropped)
			return field;
	}
	return NULL;
}

bool http_is_token(struct span text)
{
	return text.len && http_char_run(text, HTTP_CHAR_TOKEN) == text.len;
}

bool http_is_field_value(struct span text)
{
	return http_char_run(text, HTTP_CHAR_VALUE) == text.len;
}
