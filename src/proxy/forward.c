/*
 * The forward face: asks on behalf of the client, for what the rules allow and the egress guard lets through. What was judged is
 * the very address that is connected to.
 */
#include "account/login.h"
#include "http/target.h"
#include "proxy/proxy_internal.h"

/* ---- phases ---- */

static enum phase_result forward_identify(struct exchange *x, struct proxy_exchange *p)
{
	char text[ADDRESS_TEXT];

	if (x->request.version < HTTP_VERSION_11)
		x->close_after = true; /* RFC 9112 9.3: a proxy keeps no connection of an HTTP/1.0 client */
	if (!rules_source_allowed(p->listener->rules, &x->client->address)) {
		p->forward.verdict = (struct verdict){.reason = VERDICT_BY_SOURCE, .rule = VERDICT_NO_RULE};
		return phase_fail(x, ERROR_DENIED, "this client may not use the proxy");
	}
	p->origin.client_text =
		arena_copy(&x->arena, span_make(text, address_format_ip(&x->client->address, text)));
	return p->origin.client_text.at ? PHASE_NEXT : phase_fail(x, ERROR_MEMORY, NULL);
}

static enum rule_scheme forward_tunnel_scheme(const struct http_head *request)
{
	if (request->version != HTTP_VERSION_SOCKS4 && request->version != HTTP_VERSION_SOCKS5)
		return RULE_TUNNEL;
	return span_equal(request->method_text, SPAN("UDP")) ? RULE_UDP : RULE_SOCKS;
}

/* What a proxy can be asked for (RFC 9112 3.2; RFC 1928 4). */
static enum phase_result forward_target(struct exchange *x, struct proxy_exchange *p)
{
	struct http_head *request = &x->request;

	if (p->listener->intercept != INTERCEPT_OFF)
		return intercept_target(x, p);
	switch (request->target_form) {
	case HTTP_TARGET_ABSOLUTE:
		p->forward.secure = span_equal(request->scheme, SPAN("https"));
		p->forward.scheme = p->forward.secure ? RULE_HTTPS : RULE_HTTP;
		return PHASE_NEXT;
	case HTTP_TARGET_AUTHORITY:
		p->forward.scheme = forward_tunnel_scheme(request);
		x->close_after = true; /* whatever follows belongs to the tunnel, even when there will be none */
		if (http_head_has_body(request))
			return phase_fail(x, ERROR_MALFORMED_REQUEST, "a CONNECT request has no body");
		return PHASE_NEXT;
	default:
		return phase_fail(x, ERROR_WRONG_FACE, NULL);
	}
}

static enum phase_result forward_admit(struct exchange *x, struct proxy_exchange *p)
{
	if (x->request.body == HTTP_BODY_LENGTH && x->request.length > x->body_limit)
		return phase_fail(x, ERROR_BODY_TOO_LARGE, NULL);
	return PHASE_NEXT;
}

uint16_t forward_port(const struct http_head *request)
{
	if (request->host.port)
		return request->host.port;
	/* SOCKS has no port that goes without saying: BIND and UDP may come with none. */
	return request->version < HTTP_VERSION_10 ? 0 : http_scheme_port(request->scheme);
}

struct address forward_literal(const struct http_head *request)
{
	struct address address = {.family = request->host.ip_family, .port = forward_port(request)};

	memcpy(address.ip, request->host.ip, sizeof(address.ip));
	return address;
}

struct rule_query forward_query(const struct exchange *x, const struct proxy_exchange *p,
				const struct address *address)
{
	return (struct rule_query){
		.source = &x->client->address,
		.user = p->forward.user,
		.in_group = x->service->accounts ? accounts_in_group : NULL,
		.accounts = x->service->accounts,
		.method = x->request.method_text,
		.scheme = p->forward.scheme,
		.host = x->request.host.host,
		.port = forward_port(&x->request),
		.address = address,
		.listener = p->listener->written,
		.wall_ms = x->worker->loop.wall_ms,
	};
}

struct error forward_refusal(struct proxy_exchange *p, const struct guard_verdict *verdict)
{
	struct exchange *x = p->exchange;

	p->detail = arena_copy(&x->arena, span_of(verdict->text));
	p->forward.verdict = verdict->verdict;
	if (verdict->outcome == GUARD_RULE) {
		p->hint = verdict->verdict.client_reason;
		return error_make(ERROR_DENIED, NULL);
	}
	if (x->request.host.ip_family != ADDRESS_NONE)
		p->hint = p->detail;
	return error_make(ERROR_TARGET_PROHIBITED,
			  verdict->outcome == GUARD_SPECIAL ? NULL : "the target is a part of this proxy");
}

struct guard_verdict forward_judge(const struct exchange *x, const struct proxy_exchange *p)
{
	/* UDP ASSOCIATE names no target: every datagram does, and is judged by it. */
	bool later = p->forward.scheme == RULE_UDP;
	struct address literal = forward_literal(&x->request);
	bool known = !later && literal.family != ADDRESS_NONE;
	struct rule_query query = forward_query(x, p, known ? &literal : NULL);

	if (known)
		return guard_judge(p->listener->rules, p->listener->own, &query);
	struct guard_verdict verdict = {.verdict = later ? rules_judge_client(p->listener->rules, &query) :
							   rules_judge(p->listener->rules, &query)};
	verdict.outcome = verdict.verdict.outcome == VERDICT_DENY ? GUARD_RULE : GUARD_ALLOW;
	if (verdict.outcome == GUARD_RULE)
		verdict_describe(&verdict.verdict, verdict.text);
	return verdict;
}

static enum phase_result forward_access(struct exchange *x, struct proxy_exchange *p)
{
	struct guard_verdict verdict = forward_judge(x, p);

	p->forward.verdict = verdict.verdict;
	if (verdict.outcome == GUARD_ALLOW)
		return PHASE_NEXT;
	struct error error = forward_refusal(p, &verdict);
	exchange_fail(x, &error);
	return PHASE_DONE;
}

static enum phase_result forward_mask(struct exchange *x, struct proxy_exchange *p)
{
	if (x->request.target_form == HTTP_TARGET_AUTHORITY)
		return PHASE_NEXT;
	p->forward.tells_address =
		forward_mask_is_told(p->listener->mask, &x->client->address, x->request.path);
	if (!forward_mask_request(p->listener->mask, &x->client->address, p->listener->via, &x->request))
		return phase_fail(x, ERROR_MEMORY, NULL);
	return PHASE_NEXT;
}

bool forward_mask_response_of(struct exchange *x, struct proxy_exchange *p)
{
	forward_hide_secrets(p, &x->response.fields);
	return forward_mask_response(p->listener->mask, p->listener->via, &x->response);
}

void forward_mask_beside(const struct proxy_exchange *p, struct http_fields *fields)
{
	forward_hide_secrets(p, fields);
	forward_mask_hide(p->listener->mask, fields);
}

const struct phase forward_phases[] = {
	{"identify", forward_identify},
	{"pac", forward_pac},
	{"target", forward_target},
	{"authenticate", forward_authenticate},
	{"admit", forward_admit},
	{"loop", phase_loop},
	{"access", forward_access},
	{"secrets", forward_secrets},
	{"allowance", forward_allowance},
	{"max forwards", phase_max_forwards},
	{"mask", forward_mask},
	{"hand over", forward_hand_over},
	{0},
};
