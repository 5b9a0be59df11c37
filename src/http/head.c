/*
 * Methods and statuses (RFC 9110 9, 15), copies of heads. Pure; any thread.
 */
#include "http/head.h"

struct method {
	struct span name;
	bool safe, idempotent; /* RFC 9110 9.2.1, 9.2.2; PATCH: RFC 5789 */
};

#define METHOD(text)                                                                                         \
	{                                                                                                    \
		(const uint8_t *)(text), sizeof(text) - 1                                                    \
	}

static const struct method methods[] = {
	[HTTP_METHOD_OTHER] = {METHOD(""), false, false},
	[HTTP_METHOD_GET] = {METHOD("GET"), true, true},
	[HTTP_METHOD_HEAD] = {METHOD("HEAD"), true, true},
	[HTTP_METHOD_POST] = {METHOD("POST"), false, false},
	[HTTP_METHOD_PUT] = {METHOD("PUT"), false, true},
	[HTTP_METHOD_DELETE] = {METHOD("DELETE"), false, true},
	[HTTP_METHOD_CONNECT] = {METHOD("CONNECT"), false, false},
	[HTTP_METHOD_OPTIONS] = {METHOD("OPTIONS"), true, true},
	[HTTP_METHOD_TRACE] = {METHOD("TRACE"), true, true},
	[HTTP_METHOD_PATCH] = {METHOD("PATCH"), false, false},
};

enum http_method http_method_identify(struct span method)
{
	for (unsigned i = HTTP_METHOD_GET; i < ARRAY_LENGTH(methods); i++)
		if (span_equal(method, methods[i].name))
			return (enum http_method)i;
	return HTTP_METHOD_OTHER;
}

bool http_method_is_safe(enum http_method method)
{
	return methods[method].safe;
}

bool http_method_is_idempotent(enum http_method method)
{
	return methods[method].idempotent;
}

/* The IANA registry of status codes, by hundreds. */
static const char *const reasons_1xx[] = {"Continue", "Switching Protocols", "Processing", "Early Hints"};
static const char *const reasons_2xx[] = {
	[0] = "OK",
	[1] = "Created",
	[2] = "Accepted",
	[3] = "Non-Authoritative Information",
	[4] = "No Content",
	[5] = "Reset Content",
	[6] = "Partial Content",
	[7] = "Multi-Status",
	[8] = "Already Reported",
	[26] = "IM Used",
};
static const char *const reasons_3xx[] = {
	[0] = "Multiple Choices",   [1] = "Moved Permanently",  [2] = "Found",
	[3] = "See Other",          [4] = "Not Modified",       [5] = "Use Proxy",
	[7] = "Temporary Redirect", [8] = "Permanent Redirect",
};
static const char *const reasons_4xx[] = {
	[0] = "Bad Request",
	[1] = "Unauthorized",
	[2] = "Payment Required",
	[3] = "Forbidden",
	[4] = "Not Found",
	[5] = "Method Not Allowed",
	[6] = "Not Acceptable",
	[7] = "Proxy Authentication Required",
	[8] = "Request Timeout",
	[9] = "Conflict",
	[10] = "Gone",
	[11] = "Length Required",
	[12] = "Precondition Failed",
	[13] = "Content Too Large",
	[14] = "URI Too Long",
	[15] = "Unsupported Media Type",
	[16] = "Range Not Satisfiable",
	[17] = "Expectation Failed",
	[21] = "Misdirected Request",
	[22] = "Unprocessable Content",
	[23] = "Locked",
	[24] = "Failed Dependency",
	[25] = "Too Early",
	[26] = "Upgrade Required",
	[28] = "Precondition Required",
	[29] = "Too Many Requests",
	[31] = "Request Header Fields Too Large",
	[51] = "Unavailable For Legal Reasons",
};
static const char *const reasons_5xx[] = {
	[0] = "Internal Server Error",
	[1] = "Not Implemented",
	[2] = "Bad Gateway",
	[3] = "Service Unavailable",
	[4] = "Gateway Timeout",
	[5] = "HTTP Version Not Supported",
	[6] = "Variant Also Negotiates",
	[7] = "Insufficient Storage",
	[8] = "Loop Detected",
	[11] = "Network Authentication Required",
};

static const struct {
	const char *const *reasons;
	unsigned count;
} reason_classes[] = {
	[1] = {reasons_1xx, ARRAY_LENGTH(reasons_1xx)}, [2] = {reasons_2xx, ARRAY_LENGTH(reasons_2xx)},
	[3] = {reasons_3xx, ARRAY_LENGTH(reasons_3xx)}, [4] = {reasons_4xx, ARRAY_LENGTH(reasons_4xx)},
	[5] = {reasons_5xx, ARRAY_LENGTH(reasons_5xx)},
};

/* ---- copies ---- */

static bool text_copy(struct span *text, struct arena *arena)
{
	if (text->len == 0) {
		*text = (struct span){0};
		return true;
	}
	*text = arena_copy(arena, *text);
	return text->at != NULL;
}

bool http_head_copy(struct http_head *to, const struct http_head *from, struct arena *arena)
{
	*to = *from;
	return text_copy(&to->method_text, arena) && text_copy(&to->scheme, arena) &&
	       text_copy(&to->authority, arena) && text_copy(&to->host.host, arena) &&
	       text_copy(&to->path, arena) && text_copy(&to->reason, arena) &&
	       text_copy(&to->protocol, arena) && http_fields_copy(&to->fields, &from->fields, arena);
}

/* RFC 9110 9.3.1, 9.3.2, 9.3.5, 9.3.7. */
bool http_content_is_unexpected(const struct http_head *head)
{
	return http_head_has_body(head) &&
	       (head->method == HTTP_METHOD_GET || head->method == HTTP_METHOD_HEAD ||
		head->method == HTTP_METHOD_DELETE || head->method == HTTP_METHOD_OPTIONS);
}

const char *http_status_reason(unsigned status)
{
	unsigned class = status / 100, rest = status % 100;
	if (class >= ARRAY_LENGTH(reason_classes) || rest >= reason_classes[class].count)
		return "";
	const char *reason = reason_classes[class].reasons[rest];
	return reason ? reason : "";
}
