/*
 * HTTP dates (RFC 9110 5.6.7, IMF-fixdate). Pure; a struct http_date belongs to one thread.
 */
#include "http/date.h"

static uint8_t *put_two(uint8_t *to, unsigned number)
{
	to[0] = (uint8_t)('0' + number / 10 % 10);
	to[1] = (uint8_t)('0' + number % 10);
	return to + 2;
}

static uint8_t *put(uint8_t *to, const char *text, size_t len)
{
	memcpy(to, text, len);
	return to + len;
}

void http_date_format(int64_t unix_seconds, char *out)
{
	static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
	static const char months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";
	const int64_t latest = 253402300799; /* the end of the year 9999 */
	if (unix_seconds < 0)
		unix_seconds = 0;
	if (unix_seconds > latest)
		unix_seconds = latest;
	unsigned day = (unsigned)(unix_seconds / 86400), second = (unsigned)(unix_seconds % 86400);

	/* Civil date from a count of days: years that begin in March, so that the leap day is the last. */
	unsigned shifted = day + 719468, era = shifted / 146097, of_era = shifted % 146097;
	unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153; /* 0 = March */
	unsigned of_month = of_year - (153 * month + 2) / 5 + 1;
	year += era * 400 + (month >= 10);

	uint8_t *to = put((uint8_t *)out, days + day % 7 * 3, 3);
	to = put_two(put(to, ", ", 2), of_month);
	to = put(put(put(to, " ", 1), months + month * 3, 3), " ", 1);
	to = put_two(put_two(to, year / 100), year % 100);
	to = put_two(put(to, " ", 1), second / 3600);
	to = put_two(put(to, ":", 1), second / 60 % 60);
	to = put_two(put(to, ":", 1), second % 60);
	put(to, " GMT", 4);
}

struct span http_date_now(struct http_date *cache, int64_t wall_ms)
{
	int64_t second = wall_ms / 1000;
	if (cache->second != second || !cache->text[0]) {
		http_date_format(second, cache->text);
		cache->second = second;
	}
	return span_make(cache->text, HTTP_DATE_LENGTH);
}
