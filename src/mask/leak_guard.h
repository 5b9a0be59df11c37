/*
 * The leak guard: what becomes of servers' names and addresses in what clients are sent. Compiled with the snapshot, immutable; applied on workers.
 */
#ifndef GUISE_MASK_LEAK_GUARD_H
#define GUISE_MASK_LEAK_GUARD_H

#include "core/diagnostic.h"
#include "http/field.h"
#include "mask/leak_terms.h"
#include "mask/settings.h"

/* In the order of the choices of leaks.heads and leaks.body. */
enum leak_policy { LEAK_OFF, LEAK_REPORT, LEAK_REMOVE, LEAK_REWRITE, LEAK_BLOCK };

struct leak_guard {
	enum leak_policy heads, body;
	struct leak_terms terms;
	const struct setting_strings *types;
	size_t window; /* bytes */
};

/* False after diagnostics. *guard is NULL where there is nothing to do. `settings` and `inside` live as long as the guard. */
WARN_UNUSED bool leak_guard_compile(const struct leak_settings *settings, const struct inside *inside,
				    struct arena *arena, struct diagnostics *diagnostics,
				    const struct leak_guard **guard);

/* Whether content of that Content-Type is looked at. */
bool leak_guard_has_type(const struct leak_guard *guard, struct span type);

enum leak_done { LEAK_REPORTED, LEAK_REMOVED, LEAK_REWRITTEN, LEAK_BLOCKED };

/* For logs. */
const char *leak_done_name(enum leak_done done);

/* Of one response, and what its leaks are told to. */
struct leak_context {
	const struct leak_server *server; /* may be NULL */
	const struct leak_public *site;   /* may be NULL */
	/* What was found, and what was done about it; `where` is the name of a field. */
	void (*on_leak)(void *owner, struct span where, const struct leak *leak, enum leak_done done);
	void *owner;
};

enum leak_verdict { LEAK_VERDICT_GO_ON, LEAK_VERDICT_BLOCK, LEAK_VERDICT_NO_MEMORY };

/* False: there is nothing to be found in fields and reason, and nothing needs to be known of the response. Quick. */
bool leak_guard_suspects(const struct leak_guard *guard, const struct leak_server *server,
			 const struct http_fields *fields, struct span reason);

/* All fields of a response's head or trailers, their names too. New values are in fields->arena. */
WARN_UNUSED enum leak_verdict leak_guard_fields(const struct leak_guard *guard, struct http_fields *fields,
						const struct leak_context *context);
/* The same of a reason phrase, which is empty afterwards if there was something in it. */
WARN_UNUSED enum leak_verdict leak_guard_reason(const struct leak_guard *guard, struct span *reason,
						const struct leak_context *context);

#endif
