/*
 * What the files of observer.h share.
 */
#ifndef GUISE_AUDIT_OBSERVER_INTERNAL_H
#define GUISE_AUDIT_OBSERVER_INTERNAL_H

#include "audit/observer.h"

#include <pthread.h>

struct observer_listener {
	struct observer *observer;
	pthread_t thread;
	int fd;
	struct address bound;
	struct address answer; /* of a name server */
};

/* A message with what it lives in. */
struct observer_note {
	struct observer_message message;
	struct arena arena;
	bool kept; /* it is in observer->notes, and ends with it */
};

/* A connection with what it says of itself. */
struct observer_guest {
	struct observer_connection connection;
	struct arena arena;
};

struct observer {
	struct observer_options options;
	struct tls_blocking_server *tls;
	struct memory memory;
	int stop;               /* an eventfd that becomes readable at the end */
	pthread_mutex_t lock;   /* around all that follows */
	pthread_cond_t changed; /* a note came, or a thread ended; by CLOCK_MONOTONIC */
	struct observer_listener listeners[OBSERVER_LISTENERS];
	unsigned listener_count;
	int open[OBSERVER_AT_A_TIME]; /* descriptors of connections; -1: none */
	unsigned running;             /* threads of connections */
	struct observer_guest *guests[OBSERVER_CONNECTIONS];
	unsigned guest_count;
	struct observer_note *notes[OBSERVER_MESSAGES];
	unsigned note_count;
	bool stopping;
};

/* NULL: out of memory. */
WARN_UNUSED struct observer_note *observer_note_new(struct observer *observer);
/* From now on it is seen by who waits, unless there are too many. */
void observer_note_keep(struct observer *observer, struct observer_note *note);
/* Frees it unless it is kept; NULL is fine. */
void observer_note_end(struct observer *observer, struct observer_note *note);

/* NULL: out of memory, or there were too many. Kept to the end. */
WARN_UNUSED struct observer_guest *observer_guest_new(struct observer *observer, const struct address *peer,
						      const struct address *local);
/* Waits for something to be there. False: the observer ends. */
WARN_UNUSED bool observer_wait_readable(struct observer *observer, int fd);

/* observer_serve.c: one connection, from its first byte to its last; the descriptor stays the caller's. */
void observer_serve(struct observer *observer, int fd, struct observer_guest *guest);

/* observer_dns.c: the thread of a name server. */
void *observer_dns_run(void *of);

#endif
