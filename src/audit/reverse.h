/*
 * The audit of a reverse proxy, whichever it is: an observer plays the most talkative server behind it (talker.h), clients ask for all that it says over HTTP/1.1 and
 * HTTP/2, and each channel by which they could learn of what is inside becomes a finding; so does what applications need and did not get. Takes some seconds; the
 * caller's thread, and the observer's.
 */
#ifndef GUISE_AUDIT_REVERSE_H
#define GUISE_AUDIT_REVERSE_H

#include "audit/observer.h"
#include "audit/report.h"
#include "audit/talker.h"
#include "upstream/parent_settings.h"

extern const struct audit_scale reverse_audit_scale;
/* The grade that is asked for where nobody says: "masked". */
#define REVERSE_AUDIT_BAR "masked"

struct reverse_audit_options {
	const char *proxy;        /* http, https */
	const char *const *hosts; /* that it is asked for; none: the proxy's own */
	unsigned host_count;
	struct address listen; /* of the server that is played */
	const char *inside;    /* by which the proxy knows it, "app.internal:8080"; NULL: its address */
	uint64_t timeout;      /* ms for one request */
};

/* NULL, or why the options cannot be (in the arena, or static): a usage error, and nothing was done. What fails later is in the report. */
WARN_UNUSED const char *reverse_audit_run(const struct reverse_audit_options *options, struct arena *arena,
					  struct audit_report *report);

/* --- its parts, for who plays the server of many routes --- */

/* What is asked for. Borrowed. */
struct reverse_target {
	struct parent_server proxy; /* of kind PARENT_HTTP */
	struct address from;        /* of the client; family ADDRESS_NONE: as the system chooses */
	bool tls;
	bool clear_http2;  /* without TLS, HTTP/2 is spoken by prior knowledge */
	struct span host;  /* "shop.example" */
	struct span path;  /* "/", without a query */
	struct span label; /* before what was seen: which route it is; may be empty */
	const struct talker *talker;
	struct observer *observer;
	uint64_t timeout;
};

/* "host:port", "1.2.3.4:80", "[::1]:80": the host without brackets; *port: 0 if it has none. */
struct span reverse_split(struct span text, uint16_t *port);
/* Who says of itself that it is `inside` ("host:port") at that address; `public` is borrowed. False: out of memory. */
WARN_UNUSED bool reverse_talker(struct talker *talker, struct span inside, const struct address *address,
				struct span public, struct arena *arena);
/* observer_answer_fn; the owner is a struct talker. */
void reverse_answer(void *owner, const struct observer_message *message, struct observer_reply *reply);
/* All probes of one target, into the report. False: no request came through; the report says so. */
WARN_UNUSED bool reverse_battery(const struct reverse_target *target, struct arena *arena,
				 struct audit_report *report);
/* What a client is told while nobody listens where the server was: the observer has been freed. */
void reverse_without_server(const struct reverse_target *target, struct arena *arena,
			    struct audit_report *report);

#endif
