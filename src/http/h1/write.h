/*
 * HTTP/1 messages, written canonically: one spelling for everything, whatever came in. Pure but for the buffers it fills.
 */
#ifndef GUISE_HTTP_H1_WRITE_H
#define GUISE_HTTP_H1_WRITE_H

#include "core/chunk.h"
#include "http/head.h"

enum h1_connection { H1_CONNECTION_NONE, H1_CONNECTION_CLOSE, H1_CONNECTION_KEEP_ALIVE };

struct h1_write {
	enum h1_connection connection; /* KEEP_ALIVE is written only towards HTTP/1.0 */
	bool chunked;                  /* send Transfer-Encoding: chunked */
	bool absolute_form;            /* request: to a parent proxy */
	bool upgrade;                  /* Connection: upgrade and Upgrade: head->protocol */
	bool te_trailers;              /* Connection: TE and TE: trailers */
	struct span authorization;     /* request: Proxy-Authorization; empty: none */
};

/*
 * Request line with HTTP/1.1, Host first (from head->authority), the fields that are not dropped, then framing: Content-Length when
 * head->body is LENGTH, chunked as asked, and Content-Length: 0 for bodiless POST, PUT and PATCH (RFC 9110 8.6). Expect: 100-continue when
 * head->expect_continue. Head is one contiguous piece. False: out of memory, the queue as before.
 */
WARN_UNUSED bool h1_request_write(struct buffers *buffers, struct chunk_queue *out,
				  const struct http_head *head, const struct h1_write *how);
/*
 * Status line with HTTP/1.1, Date when there is none (`date`, RFC 9110 6.6.1; not on 1xx), fields, framing. length_known writes Content-Length for
 * HEAD and 304 as well; never for 1xx and 204.
 */
WARN_UNUSED bool h1_response_write(struct buffers *buffers, struct chunk_queue *out,
				   const struct http_head *head, const struct h1_write *how, struct span date);

/* Frames what is in `data` (left empty) as one chunk. An empty `data` writes nothing. */
WARN_UNUSED bool h1_chunk_write(struct buffers *buffers, struct chunk_queue *out, struct chunk_queue *data);
/* The last chunk with trailers (may be NULL). */
WARN_UNUSED bool h1_last_chunk_write(struct buffers *buffers, struct chunk_queue *out,
				     const struct http_fields *trailers);

#endif
