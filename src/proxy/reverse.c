/*
 * The reverse face: a route decides, the request is masked for the server, a server of the group gets it, another one if it could not.
 */
#include "mask/edit.h"
#include "proxy/mirror.h"
#include "proxy/proxy_internal.h"
#include "proxy/sticky.h"
#include "route/split.h"
#include "upstream/pinned.h"

/* ---- phases ---- */

/*
 * RFC 9110 7.4: a request for https is one only on a connection that is secured, or from a hop that says so and is believed. Servers take the scheme
 * that they are told for a fact.
 */
static bool reverse_scheme_holds(const struct exchange *x, const struct proxy_exchange *p)
{
	return span_equal(x->request.scheme, x->service->scheme) ||
	       forwarded_trusts(p->listener->forwarded, &x->client->address);
}

static enum phase_result reverse_identify(struct exchange *x, struct proxy_exchange *p)
{
	if (!reverse_scheme_holds(x, p))
		return phase_fail(x, ERROR_MISDIRECTED, NULL);
	if (!forwarded_read(p->listener->forwarded, &x->client->address, &x->request, &x->arena, &p->origin))
		return phase_fail(x, ERROR_MEMORY, NULL);
	return PHASE_NEXT;
}

/* A reverse proxy is no tunnel into its network, and shows no request to whoever asks for it (RFC 9110 9.3.6, 9.3.8). */
static enum phase_result reverse_method(struct exchange *x, struct proxy_exchange *p)
{
	if (x->request.method == HTTP_METHOD_CONNECT || x->request.method == HTTP_METHOD_TRACE)
		return phase_fail(x, ERROR_METHOD_NOT_ALLOWED, NULL);
	return PHASE_NEXT;
}

static enum phase_result reverse_route(struct exchange *x, struct proxy_exchange *p)
{
	struct error error = ERROR_OK;

	if (!router_match(p->listener->router, &x->request, &x->arena, &p->match, &error)) {
		exchange_fail(x, &error);
		return PHASE_DONE;
	}
	return PHASE_NEXT;
}

static enum phase_result reverse_admit(struct exchange *x, struct proxy_exchange *p)
{
	if (p->match.route->body_limit)
		x->body_limit = p->match.route->body_limit;
	if (x->request.body == HTTP_BODY_LENGTH && x->request.length > x->body_limit)
		return phase_fail(x, ERROR_BODY_TOO_LARGE, NULL);
	return PHASE_NEXT;
}

static bool reply_respond(struct exchange *x, const struct route_respond *respond)
{
	struct http_fields *fields = &x->response.fields;

	reply_begin(x, respond->status);
	if (respond->type.len && !http_fields_add_known(fields, HTTP_FIELD_CONTENT_TYPE, respond->type))
		return false;
	for (size_t i = 0; i < respond->field_count; i++) {
		const struct http_field *field = &respond->fields[i];
		if (!http_fields_add(fields, field->id, field->name, field->value))
			return false;
	}
	return true;
}

static bool reply_redirect(struct exchange *x, struct proxy_exchange *p)
{
	struct template_context context = proxy_template_context(x, p);
	struct span location = {0};

	if (!template_render(p->match.route->redirect, &context, &x->arena, &location))
		return false;
	reply_begin(x, p->match.route->redirect_status);
	return http_fields_add_known(&x->response.fields, HTTP_FIELD_LOCATION, location);
}

static enum phase_result reverse_answer(struct exchange *x, struct proxy_exchange *p)
{
	const struct route *route = p->match.route;
	struct span body = {0};
	bool good = true;

	switch (route->action) {
	case ROUTE_TO:
		return PHASE_NEXT;
	case ROUTE_RESPOND:
		good = reply_respond(x, &route->respond);
		body = route->respond.body;
		break;
	case ROUTE_REDIRECT:
		good = reply_redirect(x, p);
		break;
	}
	if (!good || !reverse_mask_answer(x, p))
		return phase_fail(x, ERROR_MEMORY, NULL);
	exchange_reply(x, body);
	return PHASE_DONE;
}

/* By the request as it came: what edits and rewrites make of it decides nothing. */
static enum phase_result reverse_choose(struct exchange *x, struct proxy_exchange *p)
{
	const struct route *route = p->match.route;

	p->group = route->split ?
			   split_choose(route->split, &x->request, &p->origin.client, &x->worker->random) :
			   route->group;
	if (!hand_over_choose(x, p, upstream_group(x->worker, p->group)))
		return phase_fail(x, ERROR_MEMORY, NULL);
	return PHASE_NEXT;
}

