/*
 * See sameness.h.
 */
#include "proxy/sameness.h"

#include "mask/field_order.h"
#include "mask/sameness.h"
#include "proxy/proxy_internal.h"

enum {
	DROPPED_MOST = 256 * 1024, /* bytes of an error's content that are read so that its connection can go on */
	DROPPED_MS = 1000,         /* and for so long */
};

/* An answer of ours that waits for the end of the server's. In the exchange's arena. */
struct uniform_error {
	struct stream sink; /* of the server's content */
	struct proxy_exchange *proxy;
	struct span body; /* ours */
	size_t dropped;
	struct timer timer;
	bool waits; /* it has not been sent */
};

static const struct sameness *same_of(const struct proxy_exchange *p)
{
	return p->match.route ? reverse_mask_same(p->match.route->mask) : NULL;
}

static struct span group_name(const struct upstream_group *group)
{
	return span_make(group->settings->name.text, group->settings->name.len);
}

/* ---- heads ---- */

bool sameness_request(struct exchange *x, const struct proxy_exchange *p)
{
	const struct sameness *same = same_of(p);

	return !same || sameness_open_conditions(same, group_name(upstream_group(x->worker, p->group)),
						 &x->request.fields);
}

bool sameness_beside(const struct proxy_exchange *p, struct http_fields *fields)
{
	const struct sameness *same = same_of(p);

	return !same || sameness_close_tags(same, group_name(p->hand_over.group), fields);
}

/* The head keeps what says what to do; the content follows when it can be sent. */
static bool make_uniform(struct exchange *x, struct proxy_exchange *p, const struct sameness *same)
{
	struct http_fields *fields = &x->response.fields;
	struct uniform_error *uniform = arena_zalloc(&x->arena, 1, sizeof(*uniform));
	struct span type;

	if (!uniform)
		return false;
	uniform->body = reply_status_body(x, x->response.status, &type);
	uniform->proxy = p;
	p->uniform = uniform;
	sameness_strip_error(same, fields);
	x->response.reason = (struct span){0};
	return uniform->body.at && http_fields_add_known(fields, HTTP_FIELD_CONTENT_TYPE, type) &&
	       http_fields_add_known(fields, HTTP_FIELD_CACHE_CONTROL, SPAN("no-store"));
}

bool sameness_response(struct exchange *x, struct proxy_exchange *p)
{
	const struct sameness *same = same_of(p);

	if (!same)
		return true;
	if (sameness_has_date(same))
		http_fields_drop_id(&x->response.fields, HTTP_FIELD_DATE); /* the codec says the time */
	if (sameness_replaces(same, x->response.status))
		return make_uniform(x, p, same);
	return sameness_beside(p, &x->response.fields);
}

bool sameness_order(const struct proxy_exchange *p, struct http_fields *fields)
{
	return !sameness_has_order(same_of(p)) || field_order_apply(fields);
}

/* ---- errors ---- */

static void uniform_send(struct uniform_error *uniform)
{
	struct exchange *x = uniform->proxy->exchange;

	sameness_cancel(uniform->proxy);
	exchange_reply(x, uniform->body);
}

static void uniform_on_readable(struct stream *sink)
{
	struct uniform_error *uniform = CONTAINER_OF(sink, struct uniform_error, sink);
	struct exchange *x = uniform->proxy->exchange;
	struct flow *content = &x->response_body;
	struct chunk_queue bytes = {0};

	flow_take(content, &bytes);
	uniform->dropped += bytes.bytes;
	chunk_queue_clear(&x->worker->buffers, &bytes);
	if (content->fin || uniform->dropped > DROPPED_MOST)
		uniform_send(uniform);
	else
		flow_settle(content, 0);
}

/* It is the sink of a flow, and no end of an exchange. */
static const struct stream_ops uniform_sink_ops = {
	.name = "uniform error",
	.on_readable = uniform_on_readable,
};

static void uniform_on_late(struct timer *timer)
{
	uniform_send(CONTAINER_OF(timer, struct uniform_error, timer));
}

bool sameness_take_error(struct exchange *x, struct proxy_exchange *p)
{
	struct uniform_error *uniform = p->uniform;

	if (!uniform)
		return false;
	uniform->waits = true;
	uniform->sink.ops = &uniform_sink_ops;
	timer_init(&uniform->timer, uniform_on_late);
	loop_timer_start(&x->worker->loop, &uniform->timer, DROPPED_MS);
	flow_set_sink(&x->response_body, &uniform->sink);
	return true;
}

bool sameness_on_up_failed(struct exchange *x, struct proxy_exchange *p)
{
	if (!p->uniform || !p->uniform->waits)
		return false;
	uniform_send(p->uniform);
	return true;
}

void sameness_cancel(struct proxy_exchange *p)
{
	struct uniform_error *uniform = p->uniform;

	if (!uniform || !uniform->waits)
		return;
	uniform->waits = false;
	loop_timer_stop(&p->exchange->worker->loop, &uniform->timer);
}
