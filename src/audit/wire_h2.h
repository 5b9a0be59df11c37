/*
 * One request of HTTP/2 on a connection of wire.h, with prior knowledge or after ALPN (RFC 9113 3), and its response. The connection's thread.
 */
#ifndef GUISE_AUDIT_WIRE_H2_H
#define GUISE_AUDIT_WIRE_H2_H

#include "audit/wire.h"

struct wire_h2_request {
	struct span method, scheme, authority, path;
	const struct wire_field *fields; /* names in lower case */
	unsigned count;
};

/*
 * The response as a message: start is empty; fields, status, body and trailers (as fields of HTTP/1 would be written) as they came; interim responses are
 * skipped. False: wire->why tells. The connection is of no use afterwards.
 */
WARN_UNUSED bool wire_h2_ask(struct wire *wire, const struct wire_h2_request *request, struct arena *arena,
			     struct wire_message *response, uint64_t deadline);

#endif
