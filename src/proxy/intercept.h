/*
 * Interception: connections of clients that know of no proxy, which the system has sent here. Where they were on the way to is what they came to
 * (struct client's `local`). What they begin with decides: plain HTTP is served as such, TLS is handed on as it is to the name in its ClientHello, anything
 * else to where it was on the way to. On the worker that accepted.
 */
#ifndef GUISE_PROXY_INTERCEPT_H
#define GUISE_PROXY_INTERCEPT_H

#include "proxy/proxy.h"

/* Where a connection just accepted was on the way to; family ADDRESS_NONE: nobody knows. */
struct address intercept_original(const struct proxy_listener *listener, int fd, const struct address *peer);

/* Takes over an established connection of a client and starts reading: see codec_open_fn. */
WARN_UNUSED bool intercept_open(struct conn *conn, const struct client *client, const struct service *service,
				client_gone_fn *on_gone, void *owner);

enum intercept_guess {
	INTERCEPT_IS_TLS,
	INTERCEPT_IS_HTTP, /* HTTP/1, without a proxy in mind: a request of origin form, or with an http URL */
	INTERCEPT_IS_OTHER, /* HTTP/2 by prior knowledge, too */
	INTERCEPT_IS_UNCLEAR,
};

/* What a connection is that begins with these bytes; at least one. Pure. */
enum intercept_guess intercept_guess(struct span bytes);

#endif
