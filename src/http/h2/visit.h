/*
 * One request of HTTP/2 at a time on a connection of one's own, without input and output: bytes are handed in and taken out. Everything is told as it came, whether
 * messages are sound or not: for tools that look at what others send. A worker's connections are http/h2/client.h. One thread.
 */
#ifndef GUISE_HTTP_H2_VISIT_H
#define GUISE_HTTP_H2_VISIT_H

#include "core/span.h"

struct h2_visit;

struct h2_visit_field {
	struct span name, value; /* pseudo-header fields first: ":method" … */
};

enum { H2_VISIT_FIELDS = 64 };

/* Called within h2_visit_receive; what spans point to is gone afterwards. */
struct h2_visit_ops {
	void (*on_block)(void *owner);                                      /* a field section begins */
	void (*on_field)(void *owner, struct span name, struct span value); /* of it */
	void (*on_data)(void *owner, struct span bytes);
	void (*on_end)(void *owner, uint32_t code); /* the stream is over: a code of RFC 9113 7 */
};

/* NULL: out of memory. */
WARN_UNUSED struct h2_visit *h2_visit_new(const struct h2_visit_ops *ops, void *owner);
void h2_visit_free(struct h2_visit *visit); /* NULL is fine */

/* Without a body. Not before the last one has ended. False: out of memory, or no stream is to be had any more. */
WARN_UNUSED bool h2_visit_request(struct h2_visit *visit, const struct h2_visit_field *fields, size_t count);
/* False: the peer breaks the rules, or out of memory. */
WARN_UNUSED bool h2_visit_receive(struct h2_visit *visit, struct span bytes);
/* What is to be sent, piece by piece, until it is empty; valid until the next call. */
struct span h2_visit_output(struct h2_visit *visit);

#endif
