/*
 * The audit of a forward proxy, whichever it is: an observer plays the server, a battery of probes goes through the proxy, and each channel by which the server
 * could learn of the client, or of the proxy, becomes a finding. Takes some seconds; the caller's thread, and the observer's.
 */
#ifndef GUISE_AUDIT_FORWARD_H
#define GUISE_AUDIT_FORWARD_H

#include "audit/report.h"
#include "net/address.h"

struct forward_audit_options {
	const char *proxy;         /* http, https, socks4a or socks5 */
	const char *users[2];      /* "NAME:PASSWORD", or NULL; the second one is another client */
	struct address from[2];    /* of both clients; family ADDRESS_NONE: chosen */
	struct address listen;     /* of the observer; family ADDRESS_NONE: chosen; port 0: any */
	const char *name;          /* by which the proxy knows the observer, or NULL: its address */
	struct address dns_listen; /* of the observer as a name server; family ADDRESS_NONE: none */
	uint64_t timeout;          /* ms for one probe */
};

extern const struct audit_scale forward_audit_scale;

/* NULL, or why the options cannot be (in the arena, or static): a usage error, and nothing was done. What fails later is in the report. */
WARN_UNUSED const char *forward_audit_run(const struct forward_audit_options *options, struct arena *arena,
					  struct audit_report *report);

#endif
