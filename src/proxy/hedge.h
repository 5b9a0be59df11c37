/*
 * Hedging: when the first try of a request is slow to answer, the same request goes to a second server as well, as a subrequest. The first of
 * them that answers well wins, and the other is cancelled. For requests that may be sent twice without harm: safe methods (RFC 9110 9.2.1),
 * without content.
 *
 * While both are under way the try of the hand-over is the first one, and the hedge stands beside it. When the hedge wins, or the first try
 * fails, the hedge becomes the try: its ticket is the hand-over's, and the exchange's up stream is a bridge to the subrequest. From then on it
 * succeeds or fails like any try.
 */
#ifndef GUISE_PROXY_HEDGE_H
#define GUISE_PROXY_HEDGE_H

#include "exchange/exchange.h"

struct hedge;
struct proxy_exchange;

/* A try of the hand-over begins: if it takes too long, there will be another one beside it. Once for each exchange. */
void hedge_arm(struct exchange *x, struct proxy_exchange *p);
/* A hedge is under way beside the try. */
bool hedge_is_beside(const struct proxy_exchange *p);
/* It has begun at some time. */
bool hedge_was_used(const struct proxy_exchange *p);
/* The hedge that is beside becomes the try. The old one's stream is gone, and the hand-over's ticket holds nothing. */
void hedge_lead(struct exchange *x, struct proxy_exchange *p);
/* No hedge is wanted (any more): the try has answered, or the exchange is over. Not for one that leads, which is the try. Harmless if there is none. */
void hedge_cancel(struct proxy_exchange *p);

#endif
