/*
 * One request to a server, or to what stands before one, over HTTP/1.1 or HTTP/2, and all that comes back, in one shape for both. Blocking; a connection for each
 * request. One thread.
 */
#ifndef GUISE_AUDIT_ASK_H
#define GUISE_AUDIT_ASK_H

#include "audit/wire.h"
#include "upstream/parent_settings.h"

enum ask_version { ASK_HTTP1, ASK_HTTP2 };

enum { ASK_INTERIM_MOST = 4, ASK_FIELDS_MOST = 16 };

/* Where and how. Borrowed. */
struct ask_way {
	const struct parent_server *server; /* of kind PARENT_HTTP, whatever is spoken */
	struct address from;                /* family ADDRESS_NONE: as the system chooses */
	bool tls;
	enum ask_version version; /* HTTP/2: over TLS by ALPN, else by prior knowledge */
};

struct ask {
	struct span method, target, host;
	struct wire_field fields[ASK_FIELDS_MOST]; /* names in lower case */
	unsigned count;
};

/* A section of fields. */
struct ask_head {
	unsigned status; /* 0: of trailers, or it did not come */
	struct span reason;
	struct wire_field *fields;
	unsigned count;
};

/* Copies in the arena. */
struct ask_answer {
	struct ask_head interim[ASK_INTERIM_MOST], final, trailers;
	unsigned interim_count;
	struct span body;
	bool complete;      /* it ended as its framing says */
	char why[WIRE_WHY]; /* it did not */
};

/* False: no final head came; answer->why tells. */
WARN_UNUSED bool ask(const struct ask_way *way, const struct ask *ask, struct arena *arena,
		     struct ask_answer *answer, uint64_t deadline);
/* The same with bytes of HTTP/1 as they are. */
WARN_UNUSED bool ask_raw(const struct ask_way *way, struct span host, struct span bytes, struct arena *arena,
			 struct ask_answer *answer, uint64_t deadline);

/* The same over HTTP/2 on an open connection, after ALPN or with prior knowledge, which is of no use afterwards. */
WARN_UNUSED bool ask_http2(struct wire *wire, const struct ask *ask, struct span scheme, struct arena *arena,
			   struct ask_answer *answer, uint64_t deadline);

/* The value of the first field of that name, without case; ->at is NULL: there is none. */
struct span ask_field(const struct ask_head *head, const char *name);

#endif
