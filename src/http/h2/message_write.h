/*
 * Heads and trailers as lists of HTTP/2 fields (RFC 9113 8.2, 8.3), for whatever packs them: names in lower case, pseudo-fields first,
 * nothing that belongs to one connection. Spans point into the head, into static tables, or into the arena; nothing is copied that need
 * not be. Pure but for the arena.
 */
#ifndef GUISE_HTTP_H2_MESSAGE_WRITE_H
#define GUISE_HTTP_H2_MESSAGE_WRITE_H

#include "http/head.h"

struct h2_field {
	struct span name, value;
	bool sensitive; /* never to be indexed (RFC 7541 7.1.3) */
};

/* In the arena. */
struct h2_fields {
	struct h2_field *items;
	uint32_t count;
};

/*
 * True when the request, were it HTTP/1, would ask for WebSocket by Upgrade: it can go as extended CONNECT (RFC 8441), where the server allows that. Any other
 * Upgrade has no meaning in HTTP/2 and is left out.
 */
bool h2_request_is_websocket(const struct http_head *head);

/* A request; `extended`: as extended CONNECT for WebSocket, only when h2_request_is_websocket. False: out of memory. */
WARN_UNUSED bool h2_request_list(const struct http_head *head, bool extended, struct arena *arena,
				 struct h2_fields *list);

/*
 * A response, interim or final. A 101 becomes the 200 that answers an extended CONNECT (RFC 8441 5.1). `date` (RFC 9110 6.6.1) is added to a final one that has
 * none, and copied. False: out of memory.
 */
WARN_UNUSED bool h2_response_list(const struct http_head *head, struct span date, struct arena *arena,
				  struct h2_fields *list);

/* Trailers; may come out empty. False: out of memory. */
WARN_UNUSED bool h2_trailers_list(const struct http_fields *trailers, struct arena *arena,
				  struct h2_fields *list);

/*
 * The 2xx with which a server accepted an extended CONNECT becomes the 101 of the exchange: protocol "websocket", and the
 * Sec-WebSocket-Accept for the Sec-WebSocket-Key of `request`, when it has one (RFC 6455 4.2.2). False: no memory, or no SHA-1.
 */
WARN_UNUSED bool h2_response_switch(struct http_head *response, const struct http_head *request,
				    struct arena *arena);

#endif
