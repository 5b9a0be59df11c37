/*
 * TLS towards the servers of a group, on one worker.
 */
#ifndef GUISE_UPSTREAM_SECURE_INTERNAL_H
#define GUISE_UPSTREAM_SECURE_INTERNAL_H

#include "upstream/acquire.h"

static inline bool upstream_is_secure(const struct upstream_group *group)
{
	return group->settings->tls.place.line != 0;
}

/* Harmless for a group without TLS. False: out of memory. */
WARN_UNUSED bool upstream_secure_init(struct upstream_group *group);
void upstream_secure_fini(struct upstream_group *group);
/* What is kept of one server. */
void upstream_secure_server_init(struct upstream_server *server);
void upstream_secure_server_fini(struct upstream_server *server);

/* The next handshake with it is a whole one, certificate and all. */
static inline void upstream_secure_forget(struct upstream_server *server)
{
	upstream_secure_server_fini(server);
	upstream_secure_server_init(server);
}

/* Begins the handshake: see tls_connect. False: out of memory. */
WARN_UNUSED bool upstream_secure(struct upstream_group *group, struct upstream_server *server,
				 struct conn *conn, enum acquire_kind kind);

#endif
