/*
 * Booleans, numbers, sizes and times. See value.h.
 */
#include "config/value.h"

#include <stdio.h>

struct unit {
	const char *name;
	uint64_t factor;
	bool shown; /* used in messages */
};

/* Ascending, as value_format needs it. */
static const struct unit sizes[] = {
	{"B", 1, false},
	{"KB", 1000, false},
	{"kB", 1000, false},
	{"KiB", UINT64_C(1) << 10, true},
	{"MB", 1000000, false},
	{"MiB", UINT64_C(1) << 20, true},
	{"GB", 1000000000, false},
	{"GiB", UINT64_C(1) << 30, true},
	{"TB", UINT64_C(1000000000000), false},
	{"TiB", UINT64_C(1) << 40, true},
	{NULL, 0, false},
};

static const struct unit times[] = {
	{"ms", 1, true},      {"s", 1000, true},     {"m", 60000, true},
	{"h", 3600000, true}, {"d", 86400000, true}, {NULL, 0, false},
};

bool value_bool(struct span text, bool *value)
{
	static const struct {
		const char *name;
		bool value;
	} words[] = {{"true", true}, {"false", false}, {"yes", true},
		     {"no", false},  {"on", true},     {"off", false}};

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
		if (span_equal_nocase(text, span_of(words[i].name))) {
			*value = words[i].value;
			return true;
		}
	return false;
}

static const struct unit *unit_find(const struct unit *units, struct span name)
{
	for (; units->name; units++)
		if (span_equal(name, span_of(units->name)))
			return units;
	return NULL;
}

enum value_fault value_number(enum setting_kind kind, struct span text, uint64_t *value)
{
	const struct unit *unit;
	size_t digits = 0;
	struct span name;
	uint64_t number, product;

	while (digits < text.len && ascii_is_digit(text.at[digits]))
		digits++;
	if (digits == 0)
		return VALUE_MALFORMED;
	name = span_from(text, digits);
	if (kind == SETTING_COUNT && name.len > 0)
		return VALUE_MALFORMED;
	if (!span_to_u64(span_first(text, digits), &number))
		return VALUE_TOO_LARGE;
	name = span_trim(name);
	if (name.len == 0) {
		if (kind == SETTING_TIME && number != 0)
			return VALUE_UNIT_MISSING;
		*value = number;
		return VALUE_GOOD;
	}
	unit = unit_find(kind == SETTING_SIZE ? sizes : times, name);
	if (!unit)
		return ascii_is_alpha(name.at[0]) ? VALUE_UNIT_UNKNOWN : VALUE_MALFORMED;
	if (__builtin_mul_overflow(number, unit->factor, &product))
		return VALUE_TOO_LARGE;
	*value = product;
	return VALUE_GOOD;
}

void value_format(enum setting_kind kind, uint64_t value, char out[VALUE_TEXT])
{
	const struct unit *units = kind == SETTING_SIZE ? sizes : times, *best = NULL;

	if (kind != SETTING_COUNT && value != 0)
		for (; units->name; units++)
			if (units->shown && value % units->factor == 0)
				best = units;
	if (best)
		snprintf(out, VALUE_TEXT, "%llu%s%s", (unsigned long long)(value / best->factor),
			 kind == SETTING_SIZE ? " " : "", best->name);
	else if (kind == SETTING_SIZE)
		snprintf(out, VALUE_TEXT, "%llu bytes", (unsigned long long)value);
	else
		snprintf(out, VALUE_TEXT, "%llu%s", (unsigned long long)value, kind == SETTING_TIME ? "s" : "");
}
