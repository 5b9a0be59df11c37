/*
 * The life of an exchange: made by a down stream, led by the proxy's ops, ended once. Runs on one worker; freed by its loop at
 * the end of the turn in which it ends.
 */
#include "exchange/exchange_internal.h"

bool exchange_room_init(struct worker *worker)
{
	struct exchange_room *room = memory_alloc(worker->memory, sizeof(*room));
	if (!room)
		return false;
	*room = (struct exchange_room){0};
	list_init(&room->idle_pins);
	worker->slots[WORKER_SLOT_EXCHANGE] = room;
	return true;
}

void exchange_room_fini(struct worker *worker)
{
	if (worker->slots[WORKER_SLOT_EXCHANGE])
		memory_free(worker->memory, exchange_room(worker), sizeof(struct exchange_room));
	worker->slots[WORKER_SLOT_EXCHANGE] = NULL;
}

size_t exchange_count(const struct worker *worker)
{
	return exchange_room(worker)->alive;
}

static void exchange_free(struct loop_task *task)
{
	struct exchange *x = CONTAINER_OF(task, struct exchange, retire);
	struct worker *worker = x->worker;
	struct arena arena = x->arena; /* x itself lies in memory that goes back last */

	flow_fini(&x->request_body);
	flow_fini(&x->response_body);
	arena_fini(&arena);
	pool_put(&worker->pages, x);
	exchange_room(worker)->alive--;
}

static void exchange_on_deadline(struct timer *timer)
{
	struct exchange *x = CONTAINER_OF(timer, struct exchange, deadline);
	exchange_fail(x, &(struct error){.code = ERROR_TOTAL_TIMEOUT});
}

/* What may follow each state, as bits. */
static const uint8_t exchange_moves[] = {
	[EXCHANGE_HEAD] = 1 << EXCHANGE_RUNNING | 1 << EXCHANGE_OVER,
	[EXCHANGE_RUNNING] = 1 << EXCHANGE_RUNNING | 1 << EXCHANGE_ANSWERED | 1 << EXCHANGE_OVER,
	[EXCHANGE_ANSWERED] = 1 << EXCHANGE_OVER,
	[EXCHANGE_OVER] = 1 << EXCHANGE_OVER,
};

static void exchange_set_state(struct exchange *x, enum exchange_state state)
{
	ENSURE(exchange_moves[x->state] & 1 << state);
	x->state = (uint8_t)state;
}

struct exchange *exchange_new(struct worker *worker, const struct service *service, const struct client *client)
{
	/* One page holds the exchange and the beginning of its arena: for most requests that is all there is. */
	struct exchange *x = pool_get(&worker->pages);
	if (!x)
		return NULL;
	struct exchange_room *room = exchange_room(worker);
	memset(x, 0, sizeof(*x));
	x->worker = worker;
	x->service = service;
	x->client = client;
	x->body_limit = service->limits->body;
	x->began_us = worker->loop.now_us;
	size_t used = (sizeof(*x) + 15) & ~(size_t)15;
	arena_init(&x->arena, worker->memory, &worker->pages, (uint8_t *)x + used, WORKER_PAGE - used);
	http_fields_init(&x->request.fields, &x->arena);
	http_fields_init(&x->response.fields, &x->arena);
	flow_init(&x->request_body, worker, service->limits->flow);
	flow_init(&x->response_body, worker, service->limits->flow);
	timer_init(&x->deadline, exchange_on_deadline);
	loop_task_init(&x->retire, exchange_free);
	room->alive++;
	return x;
}

void exchange_attach_down(struct exchange *x, struct stream *down)
{
	x->down = down;
	down->exchange = x;
	down->in = &x->request_body;
	down->out = &x->response_body;
	flow_set_source(&x->request_body, down);
	flow_set_sink(&x->response_body, down);
}

void exchange_begin(struct exchange *x)
{
	exchange_set_state(x, EXCHANGE_RUNNING);
	if (x->service->timeouts->total)
		loop_timer_start(&x->worker->loop, &x->deadline, x->service->timeouts->total);
	x->service->ops->on_request(x);
}

void exchange_refuse(struct exchange *x, const struct error *error)
{
	exchange_set_state(x, EXCHANGE_RUNNING);
	x->head_is_bad = true;
	x->close_after = true;
	x->error = *error;
	x->service->ops->on_refused(x, error);
}

/* ---- for the proxy ---- */

static void exchange_forget_up(struct exchange *x)
{
	x->up = NULL;
	flow_set_source(&x->response_body, NULL);
	flow_set_sink(&x->request_body, NULL);
}

void exchange_set_up(struct exchange *x, struct stream *up)
{
	x->up = up;
	up->exchange = x;
	up->in = &x->response_body;
	up->out = &x->request_body;
	flow_set_source(&x->response_body, up);
	up->ops->on_head(up, &x->request);
	if (x->up == up)
		flow_set_sink(&x->request_body, up);
}

void exchange_drop_up(struct exchange *x, const struct error *error)
{
	struct stream *up = x->up;
	if (!up)
		return;
	exchange_forget_up(x);
	if (error)
		up->ops->abort(up, error);
	else
		up->ops->detach(up);
}

