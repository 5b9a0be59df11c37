/*
 * Where a head ends in bytes that come in parts, and when waiting for more is pointless (RFC 9112 2.2). Pure; called by the
 * connections for every piece that arrives.
 */
#include "http/h1/parse.h"
#include "http/char.h"

size_t h1_head_end(struct span bytes, size_t *scanned)
{
	size_t at = *scanned;
	while (at < bytes.len) {
		const uint8_t *lf = memchr(bytes.at + at, '\n', bytes.len - at);
		if (!lf)
			break;
		size_t i = (size_t)(lf - bytes.at);
		if (i == 0 || lf[-1] != '\r' || i == 1 || lf[-2] == '\n')
			return i + 1;
		at = i + 1;
	}
	*scanned = bytes.len;
	return H1_INCOMPLETE;
}

size_t h1_skip_empty_lines(struct span bytes)
{
	size_t at = 0;
	while (at < 2 * H1_EMPTY_LINES_MOST && bytes.len - at >= 2 && bytes.at[at] == '\r' &&
	       bytes.at[at + 1] == '\n')
		at += 2;
	return at;
}

/* Why these bytes cannot begin a request, or NULL. */
static const char *request_start_check(struct span bytes)
{
	size_t method = http_char_run(span_first(bytes, size_min(bytes.len, 32)), HTTP_CHAR_TOKEN);
	if (bytes.len == 1 && bytes.at[0] == '\r')
		return NULL; /* perhaps an empty line */
	if (method == bytes.len || method == 32)
		return NULL;
	if (method && bytes.at[method] == ' ')
		return NULL;
	return "this is no HTTP request";
}

static const char *response_start_check(struct span bytes)
{
	struct span start = SPAN("HTTP/1.");
	start.len = size_min(start.len, bytes.len);
	return span_starts_with(bytes, start) ? NULL : "this is no HTTP response";
}

static bool hopeless(struct error *error, enum error_code code, const char *text)
{
	*error = error_make(code, text);
	return true;
}

bool h1_head_is_hopeless(struct span bytes, const struct h1_limits *limits, bool response, struct error *error)
{
	enum error_code too_large = response ? ERROR_UPSTREAM_HEAD_TOO_LARGE : ERROR_HEAD_TOO_LARGE;
	if (bytes.len == 0)
		return false;
	const char *why = response ? response_start_check(bytes) : request_start_check(bytes);
	if (why)
		return hopeless(error, response ? ERROR_UPSTREAM_MALFORMED : ERROR_MALFORMED_REQUEST, why);
	size_t first = (size_t)limits->request_line + 2; /* with CRLF */
	if (bytes.len >= first && !memchr(bytes.at, '\n', first))
		return hopeless(error, response ? too_large : ERROR_TARGET_TOO_LONG, "first line too long");
	if (bytes.len >= limits->head)
		return hopeless(error, too_large, NULL);
	const uint8_t *last = memrchr(bytes.at, '\n', bytes.len);
	if (last && (size_t)(bytes.at + bytes.len - last - 1) >= (size_t)limits->field_line + 2)
		return hopeless(error, too_large, "field line too long");
	return false;
}
