/*
 * The mask of the reverse face, as exchanges meet it: what servers are told, and what clients learn of what servers say. On the exchange's
 * worker.
 */
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
	/* Edits see the request as it came; what they set wins over what we add. */
	if (!forwarded_write(p->listener->forwarded, &x->client->address, &p->origin, request, &x->arena) ||
	    !tls_policy_request(x, p) || !via_append(&request->fields, request->version, p->listener->via) ||
	    !edits_apply(route->request, &request->fields, &context))
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

bool reverse_mask_response(struct exchange *x, struct proxy_exchange *p)
{
	struct template_context context = proxy_template_context(x, p);

	return tls_policy_response(x, p, &x->response.fields) &&
	       edits_apply(p->match.route->response, &x->response.fields, &context);
}

/* Heads and trailers beside the final head: what the route hides is hidden there too, nothing is added. */
void reverse_mask_beside(struct proxy_exchange *p, struct http_fields *fields, bool response)
{
	const struct route *route = p->match.route;

	if (!route)
		return;
	edits_hide(response ? route->response : route->request, fields);
	if (!response) {
		forwarded_drop(fields);
		tls_policy_drop(fields, false);
	}
}