void exchange_send_head(struct exchange *x)
{
	if (!x->down)
		return;
	if (!http_status_is_interim(x->response.status))
		exchange_set_state(x, EXCHANGE_ANSWERED);
	x->down->ops->on_head(x->down, &x->response);
}

void exchange_reply(struct exchange *x, struct span body)
{
	bool bodiless = x->request.method == HTTP_METHOD_HEAD || x->response.status == 204 ||
			x->response.status == 304;

	exchange_drop_up(x, &(struct error){.code = ERROR_NONE});
	flow_reset(&x->response_body);
	if (x->down) {
		flow_set_sink(&x->response_body, x->down);
		if (!x->request_body.fin)
			x->down->ops->stop(x->down);
	}
	if (x->state == EXCHANGE_OVER)
		return;
	x->response.version = HTTP_VERSION_11;
	x->response.length = body.len;
	x->response.length_known = x->response.status != 204;
	x->response.body = bodiless || body.len == 0 ? HTTP_BODY_NONE : HTTP_BODY_LENGTH;
	exchange_send_head(x);
	if (x->state == EXCHANGE_OVER)
		return;
	if (!bodiless && body.len && flow_push_static(&x->response_body, body) == FLOW_NO_MEMORY) {
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	flow_finish(&x->response_body, NULL);
}

void exchange_fail(struct exchange *x, const struct error *error)
{
	if (x->state == EXCHANGE_OVER)
		return;
	if (x->state == EXCHANGE_ANSWERED || error_status(error) == 0) {
		exchange_abort(x, error);
		return;
	}
	if (!error_is(&x->error))
		x->error = *error;
	exchange_drop_up(x, error);
	x->service->ops->on_refused(x, error);
}

void exchange_open_tunnel(struct exchange *x)
{
	exchange_set_state(x, EXCHANGE_ANSWERED);
	x->tunnel = true;
	loop_timer_stop(&x->worker->loop, &x->deadline);
}

static struct stream *raw_end(struct stream *stream)
{
	return stream ? stream->ops->become_raw(stream) : NULL;
}

bool exchange_become_tunnel(struct exchange *x)
{
	struct stream *down = x->down, *up = x->up;

	flow_reset(&x->request_body);
	flow_reset(&x->response_body);
	x->tunnel = true;
	loop_timer_stop(&x->worker->loop, &x->deadline);
	down = raw_end(down);
	if (down)
		x->down = down;
	up = down ? raw_end(up) : NULL;
	if (up)
		x->up = up;
	if (!down || !up) {
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		return false;
	}
	flow_set_source(&x->request_body, down);
	flow_set_sink(&x->request_body, up);
	flow_set_source(&x->response_body, up);
	flow_set_sink(&x->response_body, down);
	return true;
}

/* ---- for streams ---- */

void exchange_on_response(struct exchange *x)
{
	x->service->ops->on_response(x);
}

void exchange_on_trailers(struct exchange *x, struct http_fields *trailers, bool response)
{
	if (trailers && x->service->ops->on_trailers)
		x->service->ops->on_trailers(x, trailers, response);
}

void exchange_on_up_done(struct exchange *x)
{
	exchange_forget_up(x);
	if (x->service->ops->on_up_done)
		x->service->ops->on_up_done(x);
	if (!x->request_body.fin && x->down)
		x->down->ops->stop(x->down);
}

void exchange_on_up_error(struct exchange *x, const struct error *error)
{
	if (x->state == EXCHANGE_OVER)
		return;
	exchange_forget_up(x);
	if (x->state == EXCHANGE_ANSWERED)
		exchange_abort(x, error);
	else
		x->service->ops->on_up_failed(x, error);
}

static void exchange_end(struct exchange *x)
{
	exchange_set_state(x, EXCHANGE_OVER);
	x->down = NULL;
	/* A flow that is on the ready list must find nobody to tell. */
	flow_set_source(&x->request_body, NULL);
	flow_set_sink(&x->response_body, NULL);
	loop_timer_stop(&x->worker->loop, &x->deadline);
	x->service->ops->on_end(x);
	loop_retire(&x->worker->loop, &x->retire);
}

void exchange_finish(struct exchange *x)
{
	if (x->state == EXCHANGE_OVER)
		return;
	struct stream *down = x->down;

	exchange_drop_up(x, NULL);
	exchange_end(x);
	if (down)
		down->ops->detach(down);
}

void exchange_finish_tunnel(struct exchange *x)
{
	if (x->tunnel && x->request_body.fin && x->response_body.fin && flow_idle(&x->request_body) &&
	    flow_idle(&x->response_body))
		exchange_finish(x);
}

void exchange_leave(struct exchange *x)
{
	exchange_forget_up(x);
	exchange_end(x);
}

void exchange_abort(struct exchange *x, const struct error *error)
{
	if (x->state == EXCHANGE_OVER)
		return;
	struct stream *down = x->down;

	if (!error_is(&x->error))
		x->error = *error;
	if (x->state != EXCHANGE_ANSWERED)
		x->response.status = 0; /* of an interim response, or of none that the client has seen */
	exchange_set_state(x, EXCHANGE_OVER);
	exchange_drop_up(x, error);
	exchange_end(x);
	if (down)
		down->ops->abort(down, error);
}
