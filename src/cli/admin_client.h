/*
 * Asking a running Guise: one request to its operator's interface (docs/admin.md). Blocks for some seconds at most.
 */
#ifndef GUISE_CLI_ADMIN_CLIENT_H
#define GUISE_CLI_ADMIN_CLIENT_H

#include "core/arena.h"

struct admin_answer {
	unsigned status;
	struct span body; /* in the arena */
};

/*
 * GET `target` at `address` ("127.0.0.1:9900", "unix:/path"). NULL: *answer is there; else why not (in the arena, or static).
 */
WARN_UNUSED const char *admin_client_get(const char *address, struct span target, struct arena *arena,
					 struct admin_answer *answer);

/* NULL, or why the text is no such address (static). */
const char *admin_client_check(const char *address);

/* For a part of a query: what is not unreserved is percent-encoded (RFC 3986 2.1). ->at is NULL when memory ran out. */
WARN_UNUSED struct span admin_client_encode(struct span text, struct arena *arena);

#endif
