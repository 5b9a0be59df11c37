/*
 * A set of field names and beginnings of names, each with a small number that says what the set's owner does with such a field. Names are
 * compared without case and with '_' as '-' (see mask/name.h). Compiled with the snapshot, immutable afterwards; any thread.
 *
 * Made by name_set_new, any number of name_set_add, then name_set_seal. A look-up allocates nothing: a known id costs one read of a table; another
 * name is walked byte by byte until no row can be it, which for most names is within a few bytes.
 */
#ifndef GUISE_MASK_NAME_SET_H
#define GUISE_MASK_NAME_SET_H

#include "core/setting.h"
#include "http/field.h"

struct name_set;

/* Empty, and not sealed. NULL: out of memory. */
WARN_UNUSED struct name_set *name_set_new(struct arena *arena);

/*
 * A row: a field name, or with "*" at its end all names that begin so. `value` is 1 to 255. Among rows that a name matches, the whole name
 * counts before beginnings and the longer beginning before the shorter one; of two rows that are the same, the later one. Borrowed until the
 * set is sealed. False: out of memory.
 */
WARN_UNUSED bool name_set_add(struct name_set *set, struct span row, uint8_t value);
/* All words of a list of rows that ends with NULL, or all of a setting. */
WARN_UNUSED bool name_set_add_all(struct name_set *set, const char *const rows[], uint8_t value);
WARN_UNUSED bool name_set_add_settings(struct name_set *set, const struct setting_strings *rows, uint8_t value);

/* Once, before the first look-up; nothing is added later. False: out of memory. */
WARN_UNUSED bool name_set_seal(struct name_set *set);

/* The value of the row that the field matches; 0: none. `id` is the field's (http_field.id). */
uint8_t name_set_find(const struct name_set *set, unsigned id, struct span name);

/* For settings (struct setting, check): NULL, or why this is no row. */
const char *name_set_check_row(const char *text, size_t len);

#endif
