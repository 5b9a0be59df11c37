/*
 * Which fields may come in a trailer section (RFC 9110 6.5.1). Pure; called by codecs.
 */
#include "http/field.h"

#define TEXT(text)                                                                                           \
	{                                                                                                    \
		(const uint8_t *)(text), sizeof(text) - 1                                                    \
	}

static const struct span forbidden_names[] = {
	TEXT("age"),    TEXT("allow"),    TEXT("expires"), TEXT("pragma"),
	TEXT("range"),  TEXT("priority"), TEXT("refresh"), TEXT("retry-after"),
	TEXT("origin"), TEXT("vary"),     TEXT("warning"), TEXT("www-authenticate"),
};

static const struct span forbidden_prefixes[] = {
	TEXT("accept-"), TEXT("access-control-"), TEXT("cdn-"), TEXT("content-"),
	TEXT("if-"),     TEXT("proxy-"),          TEXT("sec-"), TEXT("x-forwarded-"),
};

/* RFC 9530 2, 3: a digest is only known at the end. */
static const struct span allowed_names[] = {TEXT("content-digest")};

static bool is_one_of(struct span name, const struct span *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_equal_nocase(name, names[i]))
			return true;
	return false;
}

bool http_field_may_trail(enum http_field_id id, struct span name)
{
	if (id == HTTP_FIELD_PROXY_STATUS) /* RFC 9209 2 */
		return true;
	if (id != HTTP_FIELD_OTHER)
		return false;
	if (is_one_of(name, allowed_names, ARRAY_LENGTH(allowed_names)))
		return true;
	if (is_one_of(name, forbidden_names, ARRAY_LENGTH(forbidden_names)))
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(forbidden_prefixes); i++) {
		struct span prefix = forbidden_prefixes[i];
		if (name.len >= prefix.len && span_equal_nocase(span_first(name, prefix.len), prefix))
			return false;
	}
	return true;
}
