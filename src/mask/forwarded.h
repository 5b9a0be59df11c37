/*
 * Who the client of a reverse listener is, and what servers are told of it: X-Forwarded-* and Forwarded (RFC 7239).
 *
 * Only what a trusted hop says is believed: from the peer's own address on, right to left, as long as the hop is in
 * `trusted`. What stands left of the client (somebody not trusted wrote it) goes no further.
 */
#ifndef GUISE_MASK_FORWARDED_H
#define GUISE_MASK_FORWARDED_H

#include "core/diagnostic.h"
#include "http/head.h"
#include "net/peers.h"

/* In the order of the choices of reverse[].forwarded. */
enum forwarded_style { FORWARDED_BOTH, FORWARDED_X, FORWARDED_RFC7239, FORWARDED_OFF };

struct forwarded_policy {
	enum forwarded_style style;
	struct peers trusted;
};

/* False after diagnostics. All in the arena. */
WARN_UNUSED bool forwarded_compile(const struct setting_strings *trusted, int style, struct arena *arena,
				   struct diagnostics *diagnostics, struct forwarded_policy *policy);

/* Whether what this peer says of others is believed. */
bool forwarded_trusts(const struct forwarded_policy *policy, const struct address *peer);

struct forwarded_origin {
	struct address client; /* the last hop known by address: limits and logs count by it */
	struct span client_text; /* the client: its address, or "unknown" or an obfuscated name (RFC 7239 6.2, 6.3) */
	struct span scheme, host; /* as the client spoke them, from a trusted hop; else the request's own */
	struct span chain; /* members of X-Forwarded-For that are believed, client first, without the peer; may be empty */
};

/*
 * Reads the request's fields and leaves them alone. When a trusted peer sends both forms, X-Forwarded-For counts:
 * proxies that write only that one pass a client's Forwarded on. A Forwarded that breaks RFC 7239 4 is not believed
 * at all. False: out of memory.
 */
WARN_UNUSED bool forwarded_read(const struct forwarded_policy *policy, const struct address *peer,
				const struct http_head *request, struct arena *arena,
				struct forwarded_origin *origin);

/*
 * Rewrites the request's fields for the server: every Forwarded, X-Forwarded-* and X-Real-IP that came is dropped,
 * and Guise's own are added in the policy's style (`by` is left out). `origin` is what forwarded_read gave before.
 * False: out of memory.
 */
/* Drops from `fields`, a request's trailers, what forwarded_write drops from its head. */
void forwarded_drop(struct http_fields *fields);

WARN_UNUSED bool forwarded_write(const struct forwarded_policy *policy, const struct address *peer,
				 const struct forwarded_origin *origin, struct http_head *request,
				 struct arena *arena);

#endif
