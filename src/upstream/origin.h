/*
 * Connections of the forward proxy that wait for reuse, by who asked, where they go and on which way. Who asked is a partition: a user who has proved to be it,
 * wherever from, else an address (of IPv6 the /64). Two partitions never share a connection, and none can take what another has idle while it has more itself. An
 * origin exists as long as it has a connection, a partition as long as it has an origin. One worker's own.
 */
#ifndef GUISE_UPSTREAM_ORIGIN_H
#define GUISE_UPSTREAM_ORIGIN_H

#include "core/map.h"
#include "exchange/pin.h"
#include "http/h1/client.h"
#include "net/address.h"
#include "tls/client.h"
#include "upstream/session_pool.h"

enum {
	ORIGIN_KEEP = 128,    /* idle connections of one partition to one place */
	ORIGINS_MOST = 65536, /* partitions times places with a connection, on this worker */
};

/* Everything that must be equal for two requests to share a connection. Borrowed. */
struct origin_place {
	const struct address *client;    /* port ignored; of no account with a user */
	struct span user;                /* who has proved to be it; empty: nobody */
	const struct accounts *accounts; /* whose user that is; of no account without one */
	struct span host;                /* empty: the parent itself, which is asked in absolute-form */
	uint16_t port;
	uint32_t via;  /* the last parent's server, by its index; PARENT_NONE: direct */
	uint32_t exit; /* by which it leaves this machine; UINT32_MAX: as the system chooses */
	const struct tls_trust *trust; /* TLS, and by whom the certificate is signed; NULL: in clear */
};

struct origins {
	struct worker *worker;
	struct map map;        /* struct origin */
	struct map partitions; /* struct partition */
	struct idle_shares idle;
};

void origins_init(struct origins *origins, struct worker *worker);
void origins_fini(struct origins *origins);
/* Closes all idle connections. */
void origins_drain(struct origins *origins);

/*
 * An idle connection like that, or NULL: one that belongs to the client's connection (`pins`, which may be NULL), else, unless `own`, one of the partition's.
 */
struct session *origin_take(struct worker *worker, const struct origin_place *place, struct pins *pins,
			    bool own);
/* Makes a session of a connection just established, busy at once. NULL: out of memory, or too many; conn is still the caller's. */
WARN_UNUSED struct session *origin_adopt(struct worker *worker, const struct origin_place *place,
					 struct conn *conn, const struct h1_client_settings *settings);
/* See session_pin. */
void origin_pin(struct session *session, struct exchange *x);

#endif
