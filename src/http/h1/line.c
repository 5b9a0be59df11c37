/*
 * Field lines (RFC 9112 5), for heads and trailers alike. Pure; on the worker that owns the connection.
 */
#include "http/h1/parse_internal.h"
#include "http/char.h"

static COLD const char *name_reason(const struct h1_cursor *cursor, const uint8_t *at)
{
	if (at == cursor->end)
		return "a field line without its end";
	if (at == cursor->at && (*at == ' ' || *at == '\t'))
		return "a folded field line, or a space before a field name"; /* RFC 9112 2.2, 5.2 */
	if (*at == ' ' || *at == '\t')
		return "space before the colon of a field, or in its name"; /* RFC 9112 5.1 */
	if (*at == ':')
		return "empty field name";
	if (*at == '\n' || *at == '\r')
		return "a field line without a colon, or a bare CR or LF";
	return *at ? "a byte in a field name that no name has" : "NUL in a field name";
}

/* RFC 9112 2.2: a bare CR is never a line end; a bare LF might be one, and is refused. */
static COLD const char *value_reason(const struct h1_cursor *cursor, const uint8_t *at)
{
	if (at == cursor->end)
		return "a field line without its end";
	if (*at == '\r')
		return "bare CR in a field value";
	if (*at == '\n')
		return "bare LF as the end of a field line";
	return *at ? "a control byte in a field value" : "NUL in a field value";
}

/* The first byte that no value has; what comes before is one. */
static inline const uint8_t *value_end(const uint8_t *at, const uint8_t *end)
{
	for (;;) {
		while (end - at >= 8 && !http_char_8_have_control(at))
			at += 8;
		while (at < end && http_char_is(*at, HTTP_CHAR_VALUE) && *at != '\t')
			at++;
		if (at == end || *at != '\t')
			return at;
		at++;
	}
}

const char *h1_field_line(struct h1_cursor *cursor, struct span *name, struct span *value)
{
	const uint8_t *at = cursor->at, *end = cursor->end;
	while (at < end && http_char_is(*at, HTTP_CHAR_TOKEN))
		at++;
	if (at == end || *at != ':' || at == cursor->at)
		return name_reason(cursor, at);
	*name = span_make(cursor->at, (size_t)(at - cursor->at));
	at++;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	const uint8_t *start = at;
	at = value_end(at, end);
	if (end - at < 2 || at[0] != '\r' || at[1] != '\n')
		return value_reason(cursor, at);
	cursor->at = at + 2;
	while (at > start && (at[-1] == ' ' || at[-1] == '\t'))
		at--;
	*value = span_make(start, (size_t)(at - start));
	return NULL;
}
