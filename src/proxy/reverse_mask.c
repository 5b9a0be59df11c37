/*
 * The mask of the reverse face, as exchanges meet it: what servers are told, and what clients learn of what servers say. On the exchange's
 * worker.
 */
#include "http/target.h"
#include "proxy/body_guard.h"
#include "proxy/leaks.h"
#include "proxy/proxy_internal.h"

enum phase_result reverse_mask_request(struct exchange *x, struct proxy_exchange *p)
{
	const struct route *route = p->match.route;
	struct http_head *request = &x->request;
	struct template_context context = proxy_template_context(x, p);
	struct span path = request->path;
	struct error error = ERROR_OK;

	if (!route_rewrite(&p->match, request, &x->arena, &path, &error)) {
		exchange_fail(x, &error);
		return PHASE_DONE;
	}
	/* Edits see the request as it came, but for what only we can read; what they set wins over what we add. */
	if (!sameness_request(x, p) ||
	    !forwarded_write(p->listener->forwarded, &x->client->address, &p->origin, request, &x->arena) ||
	    !tls_policy_request(x, p) || !via_append(&request->fields, request->version, p->listener->via) ||
	    !edits_apply(route->request, &request->fields, &context))
		return phase_fail(x, ERROR_MEMORY, NULL);
	if (!body_guard_request(x, p))
		return phase_fail(x, ERROR_MEMORY, NULL);
	request->path = path;
	/*
	 * For servers that are told a scheme (HTTP/2): the translated request's, which is what the client spoke to us, or to a hop that is
	 * trusted (RFC 9113 8.3.1). Whether our connection to the server is secured says nothing of the client's; a server that takes https
	 * from us on one that is not trusts its gateway, as RFC 9110 7.4 has it.
	 */
	request->scheme = p->origin.scheme;
	http_fields_drop_id(&request->fields, HTTP_FIELD_PROXY_AUTHORIZATION);
	return PHASE_NEXT;
}

/* ---- answers ---- */

/*
 * Whether what the client says that it asks for may be said to others: a name that the route declares, with the port that it connected to, the scheme's own, or one that a hop
 * vouches for which is believed. References to anything else become relative, and so lead where the client is.
 */
static bool asked_is_checked(const struct exchange *x, const struct proxy_exchange *p)
{
	const struct http_authority *asked = &x->request.host;

	if (!p->match.route->declares_host || asked->host.len == 0)
		return false;
	return asked->port == 0 || asked->port == http_scheme_port(p->origin.scheme) ||
	       asked->port == x->client->local.port ||
	       forwarded_trusts(p->listener->forwarded, &x->client->address);
}

struct reverse_mask_view reverse_mask_view(const struct exchange *x, const struct proxy_exchange *p)
{
	const struct fleet_server *server = p->hand_over.named->fleet;
	struct reverse_mask_view view = {
		.server = server->host,
		.server_text = p->server_text,
		.server_port = server->port,
		.server_secure = p->hand_over.group->settings->tls.place.line != 0,
		.asked = &x->request.host,
		.authority = p->authority,
		.checked = asked_is_checked(x, p),
		.scheme = p->origin.scheme,
		.log = x->worker->log,
		.told = p->listener->told,
		.now_ms = x->worker->loop.now,
		.listener = p->listener->text,
	};

	view.others = leaks_others(p);
	if (server->address.family == ADDRESS_V4 || server->address.family == ADDRESS_V6)
		view.address = &server->address;
	if (!span_equal(x->request.authority, p->authority))
		view.said = x->request.authority;
	(void)route_replaces_prefix(&p->match, &view.from, &view.to);
	return view;
}

bool reverse_mask_response(struct exchange *x, struct proxy_exchange *p)
{
	const struct route *route = p->match.route;
	struct template_context context = proxy_template_context(x, p);

	if (route->mask) {
		struct reverse_mask_view view = reverse_mask_view(x, p);
		if (!reverse_mask_head(route->mask, &view, &x->response) || !body_guard_begin(x, p))
			return false;
	}
	return sameness_response(x, p) && leak_guard_head(x, p) &&
	       tls_policy_response(x, p, &x->response.fields) &&
	       edits_apply(route->response, &x->response.fields, &context) &&
	       sameness_order(p, &x->response.fields);
}

bool reverse_mask_answer(struct exchange *x, struct proxy_exchange *p)
{
	const struct route *route = p->match.route;
	struct template_context context = proxy_template_context(x, p);

	return reverse_mask_error(p, &x->response.fields) && tls_policy_response(x, p, &x->response.fields) &&
	       edits_apply(route->response, &x->response.fields, &context) &&
	       sameness_order(p, &x->response.fields);
}

bool reverse_mask_error(const struct proxy_exchange *p, struct http_fields *fields)
{
	const struct reverse_mask *mask = p->listener->face != PROXY_REVERSE ? NULL :
					  p->match.route                     ? p->match.route->mask :
									       router_mask(p->listener->router);

	return !mask || reverse_mask_own(mask, fields);
}

void reverse_mask_interim_of(struct exchange *x, struct proxy_exchange *p)
{
	const struct reverse_mask *mask = p->match.route->mask;

	if (mask) {
		struct reverse_mask_view view = reverse_mask_view(x, p);
		if (!reverse_mask_interim(mask, &view, &x->response) ||
		    !sameness_beside(p, &x->response.fields) || !leak_guard_head(x, p))
			x->response.fields.count = 0; /* out of memory: nothing is said rather than too much */
	}
	edits_hide(p->match.route->response, &x->response.fields);
}

static void mask_response_trailers(struct exchange *x, struct proxy_exchange *p, struct http_fields *trailers)
{
	const struct reverse_mask *mask = p->match.route->mask;

	if (mask && p->hand_over.named) {
		struct reverse_mask_view view = reverse_mask_view(x, p);
		if (!reverse_mask_trailers(mask, &view, trailers) || !body_guard_trailers(p, trailers) ||
		    !sameness_beside(p, trailers))
			trailers->count = 0;
		leak_guard_trailers(x, p, trailers);
	}
	edits_hide(p->match.route->response, trailers);
}

void reverse_mask_beside(struct exchange *x, struct proxy_exchange *p, struct http_fields *trailers,
			 bool response)
{
	if (!p->match.route)
		return;
	if (response) {
		mask_response_trailers(x, p, trailers);
		return;
	}
	edits_hide(p->match.route->request, trailers);
	forwarded_drop(trailers);
	tls_policy_drop(trailers, false);
}
