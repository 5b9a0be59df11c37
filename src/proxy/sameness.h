/*
 * What makes the servers of a reverse route indistinguishable (mask/sameness.h), as exchanges meet it. On the exchange's worker.
 */
#ifndef GUISE_PROXY_SAMENESS_H
#define GUISE_PROXY_SAMENESS_H

#include "exchange/exchange.h"

struct proxy_exchange;
struct uniform_error;

/* Of a request, before the route's own edits: conditions. False: out of memory. */
WARN_UNUSED bool sameness_request(struct exchange *x, const struct proxy_exchange *p);
/* Of a server's final head: entity tag, Date, and what an error keeps. False: out of memory. */
WARN_UNUSED bool sameness_response(struct exchange *x, struct proxy_exchange *p);
/* Of what a server says beside the final head, interim and in trailers. False: out of memory. */
WARN_UNUSED bool sameness_beside(const struct proxy_exchange *p, struct http_fields *fields);
/* When a head is complete. False: out of memory. */
WARN_UNUSED bool sameness_order(const struct proxy_exchange *p, struct http_fields *fields);

/*
 * The head of an error is complete whose content is Guise's own: the server's is read and dropped first, up to a bound in bytes and in time, so that
 * its connection can serve on; then the client has its answer. False: it is no such error, and the head is to be sent.
 */
bool sameness_take_error(struct exchange *x, struct proxy_exchange *p);
/* The server's content has failed. True: that was all that was missing, and the client has its answer. */
bool sameness_on_up_failed(struct exchange *x, struct proxy_exchange *p);
/* The exchange gets another answer, or is over. */
void sameness_cancel(struct proxy_exchange *p);

#endif
