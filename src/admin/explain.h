/*
 * "What would become of this request?" as JSON: which listener, route and rule, what is rewritten, which servers. The answer comes from the
 * phases that a real request goes through (proxy/explain.h). For the interface of a running Guise, and for `guise explain` without one.
 */
#ifndef GUISE_ADMIN_EXPLAIN_H
#define GUISE_ADMIN_EXPLAIN_H

#include "admin/admin.h"
#include "admin/json.h"

enum { EXPLAIN_HEADERS_MOST = 64 };

/* All borrowed. */
struct explain_ask {
	struct span url; /* absolute, http or https */
	struct span method;
	struct span headers[EXPLAIN_HEADERS_MOST]; /* "Name: value" */
	size_t header_count;
	struct span client;   /* an address, or empty: 127.0.0.1 */
	struct span user;     /* of a forward listener: who that is; empty: nobody in particular */
	struct span listener; /* its address or name ("reverse[0]"); empty: by the URL */
	bool forward;         /* through a forward listener */
};

struct explain_wrong {
	unsigned status;   /* 400, 404, 503 */
	const char *field; /* of the ask: static; NULL: none */
	struct span text;  /* in the arena, or static */
};

/*
 * Writes one object. False: *wrong says why there is no answer. `worker` is the caller's, with the exchange and upstream rooms, one of admin->fleet's; what
 * the answer takes is in json->arena.
 */
WARN_UNUSED bool explain_write(const struct admin *admin, struct worker *worker,
			       const struct explain_ask *ask, struct json *json, struct explain_wrong *wrong);

#endif
