/*
 * Single values as a configuration writes them: booleans, numbers, sizes, times; and how they are said in messages.
 * Pure.
 */
#ifndef GUISE_CONFIG_VALUE_H
#define GUISE_CONFIG_VALUE_H

#include "core/setting.h"
#include "core/span.h"

enum value_fault { VALUE_GOOD, VALUE_MALFORMED, VALUE_UNIT_MISSING, VALUE_UNIT_UNKNOWN, VALUE_TOO_LARGE };

enum { VALUE_TEXT = 40 }; /* enough for any formatted number, size or time, with its NUL */

/* true false yes no on off, as YAML 1.1 spells them. */
WARN_UNUSED bool value_bool(struct span text, bool *value);

/* SETTING_COUNT, SETTING_SIZE (to bytes) or SETTING_TIME (to milliseconds). Whole numbers only; *value is set when good. */
WARN_UNUSED enum value_fault value_number(enum setting_kind kind, struct span text, uint64_t *value);

/* In the largest unit that gives a whole number: "64 KiB", "5m", "32768". */
void value_format(enum setting_kind kind, uint64_t value, char out[VALUE_TEXT]);

#endif
