/*
 * What the files of config.h share.
 */
#ifndef GUISE_AUDIT_CONFIG_INTERNAL_H
#define GUISE_AUDIT_CONFIG_INTERNAL_H

#include "audit/config.h"
#include "audit/dns.h"
#include "audit/observer.h"
#include "audit/talker.h"
#include "tls/authority.h"

#include <stdatomic.h>
#include <sys/types.h>

enum { STAGE_PLACES = 60, STAGE_RESOLVERS = 8, STAGE_SAID = 16 * 1024 };

/* What the server runs on. */
struct stage {
	const struct config_audit_options *options;
	struct config_audit *audit;
	struct arena *arena;
	struct snapshot *snapshot;
	size_t listener_count; /* in the snapshot, those that are left out too */
	struct tls_authority *authority;
	struct dns_names names;
	struct observer *resolvers; /* as name servers; NULL: the audit of a forward listener is one */
	struct observer *servers;   /* as servers of groups; NULL: not now */
	_Atomic(const struct talker *) talker; /* what they say now; NULL: nothing much */
	struct address resolver[STAGE_RESOLVERS];
	unsigned resolver_count;
	struct address places[STAGE_PLACES]; /* of servers */
	bool crowded;                        /* there would be more */
	unsigned place_count;
	pid_t server; /* 0: it does not run */
	int go;       /* a byte on it lets the server begin */
	int said;     /* what it said, on standard error */
	char text[STAGE_SAID];
};

/* --- config_stage.c --- */

/* False: ->audit->why tells. stage_end in any case. */
WARN_UNUSED bool stage_begin(struct stage *stage);
void stage_end(struct stage *stage);
/* The observer as the servers of all groups, from now on or no more. */
WARN_UNUSED bool stage_play_servers(struct stage *stage);
void stage_end_servers(struct stage *stage);

/* --- config_snapshot.c --- */

/*
 * Listeners listen where something else may listen beside them; what cannot be served here is left out, with a report that says so. Nothing that is outside is reached or changed. False: out
 * of memory.
 */
WARN_UNUSED bool stage_prepare_snapshot(struct stage *stage);
/*
 * Where servers of groups and their checks listen: on all addresses, whatever a name means; on ports that the server under audit has a listener on, on those that our name
 * server gives. Into ->places, and ->crowded if there are more.
 */
void stage_find_places(struct stage *stage);
/* Of a server as it is written. False: it has none (unix), or out of memory. */
WARN_UNUSED bool stage_server_address(struct stage *stage, struct span text, struct address *address);
/* Whom the server would ask for names. */
void stage_find_resolvers(struct stage *stage);

/* --- config_listeners.c --- */

/* A report for the listener, in ->audit->reports. NULL: there are too many, or out of memory. */
struct audit_report *stage_report(struct stage *stage, const struct snapshot_listener *listener);
/* It is not tested, for this reason. */
void stage_leave_out(struct stage *stage, const struct snapshot_listener *listener, const char *why);
/* All of its probes. */
void stage_audit_forward(struct stage *stage, const struct snapshot_listener *listener);
void stage_audit_reverse(struct stage *stage, const struct snapshot_listener *listener);

#endif
