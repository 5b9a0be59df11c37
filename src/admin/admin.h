/*
 * The operator's interface: HTTP on loopback or a unix socket, answered with JSON by the worker that accepted the connection. What Guise does
 * can be read with GET, orders are given with POST (docs/admin.md). The server room fills in struct admin and makes it the owner of the
 * service of each listener of PROXY_ADMIN.
 */
#ifndef GUISE_ADMIN_ADMIN_H
#define GUISE_ADMIN_ADMIN_H

#include "proxy/proxy.h"
#include "upstream/fleet.h"

/* A listener of one of the faces, as the configuration has it. */
struct admin_listener {
	const struct proxy_listener *listener;
	const char *face; /* "reverse": static */
	unsigned index;   /* in the list of that name */
	struct setting_place place;
};

/* What can be asked about. Immutable once workers run; shared by them. Borrows from the server. */
struct admin {
	const char *file; /* the configuration's; NULL: there is none */
	const struct admin_listener *listeners;
	size_t listener_count;
	struct fleet *fleet;
};

/* For service.ops; service.owner is a struct admin. */
extern const struct exchange_ops admin_exchange_ops;

#endif
