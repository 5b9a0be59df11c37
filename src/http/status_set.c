/*
 * See status_set.h. Pure.
 */
#include "http/status_set.h"

enum { STATUS_FIRST = 200, STATUS_LAST = 599 }; /* of final responses (RFC 9110 15) */

static bool status_read(struct span text, unsigned *status)
{
	uint64_t number;

	if (text.len != 3 || !span_to_u64(text, &number) || number < STATUS_FIRST || number > STATUS_LAST)
		return false;
	*status = (unsigned)number;
	return true;
}

/* "5xx" */
static bool status_read_class(struct span text, unsigned *first, unsigned *last)
{
	if (text.len != 3 || text.at[0] < '2' || text.at[0] > '5' || ascii_lower(text.at[1]) != 'x' ||
	    ascii_lower(text.at[2]) != 'x')
		return false;
	*first = (unsigned)(text.at[0] - '0') * 100;
	*last = *first + 99;
	return true;
}

bool status_set_add(struct status_set *set, struct span text)
{
	struct span from, to;
	unsigned first, last;

	if (!status_read_class(text, &first, &last)) {
		bool range = span_cut(text, '-', &from, &to);
		if (!status_read(from, &first) || !status_read(range ? to : from, &last) || last < first)
			return false;
	}
	for (unsigned status = first; status <= last; status++)
		set->bits[status / 64] |= UINT64_C(1) << status % 64;
	return true;
}

bool status_set_has(const struct status_set *set, unsigned status)
{
	return status < ARRAY_LENGTH(set->bits) * 64 && set->bits[status / 64] >> status % 64 & 1;
}

void status_set_from(struct status_set *set, const struct setting_strings *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		status_set_add(set, span_make(texts->items[i].text, texts->items[i].len));
}

const char *status_set_check(const char *text, size_t len)
{
	struct status_set set = {0};

	return status_set_add(&set, span_make(text, len)) ?
		       NULL :
		       "a status is a number from 200 to 599, a class (\"5xx\") or a range (\"500-504\")";
}
