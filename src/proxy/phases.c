/*
 * The life of an exchange in this room: its phases, one after the other, and what streams report. On the exchange's worker.
 */
#include "proxy/proxy.h"

#include "exchange/raw.h"
#include "proxy/mirror.h"
#include "proxy/proxy_internal.h"

/* ---- phases of both faces ---- */

enum phase_result phase_fail(struct exchange *x, enum error_code code, const char *text)
{
	struct error error = error_make(code, text);

	exchange_fail(x, &error);
	return PHASE_DONE;
}

/*
 * TRACE and OPTIONS count their hops (RFC 9110 7.6.2): at zero the request is answered here, else it goes on with one less. A value that is no number
 * is not ours to judge, and goes on as it is.
 */
enum phase_result phase_max_forwards(struct exchange *x, struct proxy_exchange *p)
{
	struct http_head *request = &x->request;
	uint64_t hops = 0;

	if (request->method != HTTP_METHOD_TRACE && request->method != HTTP_METHOD_OPTIONS)
		return PHASE_NEXT;
	if (request->method == HTTP_METHOD_TRACE && http_head_has_body(request))
		return phase_fail(x, ERROR_MALFORMED_REQUEST, "a TRACE request has no body"); /* RFC 9110 9.3.8 */
	struct http_field *field = http_fields_find(&request->fields, HTTP_FIELD_MAX_FORWARDS);
	if (!field || !span_to_u64(field->value, &hops))
		return PHASE_NEXT;
	if (hops > 0) {
		field->value = arena_format(&x->arena, "%llu", (unsigned long long)hops - 1);
		return field->value.at ? PHASE_NEXT : phase_fail(x, ERROR_MEMORY, NULL);
	}
	if (request->method == HTTP_METHOD_TRACE) {
		reply_trace(x);
	} else {
		reply_begin(x, 200);
		if (!tls_policy_response(x, p, &x->response.fields))
			return phase_fail(x, ERROR_MEMORY, NULL);
		exchange_reply(x, (struct span){0});
	}
	return PHASE_DONE;
}

enum phase_result phase_loop(struct exchange *x, struct proxy_exchange *p)
{
	if (via_has(&x->request.fields, p->listener->via))
		return phase_fail(x, ERROR_LOOP, NULL);
	return PHASE_NEXT;
}

struct template_context proxy_template_context(const struct exchange *x, const struct proxy_exchange *p)
{
	return (struct template_context){
		.request = &x->request,
		.client = p->origin.client_text,
		.scheme = p->origin.scheme,
		.name = p->listener->name,
	};
}

/* ---- what the exchange reports ---- */

/* Waits for no server any more, and holds none. */
static void proxy_cancel(struct proxy_exchange *p)
{
	if (p->listener->face == PROXY_FORWARD) {
		forward_authenticate_cancel(p);
		forward_cancel(p);
	} else {
		hand_over_cancel(p);
		sameness_cancel(p);
	}
}

struct proxy_exchange *proxy_attach(struct exchange *x)
{
	if (x->proxy)
		return x->proxy;
	struct proxy_exchange *p = arena_zalloc(&x->arena, 1, sizeof(*p));
	if (!p)
		return NULL;
	p->exchange = x;
	p->listener = x->service->owner;
	p->authority = x->request.authority;
	p->path = x->request.path;
	p->origin.client = x->client->address;
	x->proxy = p;
	return p;
}

static const struct phase *const phases[] = {
	[PROXY_FORWARD] = forward_phases,
	[PROXY_REVERSE] = reverse_phases,
	[PROXY_TCP] = tcp_phases,
};

const struct phase *proxy_phases(const struct proxy_listener *listener)
{
	return phases[listener->face];
}

static void phases_run(struct exchange *x, struct proxy_exchange *p)
{
	while (p->phase->run && p->phase->run(x, p) == PHASE_NEXT)
		p->phase++;
}

void phases_go_on(struct exchange *x, struct proxy_exchange *p)
{
	p->phase++;
	phases_run(x, p);
}

