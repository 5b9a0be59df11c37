/*
 * What the files of active checks share.
 */
#ifndef GUISE_UPSTREAM_HEALTH_INTERNAL_H
#define GUISE_UPSTREAM_HEALTH_INTERNAL_H

#include "upstream/health.h"
#include "upstream/health_probe.h"

enum {
	HEALTH_AT_ONCE = 128, /* checks under way at a time; others wait for their turn */
};

/* One group. */
struct health_group {
	struct health *health;
	struct upstream_group *group;
	struct health_needle needle;
	struct link checks; /* struct health_check */
};

struct health {
	struct worker *worker;
	size_t size; /* of all this, bytes */
	unsigned running;
	struct link due;       /* checks whose time has come, and that wait for others to end */
	struct loop_task more; /* begins some of them */
	struct loop_task retire;
	struct timer again; /* there was no memory: looks once more */
	size_t count;
	struct health_group groups[];
};

enum health_check_state {
	HEALTH_CHECK_WAITING, /* for its time */
	HEALTH_CHECK_DUE,     /* for its turn */
	HEALTH_CHECK_RUNNING,
	HEALTH_CHECK_OVER,
};

/* The checks of one server, one at a time. */
struct health_check {
	struct health_group *group;
	struct upstream_server *server; /* used */
	struct health_probe probe;
	struct timer timer;
	uint64_t next_ms; /* loop clock: when the next one begins, if this one has ended */
	unsigned streak;  /* checks in a row with the same outcome */
	bool good;        /* that one */
	uint8_t state;    /* enum health_check_state */
	struct link link; /* health_group.checks */
	struct link due;  /* health.due */
	struct loop_task retire;
};

/* health_check.c. A server that is in the view and has none gets one. False: out of memory. */
WARN_UNUSED bool health_check_new(struct health_group *group, struct upstream_server *server);
/* It is gone with the turn. */
void health_check_end(struct health_check *check);
/* Its turn. */
void health_check_begin(struct health_check *check);

#endif
