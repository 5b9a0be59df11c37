/*
 * What the batteries of forward.h share: the probe, and what is known of the proxy.
 */
#ifndef GUISE_AUDIT_FORWARD_INTERNAL_H
#define GUISE_AUDIT_FORWARD_INTERNAL_H

#include "audit/forward.h"
#include "audit/observer.h"
#include "upstream/parent_settings.h"

/* In the order of forward_audit_scale. */
enum forward_grade { GRADE_TRANSPARENT, GRADE_ANONYMOUS, GRADE_ELITE };

/* One of two who ask through the proxy. */
struct forward_client {
	struct parent_server proxy; /* with its credentials */
	struct address from;        /* family ADDRESS_NONE: as the system chooses */
	struct address address;     /* its own end, as it was seen; port 0 */
};

struct forward_audit {
	const struct forward_audit_options *options;
	struct audit_report *report;
	struct arena *arena;
	struct tls_authority *authority;
	struct observer *observer;
	struct forward_client clients[2];
	bool two;                     /* the second client is another one for the proxy */
	struct address plain, secure; /* where the observer listens */
	struct address names;         /* and as a name server; family ADDRESS_NONE: it is none */
	struct span place;            /* of `plain`, for URLs: "127.0.0.1:40001" */
	uint32_t run;                 /* random: tells this audit's requests from others' */
	unsigned serial;
	uint64_t pace; /* ms that the first request took */
};

/* One request and what came of it. */
struct forward_probe {
	/* what is asked */
	const char *method, *version; /* NULL: GET, HTTP/1.1 */
	struct span fields;           /* lines with their ends, behind Host */
	struct span body;             /* sent behind the head as it is */
	struct span place;            /* host:port; empty: audit->place */
	unsigned client;              /* which of them */
	bool soon;                    /* it may not be understood: forward_soon */
	struct wire *wire; /* an open connection to go on with; NULL: a new one, closed afterwards */
	/* what came of it */
	struct wire_message sent, response;  /* response.status 0: none came */
	const struct observer_message *seen; /* NULL: it did not get there */
	char why[WIRE_WHY];                  /* where no response came */
};

static const struct span forward_nothing = {NULL, 0};

uint64_t forward_deadline(const struct forward_audit *audit);
/* For what a proxy may not understand, and then often says nothing to: not much longer than it took to answer what it did understand. */
uint64_t forward_soon(const struct forward_audit *audit);
/* A path that no other request of any audit has. ->at is NULL: out of memory. */
struct span forward_token(struct forward_audit *audit);

/* Sends it and waits; whether the observer saw it. */
bool forward_ask(struct forward_audit *audit, struct forward_probe *probe);
/* Opens what a client's request goes over: to the proxy, or, where that speaks no HTTP, through it. */
WARN_UNUSED bool forward_open(struct forward_audit *audit, unsigned client, struct wire *wire);
/* "refused with 403", or why there was no answer; in the arena. */
struct span forward_outcome(struct forward_audit *audit, const struct forward_probe *probe);

/* Whether a text holds a client's address, plainly or in a common coding. */
bool forward_names_client(const struct forward_audit *audit, unsigned client, struct span text);

void forward_add(struct forward_audit *audit, const char *id, const char *title, enum audit_sight sight,
		 unsigned needs, struct span saw, const char *advice);

/*
 * Looks at the request as it got there for all that was not sent, and for what was sent and should not have got there.
 */
void forward_inspect(struct forward_audit *audit, const struct forward_probe *probe);
/* The same for a response as the client got it, and for an error page. */
void forward_inspect_response(struct forward_audit *audit, const struct forward_probe *probe);

/* The batteries; each adds its findings. */
void forward_audit_fields(struct forward_audit *audit);
void forward_audit_messages(struct forward_audit *audit);
void forward_audit_connections(struct forward_audit *audit);
void forward_audit_tunnels(struct forward_audit *audit);
void forward_audit_errors(struct forward_audit *audit);

/* The fields that clients send of themselves: lines with their ends. */
extern const char forward_own_fields[];

#endif
