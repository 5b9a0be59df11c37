/*
 * HTTP/1 heads, read strictly (RFC 9112): what is ambiguous is refused with a reason. Pure; no sockets.
 *
 * Reading is two steps: h1_head_end finds where a head ends in bytes that may have arrived in parts; then the head is copied
 * once into the exchange's arena and parsed there, so that every span of the result lives as long as the exchange.
 */
#ifndef GUISE_HTTP_H1_PARSE_H
#define GUISE_HTTP_H1_PARSE_H

#include "core/error.h"
#include "http/head.h"

struct h1_limits {
	uint32_t request_line; /* bytes, without CRLF */
	uint32_t field_line;
	uint32_t fields;
	uint32_t head; /* all of it */
};

enum { H1_INCOMPLETE = 0 };

/*
 * Looks for the empty line that ends a head. `scanned` (start with 0) remembers how far earlier calls with fewer bytes came.
 * Returns the length of the head with its empty line, or H1_INCOMPLETE. Only looks at line ends: CRLF CRLF, or a
 * bare LF in the wrong place, which also ends the search so that the parser can refuse it.
 */
size_t h1_head_end(struct span bytes, size_t *scanned);

enum { H1_EMPTY_LINES_MOST = 4 }; /* before a request */

/* Before a request line up to 4 empty lines (CRLF) are skipped (RFC 9112 2.2); returns how many bytes. */
size_t h1_skip_empty_lines(struct span bytes);

/*
 * An incomplete head that can no longer become a legal one: request line over its limit (414), a field line or the total over
 * theirs (431), or a first line that cannot be HTTP. True: *error tells.
 */
bool h1_head_is_hopeless(struct span bytes, const struct h1_limits *limits, bool response, struct error *error);

/* What the codec must know about framing and persistence; not part of the message. */
struct h1_framing {
	bool keep_alive; /* the sender's wish, by version and Connection (RFC 9112 9.3) */
	bool chunked;
	bool upgrade; /* head->protocol is set and Connection named upgrade */
};

/*
 * Parses a request head (complete, in memory that lives as long as head). Host rules (RFC 9112 3.2), framing rules
 * (6.1, 6.3), field syntax (5). Drops the hop-by-hop fields named in head.h (also all that Connection nominates, except that
 * nominating end-to-end essentials such as Host, Content-Length, Authorization, Cookie … is refused or ignored as 9110 7.6.1 asks).
 * `scheme` is what the listener speaks. h2c and HTTP2-Settings are removed from Upgrade.
 * False: *error tells (code MALFORMED_REQUEST, BAD_TARGET, TARGET_TOO_LONG, HEAD_TOO_LARGE, CODING_UNKNOWN, VERSION_UNSUPPORTED, MEMORY); what was read so far of the
 * method and target is in `head` for the log.
 */
WARN_UNUSED bool h1_request_parse(struct span bytes, struct arena *arena, const struct h1_limits *limits,
				  struct span scheme, struct http_head *head, struct h1_framing *framing,
				  struct error *error);

/*
 * Parses a response head. `request_method` decides about the body (RFC 9112 6.3); a 2xx to CONNECT and a 101 have none and make a
 * tunnel. False: *error tells (UPSTREAM_MALFORMED, UPSTREAM_HEAD_TOO_LARGE, UPSTREAM_CODING, MEMORY).
 */
WARN_UNUSED bool h1_response_parse(struct span bytes, struct arena *arena, const struct h1_limits *limits,
				   enum http_method request_method, struct http_head *head,
				   struct h1_framing *framing, struct error *error);

#endif
