/*
 * How what this process sends leaves the machine: by which address of its own, by which interface. Immutable while sockets are made with
 * it; any thread.
 */
#ifndef GUISE_NET_WAY_H
#define GUISE_NET_WAY_H

#include "net/address.h"

/* Zero: as the system chooses. */
struct net_way {
	struct address source_v4,
		source_v6;     /* to be sent from, port 0; family ADDRESS_NONE: none is set for that family */
	const char *interface; /* the only one to be left by (SO_BINDTODEVICE); NULL: any */
	bool bound;            /* some source is set: to a target of a family without one there is no way */
	bool freebind; /* sources need not be addresses of this machine (IP_FREEBIND, IPV6_FREEBIND) */
};

/*
 * A non-blocking, close-on-exec socket of this type (SOCK_STREAM, SOCK_DGRAM) that will leave by the way (NULL: as the system chooses) to a target
 * of this family, bound where the way says so. -1: errno tells; EADDRNOTAVAIL where the way has no source of the family.
 */
WARN_UNUSED int way_socket(const struct net_way *way, enum address_family family, int type);

#endif
