/*
 * How what this process sends leaves the machine: by which address of its own, by which interface. A value: copied freely, and not changed while
 * sockets are made with it. On one worker where `on_unbound` is set, else any thread.
 */
#ifndef GUISE_NET_WAY_H
#define GUISE_NET_WAY_H

#include "core/error.h"
#include "net/address.h"

struct net_way;
struct worker;

/*
 * *source could not be bound to; `number` is the errno. True: *source is another one of the same family, to be tried in its place. There must be an end
 * to that.
 */
typedef bool net_way_unbound_fn(const struct net_way *way, struct address *source, int number);

/* Zero: as the system chooses. */
struct net_way {
	struct address source_v4,
		source_v6;     /* to be sent from, port 0; family ADDRESS_NONE: none is set for that family */
	const char *interface; /* the only one to be left by (SO_BINDTODEVICE); NULL: any */
	bool bound;            /* some source is set: to a target of a family without one there is no way */
	bool freebind;         /* source_v6 need not be an address of this machine (IPV6_FREEBIND) */
	net_way_unbound_fn *on_unbound; /* NULL: a source that cannot be bound to is the end */
	/* on_unbound's own */
	struct worker *worker;
	void *owner;
	uint64_t key;
};

/* Whether there is a way to targets of this family. NULL: to all. */
bool way_leads_to(const struct net_way *way, enum address_family family);

/*
 * A non-blocking, close-on-exec socket of this type (SOCK_STREAM, SOCK_DGRAM) that will leave by the way (NULL: as the system chooses) to a target
 * of this family, bound where the way says so. -1: errno tells; EADDRNOTAVAIL where the way has no source of the family.
 */
WARN_UNUSED int way_socket(const struct net_way *way, enum address_family family, int type);

/* What an errno of way_socket means: ERROR_NO_EXIT where the way is the reason, none where it is not. */
struct error way_error(const struct net_way *way, int number);

#endif
