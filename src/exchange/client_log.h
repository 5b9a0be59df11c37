/*
 * How logs name clients by their address: in full, cut short, as a keyed hash, or not at all. Whatever writes a client's address to a log asks here.
 *
 * The key of the hash is random, known to this process alone, and in use for one period; then it makes the next one and is wiped, so that
 * names of one period cannot be linked to those of another, nor be recomputed later. Each worker has a copy and turns it by itself, at the same time as
 * the others: within a period all of them call a client the same, and nothing is shared.
 */
#ifndef GUISE_EXCHANGE_CLIENT_LOG_H
#define GUISE_EXCHANGE_CLIENT_LOG_H

#include "core/worker.h"
#include "net/address.h"

/* In the order of the choices of log.addresses. */
enum log_addresses {
	LOG_ADDRESSES_AUTO, /* truncated on forward listeners, full on others; of no service */
	LOG_ADDRESSES_FULL,
	LOG_ADDRESSES_TRUNCATED, /* /24 and /48 */
	LOG_ADDRESSES_HASH,      /* of IPv6 the /64: one client has many addresses in it */
	LOG_ADDRESSES_NONE,
};

enum { CLIENT_LOG_KEY = 32, CLIENT_LOG_HASH = 16 /* characters */ };

/* What all workers begin with. */
struct client_log_start {
	uint8_t key[CLIENT_LOG_KEY];
	uint64_t began_ms;  /* loop clock */
	uint64_t period_ms; /* > 0 */
};

/* For a worker whose listeners log hashes. Slot WORKER_SLOT_CLIENT_LOG. False: out of memory. */
WARN_UNUSED bool client_log_init(struct worker *worker, const struct client_log_start *start);
void client_log_fini(struct worker *worker); /* one without is fine */

/*
 * Writes the client's name, without a NUL; the length, at most ADDRESS_TEXT. "-" for none, and for a hash on a worker that has no key. `how` is not
 * AUTO.
 */
size_t client_log_text(const struct worker *worker, enum log_addresses how, const struct address *client,
		       char out[ADDRESS_TEXT]);

#endif
