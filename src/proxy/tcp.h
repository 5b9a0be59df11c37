/*
 * The tcp face: a connection of a client, handed on as it is to a server of a group. An exchange without heads, a tunnel from its beginning.
 */
#ifndef GUISE_PROXY_TCP_H
#define GUISE_PROXY_TCP_H

#include "proxy/proxy.h"

/* Takes over an established connection of a client and starts reading: see codec_open_fn. */
WARN_UNUSED bool tcp_open(struct conn *conn, const struct client *client, const struct service *service,
			  client_gone_fn *on_gone, void *owner);

#endif
