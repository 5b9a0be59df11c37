/*
 * Parent proxies at work: how their servers are, as all workers together have seen it, and what a worker needs to talk to them.
 *
 * A server that fails is set aside: left out for a second, and each time that it fails again for twice as long. When the time is over one request is its
 * trial. Checks (parent_check.h) have a word of their own, which stands until the next check.
 */
#ifndef GUISE_UPSTREAM_PARENT_H
#define GUISE_UPSTREAM_PARENT_H

#include "core/worker.h"
#include "net/conn.h"
#include "tls/client.h"
#include "upstream/parent_settings.h"

enum {
	PARENT_ASIDE_MS = 1000,
	PARENT_ASIDE_MOST_MS = 5 * 60 * 1000,
	PARENT_TRIAL_MS = 5000, /* within which a trial has ended, or another one may begin */
	PARENT_STRIKES = 3,     /* failures in a row that may be another's fault, and then count */
};

struct parents; /* of the process */

/* `plans` are borrowed. NULL: out of memory. */
WARN_UNUSED struct parents *parents_new(struct memory *memory, const struct parent_plans *plans);
void parents_free(struct parents *parents); /* NULL is fine. After the workers */
const struct parent_plans *parents_plans(const struct parents *parents);

/* ---- how servers are; `server` is an index among all. Any thread ---- */

/* It may be tried now, as far as anybody knows. */
bool parent_server_is_well(const struct parents *parents, uint32_t server, uint64_t now_ms);
/* The same for who tries it at once: of those that come when it has been set aside for long enough, one has the trial. */
WARN_UNUSED bool parent_server_take(struct parents *parents, uint32_t server, uint64_t now_ms);
/* It did what it was asked to, or said plainly that it is not its fault. `log`: the caller's. */
void parent_server_succeeded(struct parents *parents, uint32_t server, struct log_ring *log);
/* A try that began at `began_ms` failed by its fault; `maybe`: or by another's. */
void parent_server_failed(struct parents *parents, uint32_t server, bool maybe, uint64_t began_ms,
			  uint64_t now_ms, struct log_ring *log, const struct error *why);
/* What a check found out. */
void parent_server_checked(struct parents *parents, uint32_t server, bool good, struct log_ring *log,
			   const struct error *why);

/* ---- on a worker ---- */

/* Behind upstream_room_init, and before the worker runs; ends with the room. False: out of memory. */
WARN_UNUSED bool parents_attach(struct worker *worker, struct parents *parents);
struct parents *parents_of(const struct worker *worker); /* NULL: none are attached */

/* Begins TLS with a server: see tls_connect. False: out of memory. */
WARN_UNUSED bool parent_secure(struct conn *conn, const struct parent_server *server, uint64_t timeout_ms);

#endif
