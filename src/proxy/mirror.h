/*
 * Mirrors: a share of a route's requests goes to a second group as well, as a subrequest with a copy of the request as servers see it. Nobody
 * waits for the answer, which is dropped.
 *
 * A mirror never holds its exchange up. Content is shared with it as it comes; one that falls behind by more than limits.flow is given up, and
 * so is one whose answer takes longer than the group's timeouts.response from the end of the request on. No more than 1 MiB of an answer is read.
 * Under memory pressure there are none.
 */
#ifndef GUISE_PROXY_MIRROR_H
#define GUISE_PROXY_MIRROR_H

#include "exchange/exchange.h"

struct proxy_exchange;

/* Begins one, if the route has a mirror and the request is among its share. The request has been masked, and none of its content has come. */
void mirror_begin(struct exchange *x, struct proxy_exchange *p);
/* The exchange is over: a mirror that has not got the whole request by now never will, and is given up. */
void mirror_on_end(struct proxy_exchange *p);

#endif