/* ---- one try ---- */

struct span reverse_host(const struct proxy_exchange *p, const struct fleet_server *server)
{
	const struct route *route = p->match.route;

	if (route->set_host == ROUTE_HOST_FIXED)
		return route->host;
	if (route->set_host == ROUTE_HOST_PRESERVE && p->authority.len)
		return p->authority;
	if (server->address.family == ADDRESS_UNIX)
		return SPAN("localhost");
	return server->written;
}

static void reverse_send(struct exchange *x, struct proxy_exchange *p, struct session *session)
{
	const struct fleet_server *server = p->hand_over.ticket.server->fleet;
	struct stream *stream = session->ops->open(session, x);

	if (!stream) {
		session_discard(session);
		exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	x->request.authority = reverse_host(p, server);
	pinning_on_session(x, p, session);
	exchange_set_up(x, stream);
}

static struct proxy_exchange *reverse_owner(struct acquire *acquire)
{
	return CONTAINER_OF(acquire, struct proxy_exchange, hand_over.acquire);
}

static void reverse_on_session(struct acquire *acquire, struct session *session)
{
	struct proxy_exchange *p = reverse_owner(acquire);

	p->reused = session->served > 0; /* one that became free meanwhile */
	reverse_send(p->exchange, p, session);
}

static void reverse_on_no_session(struct acquire *acquire, const struct error *error)
{
	struct proxy_exchange *p = reverse_owner(acquire);

	hand_over_on_failed(p->exchange, p, error);
}

static const struct acquire_ops reverse_acquire_ops = {
	.on_session = reverse_on_session,
	.on_failed = reverse_on_no_session,
};

/*
 * If HTTP/1.1 may be spoken: an upgrade, few servers know any over HTTP/2 (RFC 9113 8.6, RFC 8441), and what authenticates a connection, which means little where many
 * exchanges share one.
 */
static bool reverse_needs_http1(const struct exchange *x, const struct proxy_exchange *p,
				const struct upstream_group *group)
{
	return (x->request.protocol.len > 0 || p->binding) && group->settings->http == UPSTREAM_HTTP_AUTO;
}

/* The client's own connection to the server, or one of all clients; not for what has to be said to one that nobody else is given. */
static struct session *reverse_reuse(const struct exchange *x, const struct proxy_exchange *p,
				     struct upstream_server *server, bool http1)
{
	struct session *session = p->fresh ? NULL : upstream_take_pinned(server, x->client->pins);

	return session || p->fresh || p->binding || http1 ? session : session_pool_take(&server->pool);
}

void reverse_try(struct exchange *x, struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;
	struct upstream_server *server = hand->ticket.server;
	bool http1 = server->speaks != UPSTREAM_SPEAKS_HTTP1 && reverse_needs_http1(x, p, hand->group);
	struct session *session = reverse_reuse(x, p, server, http1);

	p->reused = session != NULL;
	if (session) {
		reverse_send(x, p, session);
		return;
	}
	struct acquire_wish wish = {
		.kind = http1 ? ACQUIRE_HTTP1 : ACQUIRE_SESSION,
		.source = &p->origin.client,
		.destination = &x->client->local,
		.fresh = p->fresh || p->binding,
		.alone = p->binding,
		.began_us = &hand->ticket.began_us,
	};
	if (!acquire_start(&hand->acquire, &reverse_acquire_ops, hand->group, server, &wish))
		exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
}

static enum phase_result reverse_hand_over(struct exchange *x, struct proxy_exchange *p)
{
	pinning_on_request(x, p);
	mirror_begin(x, p);
	hand_over_begin(x, p, upstream_group(x->worker, p->group));
	return PHASE_DONE;
}

bool reverse_stick(struct exchange *x, struct proxy_exchange *p)
{
	return sticky_write(x, &p->hand_over.query, &p->hand_over.ticket,
			    span_equal(p->origin.scheme, SPAN("https")));
}

const struct phase reverse_phases[] = {
	{"identify", reverse_identify},
	{"misdirected", phase_misdirected},
	{"method", reverse_method},
	{"max forwards", phase_max_forwards},
	{"loop", phase_loop},
	{"route", reverse_route},
	{"admit", reverse_admit},
	{"answer", reverse_answer},
	{"choose", reverse_choose},
	{"mask", reverse_mask_request},
	{"hand over", reverse_hand_over},
	{0},
};
