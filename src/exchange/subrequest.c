/*
 * See subrequest.h: the down stream of a request of our own, which has no connection.
 */
#include "exchange/subrequest.h"

/* It always lies in the page of its exchange. */
_Static_assert(sizeof(struct exchange) + sizeof(struct subrequest) + 64 <= WORKER_PAGE, "a page holds both");

static struct subrequest *subrequest_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct subrequest, down);
}

/* ---- the down stream ---- */

static void subrequest_on_head(struct stream *stream, const struct http_head *head)
{
	struct subrequest *sub = subrequest_of(stream);

	if (!sub->ops || http_status_is_interim(head->status))
		return;
	sub->answered = true;
	sub->ops->on_head(sub);
}

static void subrequest_finish_if_done(struct subrequest *sub)
{
	const struct flow *content = &sub->x->response_body;

	if (sub->ops && sub->answered && content->fin && flow_idle(content))
		exchange_finish(sub->x);
}

static void subrequest_on_readable(struct stream *stream)
{
	struct subrequest *sub = subrequest_of(stream);

	if (!sub->ops || !sub->answered)
		return;
	if (sub->ops->on_bytes)
		sub->ops->on_bytes(sub);
	else
		subrequest_drop_content(sub);
	subrequest_finish_if_done(sub);
}

/* Whoever asks pushes content when there is some, and looks at the room itself. */
static void subrequest_on_credit(struct stream *stream)
{
}

/* No more content is wanted: what is still pushed goes with the exchange. */
static void subrequest_stop(struct stream *stream)
{
}

static void subrequest_end(struct subrequest *sub, const struct error *error)
{
	const struct subrequest_ops *ops = sub->ops;

	sub->ops = NULL;
	if (ops)
		ops->on_end(sub, error);
}

static void subrequest_abort(struct stream *stream, const struct error *error)
{
	subrequest_end(subrequest_of(stream), error);
}

static void subrequest_detach(struct stream *stream)
{
	subrequest_end(subrequest_of(stream), NULL);
}

static struct stream *subrequest_become_raw(struct stream *stream)
{
	return NULL;
}

static struct conn *subrequest_plain_conn(struct stream *stream)
{
	return NULL;
}

static const struct stream_ops subrequest_stream_ops = {
	.name = "subrequest",
	.on_head = subrequest_on_head,
	.on_readable = subrequest_on_readable,
	.on_credit = subrequest_on_credit,
	.stop = subrequest_stop,
	.abort = subrequest_abort,
	.detach = subrequest_detach,
	.become_raw = subrequest_become_raw,
	.plain_conn = subrequest_plain_conn,
};

/* ---- for who asks ---- */

struct subrequest *subrequest_new(struct worker *worker, const struct service *service,
				  const struct client *client, const struct subrequest_ops *ops, void *owner)
{
	struct exchange *x = exchange_new(worker, service, client);
	if (!x)
		return NULL;
	struct subrequest *sub = arena_zalloc(&x->arena, 1, sizeof(*sub));

	ENSURE(sub);
	sub->down.ops = &subrequest_stream_ops;
	sub->x = x;
	sub->ops = ops;
	sub->owner = owner;
	sub->service = *service;
	sub->client = *client;
	sub->client.tls = NULL; /* it would have to live as long */
	sub->client.pins = NULL;
	x->service = &sub->service;
	x->client = &sub->client;
	exchange_attach_down(x, &sub->down);
	return sub;
}

void subrequest_settle(struct subrequest *sub, size_t held)
{
	if (!sub->ops)
		return;
	flow_settle(&sub->x->response_body, held);
	subrequest_finish_if_done(sub);
}

void subrequest_drop_content(struct subrequest *sub)
{
	struct chunk_queue bytes = {0};

	if (!sub->ops)
		return;
	flow_take(&sub->x->response_body, &bytes);
	chunk_queue_clear(&sub->x->worker->buffers, &bytes);
	subrequest_settle(sub, 0);
}

void subrequest_cancel(struct subrequest *sub)
{
	if (!sub->ops)
		return;
	sub->ops = NULL;
	exchange_abort(sub->x, &(struct error){.code = ERROR_CLIENT_GONE});
}

/* ---- plain ops ---- */

static void plain_on_request(struct exchange *x)
{
}

static void plain_on_response(struct exchange *x)
{
	exchange_send_head(x);
}

static void plain_on_failed(struct exchange *x, const struct error *error)
{
	exchange_abort(x, error);
}

static void plain_on_end(struct exchange *x)
{
}

const struct exchange_ops subrequest_plain_ops = {
	.on_request = plain_on_request,
	.on_response = plain_on_response,
	.on_up_failed = plain_on_failed,
	.on_refused = plain_on_failed,
	.on_end = plain_on_end,
};
