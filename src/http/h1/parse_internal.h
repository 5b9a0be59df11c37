/*
 * What the files of the HTTP/1 parser share: the message while it is being read. Private to this room.
 */
#ifndef GUISE_HTTP_H1_PARSE_INTERNAL_H
#define GUISE_HTTP_H1_PARSE_INTERNAL_H

#include "http/h1/parse.h"

/* Bytes not read yet. */
struct h1_cursor {
	const uint8_t *at, *end;
};

struct h1_message {
	bool response;
	struct arena *arena;
	const struct h1_limits *limits;
	struct http_head *head;
	struct h1_framing *framing;
	struct error *error;

	/* Connection (hop.c) */
	bool close, keep_alive, option_upgrade, option_te;
	unsigned nominations;
	unsigned protocols;
	bool te_trailers;
	bool expect_continue, expect_unknown;

	/* framing (framing.c) */
	unsigned lengths, codings, chunked;
	bool chunked_last, coding_malformed;
	struct span length;

	unsigned hosts;
	struct span host;
};

/* Each of these fills the error and is false. */
bool h1_refuse(struct h1_message *message, const char *text);    /* malformed: 400, or 502 for a response */
bool h1_too_large(struct h1_message *message, const char *text); /* 431, or 502 */
bool h1_fail(struct h1_message *message, enum error_code code, const char *text);

/*
 * Reads the field line at the cursor and steps over its CRLF (RFC 9112 5). The value is trimmed. Returns NULL, or why it is refused.
 * The cursor is not at its end.
 */
const char *h1_field_line(struct h1_cursor *cursor, struct span *name, struct span *value);

/* Steps over the empty line that ends fields; false when there is none here. */
static inline bool h1_empty_line(struct h1_cursor *cursor)
{
	if (cursor->end - cursor->at < 2 || cursor->at[0] != '\r' || cursor->at[1] != '\n')
		return false;
	cursor->at += 2;
	return true;
}

/* hop.c: the fields of one connection (RFC 9110 7.6.1, 7.8, 10.1.1, 10.1.4). */
WARN_UNUSED bool h1_connection_read(struct h1_message *message, struct span value);
WARN_UNUSED bool h1_upgrade_read(struct h1_message *message, struct span value);
void h1_nominated_drop(struct http_fields *fields, const struct http_field *items, uint32_t count);
void h1_persistence_settle(struct h1_message *message);

/* framing.c: how long the body is (RFC 9112 6). */
void h1_coding_read(struct h1_message *message, struct span value);
WARN_UNUSED bool h1_request_frame(struct h1_message *message);
WARN_UNUSED bool h1_response_frame(struct h1_message *message, enum http_method request_method);

#endif
