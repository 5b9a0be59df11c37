/*
 * The parts of discovery among themselves: names, services, and the groups that use them. One thread's own.
 */
#ifndef GUISE_UPSTREAM_DISCOVERY_INTERNAL_H
#define GUISE_UPSTREAM_DISCOVERY_INTERNAL_H

#include "net/resolver_records.h"
#include "upstream/discovery.h"
#include "upstream/fleet_internal.h"

enum {
	DISCOVERY_TTL_LEAST_MS = 1000,
	DISCOVERY_TTL_MOST_MS = 60 * 60 * 1000,
	DISCOVERY_AGAIN_MS = 1000, /* after a failure; doubled each time */
	DISCOVERY_AGAIN_MOST_MS = 8000,
	DISCOVERY_V4 = 0, /* as in enum resolver_kind */
	DISCOVERY_V6 = 1,
	DISCOVERY_FAMILIES = 2,
};

/* ---- names ---- */

struct discovery_name;

/* A user of a name. Embedded in it. */
struct discovery_use {
	struct link link; /* in name->uses */
	struct discovery_name *name;
	struct discovery_group *group; /* is to look when the name's addresses change */
};

/* Sorted. */
struct discovery_addresses {
	struct address *items; /* port 0 */
	unsigned count;
};

/* The addresses of the name that are known now. */
const struct discovery_addresses *discovery_name_addresses(const struct discovery_name *name, unsigned family);
bool discovery_name_decided(const struct discovery_name *name); /* it was answered, in one way or the other */
const char *discovery_name_why(const struct discovery_name *name); /* it has none */

/* Begins to ask if nobody uses it yet. False: out of memory. */
WARN_UNUSED bool discovery_use_start(struct discovery_use *use, struct discovery_group *group,
				     struct span host);
void discovery_use_stop(struct discovery_use *use); /* one that was not started, too */

/* When to ask again: after an answer that holds for so many seconds, after so many failures in a row. In ms. */
uint64_t discovery_delay(uint64_t ttl);
uint64_t discovery_back_off(unsigned failures);

/* ---- services ---- */

struct discovery_service;

/* One target with its addresses; sorted by priority. */
struct discovery_target {
	struct resolver_service record;
	struct discovery_use use;
};

struct discovery_targets {
	unsigned count;
	struct discovery_target items[];
};

WARN_UNUSED struct discovery_service *discovery_service_start(struct discovery_group *group, struct span name);
void discovery_service_stop(struct discovery_service *service);
/* Takes new records into use when their targets have been answered. To be called before its targets are looked at. */
void discovery_service_settle(struct discovery_service *service);
const struct discovery_targets *discovery_service_targets(const struct discovery_service *service); /* NULL: none yet */
bool discovery_service_decided(const struct discovery_service *service);
const char *discovery_service_why(const struct discovery_service *service);

/* ---- groups ---- */

enum discovery_kind { DISCOVERY_LITERAL, DISCOVERY_NAME, DISCOVERY_SERVICE };

/* One item of `servers` or of a file. */
struct discovery_source {
	const struct upstream_server_settings *settings;
	enum discovery_kind kind;
	struct span host; /* name */
	uint16_t port;
	struct discovery_use use;
	struct discovery_service *service;
};

struct discovery_sources {
	struct discovery_list *list; /* ours, that the settings stand in; NULL: the snapshot's */
	size_t count;
	struct discovery_source items[];
};

struct discovery_group {
	struct discovery *discovery;
	struct fleet_group *fleet;
	struct discovery_sources *own, *file; /* NULL: none */
	struct discovery_sources *next;       /* waits until it has been answered */
	bool active;                          /* there is anything to discover */
	bool begun;    /* all has been answered once: what is new from now on starts slowly */
	bool too_many; /* said so */
	struct loop_task look;
	struct timer again; /* there was no memory; or `next` has waited long enough */
};

struct discovery {
	struct worker *worker;
	struct fleet *fleet;
	struct map names;   /* host -> struct discovery_name */
	unsigned undecided; /* names and services that have not been answered */
	struct loop_task retire;
	size_t size, count;
	struct discovery_group groups[]; /* as in the fleet */
};

/* Soon: sources have changed. */
void discovery_look(struct discovery_group *group);

#endif