static void proxy_on_request(struct exchange *x)
{
	struct proxy_exchange *p = proxy_attach(x);

	if (!p) {
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	p->phase = proxy_phases(p->listener);
	phases_run(x, p);
}

static void proxy_on_trailers(struct exchange *x, struct http_fields *trailers, bool response)
{
	struct proxy_exchange *p = proxy_exchange(x);

	if (!p)
		return;
	if (p->listener->face == PROXY_REVERSE)
		reverse_mask_beside(x, p, trailers, response);
	else if (response)
		forward_mask_beside(p, trailers);
	else
		forward_mask_trailers(p->listener->mask, &x->client->address, trailers);
}

static void proxy_on_response(struct exchange *x)
{
	struct proxy_exchange *p = proxy_exchange(x);
	bool good = true;

	pinning_on_response(x, p);
	if (p->listener->face == PROXY_REVERSE && !http_status_is_interim(x->response.status) &&
	    hand_over_on_answer(x, p))
		return;
	if (p->listener->face == PROXY_FORWARD && !http_status_is_interim(x->response.status) &&
	    forward_on_answer(x, p))
		return;
	if (!http_status_is_interim(x->response.status))
		good = p->listener->face == PROXY_FORWARD ? forward_mask_response_of(x, p) :
							    reverse_mask_response(x, p) && reverse_stick(x, p);
	else if (p->listener->face == PROXY_REVERSE)
		reverse_mask_interim_of(x, p);
	else
		forward_mask_beside(p, &x->response.fields);
	if (!good || p->leaked) {
		exchange_fail(x, &(struct error){.code = p->leaked ? ERROR_LEAK : ERROR_MEMORY});
		return;
	}
	if (sameness_take_error(x, p))
		return;
	exchange_send_head(x);
	if (x->state == EXCHANGE_ANSWERED && x->response.status == 101 && exchange_become_tunnel(x))
		tunnel_start(x, p);
}

static void proxy_on_up_failed(struct exchange *x, const struct error *error)
{
	struct proxy_exchange *p = proxy_exchange(x);

	if (p->listener->face == PROXY_FORWARD)
		forward_on_up_failed(x, p, error);
	else if (!sameness_on_up_failed(x, p))
		hand_over_on_failed(x, p, error);
}

static void proxy_on_up_done(struct exchange *x)
{
	struct proxy_exchange *p = proxy_exchange(x);

	if (p->listener->face != PROXY_FORWARD)
		hand_over_on_done(p);
}

static void proxy_on_refused(struct exchange *x, const struct error *error)
{
	struct proxy_exchange *p = proxy_attach(x);

	if (!p) {
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	proxy_cancel(p);
	if (p->listener->face == PROXY_FORWARD && raw_stream_is(x->down)) {
		intercept_refuse(x, error);
		return;
	}
	if (p->listener->face == PROXY_TCP) {
		exchange_abort(x, error); /* in whatever it speaks, we have no word for it */
		return;
	}
	if (error->code == ERROR_BODY_TOO_LARGE)
		x->close_after = true; /* RFC 9110 15.5.14: or the client would go on sending it */
	reply_error(x, p, error);
}

static void proxy_on_tunnel_flushed(struct exchange *x)
{
	tunnel_on_flushed(x, proxy_exchange(x));
}

static void proxy_on_end(struct exchange *x)
{
	struct proxy_exchange *p = proxy_attach(x);

	if (!p)
		return;
	proxy_cancel(p);
	mirror_on_end(p);
	tunnel_stop(x, p);
	if (!p->detached)
		access_log_write(x, p);
	if (p->listener->face != PROXY_FORWARD) {
		hand_over_end(p);
		return;
	}
	forward_allowance_end(p);
	forward_wipe_secrets(p);
}

const struct exchange_ops proxy_exchange_ops = {
	.on_request = proxy_on_request,
	.on_response = proxy_on_response,
	.on_trailers = proxy_on_trailers,
	.on_up_failed = proxy_on_up_failed,
	.on_up_done = proxy_on_up_done,
	.on_refused = proxy_on_refused,
	.on_tunnel_flushed = proxy_on_tunnel_flushed,
	.on_end = proxy_on_end,
};
