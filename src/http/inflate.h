/*
 * Content codings that can be undone (RFC 9110 8.4.1): gzip and deflate, in pieces, with an end to how much little bytes may become.
 */
#ifndef GUISE_HTTP_INFLATE_H
#define GUISE_HTTP_INFLATE_H

#include "core/memory.h"
#include "http/field.h"

enum content_coding {
	CODING_IDENTITY,
	CODING_GZIP,
	CODING_DEFLATE,
	CODING_OTHER, /* another one, or several */
};

/* What Content-Encoding says, over all its lines. */
enum content_coding content_coding_of(const struct http_fields *fields);

/*
 * What Accept-Encoding may say where content has to be read on the way (RFC 9110 12.5.3): of each member that is gzip, deflate or identity, weights
 * included, a copy; "identity" where there are none. ->at is NULL when memory ran out.
 */
WARN_UNUSED struct span content_coding_narrow(const struct http_fields *fields, struct arena *arena);

struct inflater;

/* `coding` is GZIP or DEFLATE. NULL: out of memory. */
WARN_UNUSED struct inflater *inflater_new(struct memory *memory, enum content_coding coding);
void inflater_free(struct inflater *inflater); /* NULL is fine */

enum inflate_result {
	INFLATE_GOOD, /* as far as the input goes, or `room` */
	INFLATE_BAD,  /* it is no such coding */
	INFLATE_BOMB, /* it becomes more than a hundred times what it was */
	INFLATE_MEMORY,
};

/*
 * Uses the front of *in and writes what it becomes, *made bytes, at most `room`. Less than `room`: there is no more to be had without more input. What follows the
 * end of the content is used and dropped (RFC 1952 2.2: unless it is another member).
 */
WARN_UNUSED enum inflate_result inflater_run(struct inflater *inflater, struct span *in, uint8_t *out,
					     size_t room, size_t *made);

/* Whether the input may end here: the content is complete, or there was none. */
bool inflater_may_end(const struct inflater *inflater);

#endif
