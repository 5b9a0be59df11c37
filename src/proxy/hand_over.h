/*
 * Handing an exchange over to a server of a group, until one has answered: which server, waiting for room, second tries and when they are safe, how
 * long one may take. For the reverse and the tcp face; each has its own way to try one server.
 */
#ifndef GUISE_PROXY_HAND_OVER_H
#define GUISE_PROXY_HAND_OVER_H

#include "exchange/exchange.h"
#include "upstream/acquire.h"
#include "upstream/pick.h"

struct hedge;
struct proxy_exchange;

/* Within struct proxy_exchange. Zero: not begun. */
struct hand_over {
	struct upstream_group *group; /* NULL: not begun */
	struct upstream_query query;
	struct upstream_server **tried; /* held; query.tried */
	unsigned tries;                 /* beside the first */
	struct upstream_ticket ticket;  /* the current try's */
	struct upstream_server *named;  /* of the last try; held; NULL: there was none */
	struct upstream_wait wait;
	struct acquire acquire;
	struct hedge *hedge;   /* NULL: none is in sight */
	struct timer late;     /* timeouts.try */
	struct error error;    /* of the last try */
	struct flow_kept kept; /* of the request's body, for another try */
	bool entered;          /* FLEET_REQUESTS */
	bool retrying;         /* FLEET_RETRIES */
};

/*
 * RFC 9110 9.2.2: whether the request may be sent again after this failure: what was sent of it is still there, and it is proven not to have been
 * processed, or of no more effect when done twice.
 */
bool hand_over_is_safe(const struct exchange *x, const struct error *error);

/* Notes what of the request decides which server it goes to. Before the request is changed for servers. False: out of memory. */
WARN_UNUSED bool hand_over_choose(struct exchange *x, struct proxy_exchange *p, struct upstream_group *group);
/* Picks a server and begins the first try. */
void hand_over_begin(struct exchange *x, struct proxy_exchange *p, struct upstream_group *group);
/* The try failed, and its stream is gone: another one if that is safe and there is one, else the exchange fails. */
void hand_over_on_failed(struct exchange *x, struct proxy_exchange *p, const struct error *error);
/*
 * The head of a final response is in x->response. True: it is not wanted, another server is tried, and the response is gone. False: it is to be
 * passed on.
 */
WARN_UNUSED bool hand_over_on_answer(struct exchange *x, struct proxy_exchange *p);
/* The same of a raw connection, which is there now. */
void hand_over_on_connected(struct proxy_exchange *p);
/* The server has nothing more to do for the exchange. */
void hand_over_on_done(struct proxy_exchange *p);
/* No server is to work for the exchange any more, which may go on with an answer of our own. */
void hand_over_cancel(struct proxy_exchange *p);
/* The exchange is over. What it has of the server is there until the end of the turn. */
void hand_over_end(struct proxy_exchange *p);

/* ---- for a hedge: see hedge.h ---- */

/* A server beside that of the try, paid for like a retry. False: there is none to be had. */
WARN_UNUSED bool hand_over_pick_beside(struct proxy_exchange *p, struct upstream_ticket *ticket);
/* The status is one of retry_on. */
bool hand_over_would_retry(const struct proxy_exchange *p, unsigned status);
/* The hedge has an answer: the try is given up, and held against nobody; the hedge leads. */
void hand_over_overtake(struct exchange *x, struct proxy_exchange *p);
/* Notes the failure, if it is the server's. */
void hand_over_blame(struct upstream_ticket *ticket, const struct error *error);
/* Gives the ticket's server back, and it is not asked again. */
void hand_over_leave_server(struct exchange *x, struct hand_over *hand, struct upstream_ticket *ticket);

#endif
