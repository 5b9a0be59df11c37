/*
 * HTTP dates (RFC 9110 5.6.7).
 */
#ifndef GUISE_HTTP_DATE_H
#define GUISE_HTTP_DATE_H

#include "core/span.h"

enum { HTTP_DATE_LENGTH = 29 };

/* "Sun, 06 Nov 1994 08:49:37 GMT"; out holds HTTP_DATE_LENGTH bytes, no NUL. */
void http_date_format(int64_t unix_seconds, char *out);

/* A cached formatting for one thread: reformats only when the second changes. */
struct http_date {
	int64_t second;
	char text[HTTP_DATE_LENGTH];
};
struct span http_date_now(struct http_date *cache, int64_t wall_ms);

#endif
