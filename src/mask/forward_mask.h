/*
 * The masks of forward listeners: what servers learn of the client and of the proxy. Compiled with the snapshot, immutable; applied on workers. Also Via
 * (RFC 9110 7.6.3), by which loops are found.
 */
#ifndef GUISE_MASK_FORWARD_MASK_H
#define GUISE_MASK_FORWARD_MASK_H

#include "core/diagnostic.h"
#include "http/head.h"
#include "mask/settings.h"
#include "net/address.h"

/* In the order of the choices of forward[].mask.kind, .unknown, .referer. */
enum forward_mask_kind {
	FORWARD_TRANSPARENT, /* says who asks: Via, X-Forwarded-For, Forwarded */
	FORWARD_ANONYMOUS,   /* says that there is a proxy: Via; nothing of the client */
	FORWARD_ELITE,       /* says neither (deviates from RFC 9110 7.6.3: no Via) */
};
enum forward_unknown { FORWARD_PASS, FORWARD_ALLOWLIST };
enum forward_referer {
	FORWARD_REFERER_FULL,
	FORWARD_REFERER_ORIGIN,
	FORWARD_REFERER_SAME_ORIGIN,
	FORWARD_REFERER_NONE,
};

struct forward_mask;

/* False after diagnostics: settings that contradict one another. `settings` lives as long as the mask; all else is in the arena. */
WARN_UNUSED bool forward_mask_compile(const struct forward_mask_settings *settings, struct arena *arena,
				      struct diagnostics *diagnostics, const struct forward_mask **mask);

enum forward_mask_kind forward_mask_kind(const struct forward_mask *mask);
/* Whether a Referer is cut or dropped that leads to where the request goes, too. */
bool forward_mask_cuts_referer(const struct forward_mask *mask);

/*
 * Edits a request's fields before it goes to the server. Proxy-Authorization and other fields meant for this proxy
 * are dropped by every mask. New values are in fields->arena. False: out of memory.
 */
WARN_UNUSED bool forward_mask_request(const struct forward_mask *mask, const struct address *client,
				      struct span pseudonym, struct http_head *request);
/* Whether the target's path or query holds the client's address, which the mask would drop from a field: it is not edited. */
bool forward_mask_is_told(const struct forward_mask *mask, const struct address *client, struct span path);
/* Drops from a request's trailers what its head may not have either. */
void forward_mask_trailers(const struct forward_mask *mask, const struct address *client,
			   struct http_fields *trailers);

/*
 * Edits a final response on its way to the client: what forward_mask_hide does, and Via but for elite. False: out of memory.
 */
WARN_UNUSED bool forward_mask_response(const struct forward_mask *mask, struct span pseudonym,
				       struct http_head *response);
/* Of a response's head, final or interim, or its trailers: Proxy-Authenticate and the like are dropped, and what the mask strips. */
void forward_mask_hide(const struct forward_mask *mask, struct http_fields *fields);

/* Whether a Via names this pseudonym as a received-by (without case): the message has been here. */
bool via_has(const struct http_fields *fields, struct span pseudonym);
/* Adds one member for a message received in `version`; pseudonym is borrowed no longer than the call. False: out of memory. */
WARN_UNUSED bool via_append(struct http_fields *fields, enum http_version version, struct span pseudonym);

#endif
