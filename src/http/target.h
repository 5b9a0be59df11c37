/*
 * Request targets and authorities (RFC 9112 3.2, RFC 3986), strictly: what two parsers could read differently is refused.
 */
#ifndef GUISE_HTTP_TARGET_H
#define GUISE_HTTP_TARGET_H

#include "core/error.h"
#include "http/head.h"

/*
 * Takes host[:port] apart: reg-name (letters, digits, '-', '.', '_'; percent-encoding and other sub-delims are refused), strict dotted quad, or
 * [IPv6]. A name whose last label is a number or 0x-number but that is no strict dotted quad is refused: other programs read it
 * as an address (WHATWG URL "ends in a number"). Userinfo, empty host, port 0, port > 65535 are refused;
 * an empty port is none. The host is lowered into
 * the arena when needed. `text` in the error says why.
 */
WARN_UNUSED bool http_authority_parse(struct span text, struct arena *arena, struct http_authority *authority,
				      struct error *error);

/*
 * http_authority_parse into head->host, with head->authority as it was spelt (without the colon of an empty port); for the Host field
 * and for targets alike.
 */
WARN_UNUSED bool http_authority_read(struct span text, struct arena *arena, struct http_head *head,
				     struct error *error);

/*
 * Reads a request target for `head->method` into head->target_form, scheme, authority, host (when absolute or authority form) and
 * path. absolute-form: scheme http or https only, userinfo refused, an empty path becomes "/" (OPTIONS: "*"). Fragment, control bytes, space,
 * bytes >= 0x80, '\\', '"', '<', '>', '^', '`', '{', '|', '}' : space, controls, DEL, non-ASCII and '#' are refused; the others pass
 * as they are (browsers send some).
 */
WARN_UNUSED bool http_target_parse(struct span target, struct arena *arena, struct http_head *head,
				   struct error *error);

/* The path without query; and the query without '?'. */
struct span http_path_only(struct span path);
struct span http_query_only(struct span path);

/* The port for a scheme: 80 or 443. */
uint16_t http_scheme_port(struct span scheme);

/*
 * For routing only, never for forwarding: percent-decoded where that gives unreserved bytes or '/', dot segments removed (RFC 3986
 * 5.2.4, 6.2.2), repeated slashes merged. False: an encoding is invalid, %00, ".." would climb above the root, or what ".." removes
 * depends on whether slashes are merged before. Output in the arena; no copy
 * when nothing changes.
 */
WARN_UNUSED bool http_path_normalise(struct span path, struct arena *arena, struct span *normal);

#endif
