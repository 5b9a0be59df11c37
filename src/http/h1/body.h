/*
 * HTTP/1 bodies, read strictly (RFC 9112 6, 7): by length, chunked, or until the connection closes. Pure.
 */
#ifndef GUISE_HTTP_H1_BODY_H
#define GUISE_HTTP_H1_BODY_H

#include "core/error.h"
#include "http/head.h"
#include "http/h1/parse.h"

enum h1_body_result {
	H1_BODY_MORE, /* *in is used up: more bytes are needed */
	H1_BODY_DATA, /* *data is payload (inside *in's bytes); call again */
	H1_BODY_END,  /* complete; *in is what follows the body */
	H1_BODY_BAD,  /* *error tells */
};

struct h1_body {
	uint8_t kind;   /* enum http_body; STREAMED = chunked */
	uint8_t state;  /* chunked: where in the grammar */
	uint8_t digits; /* of the chunk size read so far */
	uint32_t overhead; /* extension bytes of this chunk; in trailers, where the line being read begins: bounded */
	uint64_t extensions; /* extension bytes in all */
	uint64_t remaining;  /* bytes of this chunk, or of the body */
	uint64_t total;      /* payload so far */
	struct span trailer; /* collected trailer section, owned by `arena` */
	uint32_t trailer_capacity;
	struct http_fields *trailers; /* filled at the end; NULL until there are any */
	const struct http_field *nominations; /* the head's items: Connection nominates trailers too (RFC 9110 7.6.1) */
	uint32_t nomination_count;
};

/* The items of head->fields (in its arena) are read until the body ends; the head itself is not. */
void h1_body_init(struct h1_body *body, const struct http_head *head);

/*
 * Takes the next step. *in shrinks by what was consumed. Chunk extensions are skipped (their syntax checked, at most 4 KiB in one chunk and
 * never more than 16 times the payload + 16 KiB in all: CVE-2025 style abuse), trailers are parsed into `arena` under `limits` at the end;
 * fields that must not be trailers (framing, routing, authentication, RFC 9110 6.5.1) are dropped. `response` chooses the error code.
 */
enum h1_body_result h1_body_read(struct h1_body *body, struct span *in, struct span *data, struct arena *arena,
				 const struct h1_limits *limits, bool response, struct error *error);

/* What the end of the connection means now: true = the body is complete (kind CLOSE), false = truncated. */
bool h1_body_ends_at_close(const struct h1_body *body);

#endif
