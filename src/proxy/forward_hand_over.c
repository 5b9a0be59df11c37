/*
 * The last phase of the forward face: to the origin, by a connection that this client has there already, or by a new one to
 * the very addresses that were judged.
 */
#include "exchange/raw.h"
#include "proxy/proxy_internal.h"
#include "upstream/origin.h"

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

void forward_open_tunnel(struct exchange *x, struct proxy_exchange *p, struct conn *conn)
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
	struct rule_query query = forward_query(p->exchange, p, NULL);
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
		struct rule_query query = forward_query(x, p, &session->conn->peer);
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
			forward_port(&x->request), NULL, x->service->timeouts->connect);
}

enum phase_result forward_hand_over(struct exchange *x, struct proxy_exchange *p)
{
	if (p->forward.scheme == RULE_UDP)
		return forward_udp_begin(x, p);
	if (p->forward.scheme == RULE_SOCKS && x->request.method != HTTP_METHOD_CONNECT)
		return forward_bind_begin(x, p);
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

void forward_cancel(struct proxy_exchange *p)
{
	connector_cancel(&p->connector);
	forward_bind_cancel(p);
	forward_allowance_cancel(p);
}
