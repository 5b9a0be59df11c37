/*
 * A request of our own: an exchange that no client's connection stands behind. Its down stream is here, and tells who asked of the response.
 * As with any exchange, its service's ops choose the up stream, and see failures.
 *
 * subrequest_new; fill sub->x->request; exchange_begin(sub->x). Content, if the head says that there is any, is pushed into
 * sub->x->request_body, and finished there; without content flow_finish comes at once.
 *
 * On the exchange's worker. It lies in the exchange's arena: valid through the turn in which it ends.
 */
#ifndef GUISE_EXCHANGE_SUBREQUEST_H
#define GUISE_EXCHANGE_SUBREQUEST_H

#include "exchange/exchange.h"

struct subrequest;

/* Inside each of them subrequest_cancel is legal. */
struct subrequest_ops {
	/* The head of the final response is in sub->x->response; interim ones are dropped. */
	void (*on_head)(struct subrequest *sub);
	/*
	 * sub->x->response_body has something, or has ended: flow_take what is wanted now, and subrequest_settle, now or later. NULL: the
	 * content is dropped.
	 */
	void (*on_bytes)(struct subrequest *sub);
	/* Once, the last call, unless it was cancelled. NULL: the response has come to its end, and all was settled. */
	void (*on_end)(struct subrequest *sub, const struct error *error);
};

struct subrequest {
	struct stream down;
	struct exchange *x;
	const struct subrequest_ops *ops; /* NULL: over */
	void *owner;
	/* Copies, the exchange's own: to be changed before exchange_begin only. */
	struct service service;
	struct client client; /* .tls is NULL */
	bool answered;        /* on_head has been told */
};

/* `service` and `client` are copied. NULL: out of memory. */
WARN_UNUSED struct subrequest *subrequest_new(struct worker *worker, const struct service *service,
					      const struct client *client, const struct subrequest_ops *ops,
					      void *owner);

/* Of what was taken of the response's content, `held` bytes are still held; the rest makes room. on_end may follow at once. */
void subrequest_settle(struct subrequest *sub, size_t held);

/* Takes and drops what is there of the response's content. on_end may follow at once. */
void subrequest_drop_content(struct subrequest *sub);

/* It is not wanted any more: its up stream is aborted, and nothing is told. Harmless when it is over. */
void subrequest_cancel(struct subrequest *sub);

/*
 * For service.ops, where whoever asks gives the exchange its one up stream itself (exchange_set_up, after exchange_begin) or fails it
 * (exchange_abort): every answer is passed on, every failure is the end.
 */
extern const struct exchange_ops subrequest_plain_ops;

#endif
