/*
 * The forward face: asks on behalf of the client, for what the rules allow and the egress guard lets through. What was judged is
 * the very address that is connected to.
 */
#include "exchange/raw.h"
#include "http/target.h"
#include "proxy/proxy_internal.h"
#include "upstream/origin.h"

/* ---- phases ---- */

static enum phase_result forward_identify(struct exchange *x, struct proxy_exchange *p)
{
	char text[ADDRESS_TEXT];

	if (x->request.version < HTTP_VERSION_11)
		x->close_after = true; /* RFC 9112 9.3: a proxy keeps no connection of an HTTP/1.0 client */
	if (!rules_source_allowed(p->listener->rules, &x->client->address))
		return phase_fail(x, ERROR_DENIED, "this client may not use the proxy");
	p->origin.client_text =
		arena_copy(&x->arena, span_make(text, address_format_ip(&x->client->address, text)));
	return p->origin.client_text.at ? PHASE_NEXT : phase_fail(x, ERROR_MEMORY, NULL);
}

/* What a proxy can be asked for (RFC 9112 3.2). */
static enum phase_result forward_target(struct exchange *x, struct proxy_exchange *p)
{
	struct http_head *request = &x->request;

	switch (request->target_form) {
	case HTTP_TARGET_ABSOLUTE:
		if (!span_equal(request->scheme, SPAN("http")))
			return phase_fail(x, ERROR_BAD_TARGET, "https targets need CONNECT");
		return PHASE_NEXT;
	case HTTP_TARGET_AUTHORITY:
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

static uint16_t forward_port(const struct http_head *request)
{
	return request->host.port ? request->host.port : http_scheme_port(request->scheme);
}

/* The target's address when it was given as a literal; family ADDRESS_NONE for a name. */
static struct address forward_literal(const struct http_head *request)
{
	struct address address = {.family = request->host.ip_family, .port = forward_port(request)};

	memcpy(address.ip, request->host.ip, sizeof(address.ip));
	return address;
}

static struct rule_query forward_query(const struct exchange *x, const struct address *address)
{
	return (struct rule_query){
		.source = &x->client->address,
		.method = x->request.method_text,
		.host = x->request.host.host,
		.port = forward_port(&x->request),
		.address = address,
	};
}

/* Notes why for the log; the client is told no address that it did not name itself. */
static struct error forward_refusal(struct proxy_exchange *p, const struct guard_verdict *verdict)
{
	struct exchange *x = p->exchange;

	p->detail = arena_copy(&x->arena, span_of(verdict->text));
	if (verdict->outcome == GUARD_RULE)
		return error_make(ERROR_DENIED, NULL);
	if (x->request.host.ip_family != ADDRESS_NONE)
		p->hint = p->detail;
	return error_make(ERROR_TARGET_PROHIBITED,
			  verdict->outcome == GUARD_SPECIAL ? NULL : "the target is a part of this proxy");
}

struct guard_verdict forward_judge(const struct exchange *x, const struct proxy_exchange *p)
{
	struct address literal = forward_literal(&x->request);
	struct rule_query query = forward_query(x, literal.family == ADDRESS_NONE ? NULL : &literal);

	if (literal.family != ADDRESS_NONE)
		return guard_judge(p->listener->rules, p->listener->own, &query);
	struct guard_verdict verdict = {.verdict = rules_judge(p->listener->rules, &query)};
	verdict.outcome = verdict.verdict.outcome == VERDICT_DENY ? GUARD_RULE : GUARD_ALLOW;
	return verdict;
}

static enum phase_result forward_access(struct exchange *x, struct proxy_exchange *p)
{
	struct guard_verdict verdict = forward_judge(x, p);

	if (verdict.outcome == GUARD_ALLOW)
		return PHASE_NEXT;
	struct error error = forward_refusal(p, &verdict);
	exchange_fail(x, &error);
	return PHASE_DONE;
}

static enum phase_result forward_mask(struct exchange *x, struct proxy_exchange *p)
{
	if (x->request.method == HTTP_METHOD_CONNECT)
		return PHASE_NEXT;
	if (!forward_mask_request(p->listener->mask, &x->client->address, p->listener->via, &x->request))
		return phase_fail(x, ERROR_MEMORY, NULL);
	return PHASE_NEXT;
}

/* ---- hand-over ---- */

static void forward_send(struct exchange *x, struct proxy_exchange *p, struct session *session)
{
	struct stream *stream = session->ops->open(session, x);

	if (stream) {
		exchange_set_up(x, stream);
		return;
	}
	session_discard(session);
	exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
}

static void forward_open_tunnel(struct exchange *x, struct proxy_exchange *p, struct conn *conn)
{
	struct stream *raw =
		raw_stream_new(x, conn, &x->response_body, &x->request_body, NULL, false, NULL, NULL);

	if (!raw) {
		conn_close(conn);
		exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	exchange_set_up(x, raw);
	reply_begin(x, 200);
	exchange_send_head(x);
	if (x->state == EXCHANGE_ANSWERED && exchange_become_tunnel(x))
		tunnel_start(x, p);
}

static void forward_open_session(struct exchange *x, struct proxy_exchange *p, struct conn *conn)
{
	const struct timeouts_settings *timeouts = x->service->timeouts;
	struct h1_client_settings settings = {.response = timeouts->response, .idle = timeouts->pool};
	struct session *session = origin_adopt(x->worker, &x->client->address, x->request.host.host,
					       forward_port(&x->request), conn, &settings);

	if (session) {
		forward_send(x, p, session);
		return;
	}
	conn_close(conn);
	exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
}

static void forward_on_connected(struct connector *connector, struct conn *conn, const struct error *error)
{
	struct proxy_exchange *p = CONTAINER_OF(connector, struct proxy_exchange, connector);
	struct exchange *x = p->exchange;
	char text[ADDRESS_TEXT];

	if (!conn) {
		forward_on_up_failed(x, p, error);
		return;
	}
	p->server_text = arena_copy(&x->arena, span_make(text, address_format(&conn->peer, text)));
	if (x->request.method == HTTP_METHOD_CONNECT)
		forward_open_tunnel(x, p, conn);
	else
		forward_open_session(x, p, conn);
}

static unsigned forward_filter(struct connector *connector, struct address *addresses, unsigned count,
			       struct error *error)
{
	struct proxy_exchange *p = CONTAINER_OF(connector, struct proxy_exchange, connector);
	struct rule_query query = forward_query(p->exchange, NULL);
	struct guard_verdict refused = {0};
	size_t left = guard_filter(p->listener->rules, p->listener->own, &query, addresses, count, &refused);

	if (left == 0)
		*error = forward_refusal(p, &refused);
	return (unsigned)left;
}

static const struct connector_ops forward_connector_ops = {
	.filter = forward_filter,
	.on_connected = forward_on_connected,
};

/* An idle connection of this client to the same place, whose address the rules of now still allow. */
static struct session *forward_reuse(struct exchange *x, struct proxy_exchange *p)
{
	struct session *session;

	while ((session = origin_take(x->worker, &x->client->address, x->request.host.host,
				      forward_port(&x->request)))) {
		struct rule_query query = forward_query(x, &session->conn->peer);
		if (guard_judge(p->listener->rules, p->listener->own, &query).outcome == GUARD_ALLOW)
			return session;
		session_discard(session);
	}
	return NULL;
}

static void forward_try(struct exchange *x, struct proxy_exchange *p)
{
	bool tunnel = x->request.method == HTTP_METHOD_CONNECT;
	struct session *session = tunnel || p->fresh ? NULL : forward_reuse(x, p);
	struct address literal = forward_literal(&x->request);
	char text[ADDRESS_TEXT];

	p->reused = session != NULL;
	if (session) {
		p->server_text =
			arena_copy(&x->arena, span_make(text, address_format(&session->conn->peer, text)));
		forward_send(x, p, session);
		return;
	}
	connector_start(&p->connector, x->worker, &forward_connector_ops, &literal, x->request.host.host,
			forward_port(&x->request), x->service->timeouts->connect);
}

static enum phase_result forward_hand_over(struct exchange *x, struct proxy_exchange *p)
{
	forward_try(x, p);
	return PHASE_DONE;
}

void forward_on_up_failed(struct exchange *x, struct proxy_exchange *p, const struct error *error)
{
	/* It was idle, and the server ended it as we took it: one fresh connection. */
	if (p->reused && error->unanswered && !p->fresh && hand_over_is_safe(x, error)) {
		p->fresh = true;
		forward_try(x, p);
		return;
	}
	exchange_fail(x, error);
}

bool forward_mask_response_of(struct exchange *x, struct proxy_exchange *p)
{
	return forward_mask_response(p->listener->mask, p->listener->via, &x->response);
}

const struct phase forward_phases[] = {
	{"identify", forward_identify},
	{"target", forward_target},
	{"admit", forward_admit},
	{"loop", phase_loop},
	{"access", forward_access},
	{"max forwards", phase_max_forwards},
	{"mask", forward_mask},
	{"hand over", forward_hand_over},
	{0},
};
