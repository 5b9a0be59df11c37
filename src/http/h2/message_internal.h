/*
 * What the files of HTTP/2's messages share. Private to this room.
 */
#ifndef GUISE_HTTP_H2_MESSAGE_INTERNAL_H
#define GUISE_HTTP_H2_MESSAGE_INTERNAL_H

#include "http/field.h"
#include "http/h2/message.h"

/* name.c: the names of field.h as HTTP/2 spells them (RFC 9113 8.2.1). */
extern const struct span h2_field_names[HTTP_FIELD_IDS];

/* One of the fields that belong to one connection, which HTTP/2 does not have (RFC 9113 8.2.2); TE is another matter. */
bool h2_field_is_hop(enum http_field_id id);

enum h2_pseudo {
	H2_PSEUDO_METHOD = 1,
	H2_PSEUDO_SCHEME = 2,
	H2_PSEUDO_AUTHORITY = 4,
	H2_PSEUDO_PATH = 8,
	H2_PSEUDO_PROTOCOL = 16,
	H2_PSEUDO_STATUS = 32,
};

/* message.c; each keeps the fault, if it is the first, and is false. */
bool h2_fail(struct h2_message *message, enum error_code code, const char *text);
bool h2_refuse(struct h2_message *message, const char *text);    /* malformed: 400, or 502 for a response */
bool h2_too_large(struct h2_message *message, const char *text); /* 431, or 502 */

/* message_end.c: what a complete head means. */
WARN_UNUSED bool h2_request_settle(struct h2_message *message, bool ended);
WARN_UNUSED bool h2_response_settle(struct h2_message *message, bool ended);

#endif
