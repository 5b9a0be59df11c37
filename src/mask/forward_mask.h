/*
 * The masks of forward listeners: what servers learn of the client and of the proxy. Also Via (RFC 9110 7.6.3), by
 * which loops are found.
 */
#ifndef GUISE_MASK_FORWARD_MASK_H
#define GUISE_MASK_FORWARD_MASK_H

#include "http/head.h"
#include "net/address.h"

/* In the order of the choices of forward[].mask. */
enum forward_mask_kind {
	FORWARD_TRANSPARENT, /* says who asks: Via, X-Forwarded-For, Forwarded */
	FORWARD_ANONYMOUS,   /* says that there is a proxy: Via; nothing of the client */
	FORWARD_ELITE,       /* says neither (deviates from RFC 9110 7.6.3: no Via) */
};

/*
 * Edits a request's fields before it goes to the server. Proxy-Authorization and other fields meant for this proxy
 * are dropped by every mask. New values are in fields->arena. False: out of memory.
 */
WARN_UNUSED bool forward_mask_request(enum forward_mask_kind mask, const struct address *client,
				      struct span pseudonym, struct http_head *request);
/* The same for a response on its way to the client: Via but for elite; Proxy-Authenticate and the like are dropped. */
WARN_UNUSED bool forward_mask_response(enum forward_mask_kind mask, struct span pseudonym,
				       struct http_head *response);
/* Drops from a request's trailers what its head may not have either. */
void forward_mask_trailers(enum forward_mask_kind mask, struct http_fields *trailers);

/* Whether a Via names this pseudonym as a received-by (without case): the message has been here. */
bool via_has(const struct http_fields *fields, struct span pseudonym);
/* Adds one member for a message received in `version`; pseudonym is borrowed no longer than the call. False: out of memory. */
WARN_UNUSED bool via_append(struct http_fields *fields, enum http_version version, struct span pseudonym);

/* Whether the field carries a client's address or says that there is a proxy ('_' counts as '-'). */
bool forward_mask_names(struct span name);

#endif
