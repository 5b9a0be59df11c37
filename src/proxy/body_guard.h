/*
 * The leak guard at content of responses: which content is looked at, what becomes of the heads around it, and the filter that it goes through.
 */
#ifndef GUISE_PROXY_BODY_GUARD_H
#define GUISE_PROXY_BODY_GUARD_H

#include "exchange/exchange.h"

struct proxy_exchange;

/*
 * A request that is about to be sent to a server whose answer is looked at: what would make that impossible is not asked for. False: out of
 * memory.
 */
WARN_UNUSED bool body_guard_request(struct exchange *x, struct proxy_exchange *p);

/*
 * A final head of a server: its content goes through the guard, if that is for it, and the head says so. False: it is not to be passed on, because of
 * p->leaked, or else because memory ran out.
 */
WARN_UNUSED bool body_guard_begin(struct exchange *x, struct proxy_exchange *p);

/* Trailers of such a response. False: out of memory. */
WARN_UNUSED bool body_guard_trailers(const struct proxy_exchange *p, struct http_fields *trailers);

#endif
