/*
 * See field_order.h.
 */
#include "mask/field_order.h"

#include <stdlib.h>

struct placed {
	struct http_field field;
	uint32_t index; /* where it was: the order of fields of one name */
};

static int compare(const void *a, const void *b)
{
	const struct placed *first = a, *second = b;
	struct span one = first->field.name, other = second->field.name;

	for (size_t i = 0; i < one.len && i < other.len; i++) {
		int difference = ascii_lower(one.at[i]) - ascii_lower(other.at[i]);
		if (difference)
			return difference;
	}
	if (one.len != other.len)
		return one.len < other.len ? -1 : 1;
	return first->index < second->index ? -1 : 1;
}

/* Names that are not written as their words are. */
static const char *const irregular[] = {"ETag", "WWW-Authenticate"};

static bool spell(struct http_field *field, struct arena *arena)
{
	if (field->id != HTTP_FIELD_OTHER) {
		field->name = http_field_name(field->id);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(irregular); i++)
		if (span_equal_nocase(field->name, span_of(irregular[i]))) {
			field->name = span_of(irregular[i]);
			return true;
		}
	uint8_t *name = arena_alloc(arena, field->name.len);
	if (!name)
		return false;
	bool first = true;
	for (size_t i = 0; i < field->name.len; i++) {
		uint8_t byte = ascii_lower(field->name.at[i]);
		name[i] = first && ascii_is_alpha(byte) ? (uint8_t)(byte & ~0x20) : byte;
		first = byte == '-';
	}
	field->name = span_make(name, field->name.len);
	return true;
}

bool field_order_apply(struct http_fields *fields)
{
	struct placed *placed = arena_alloc(fields->arena, (fields->count + 1) * sizeof(*placed));
	struct http_field *field;
	uint32_t index = 0, count = 0;

	if (!placed)
		return false;
	while ((field = http_fields_next(fields, &index))) {
		placed[count] = (struct placed){.field = *field, .index = count};
		if (!spell(&placed[count++].field, fields->arena))
			return false;
	}
	qsort(placed, count, sizeof(*placed), compare);
	for (uint32_t i = 0; i < count; i++)
		fields->items[i] = placed[i].field;
	fields->count = count;
	return true;
}
