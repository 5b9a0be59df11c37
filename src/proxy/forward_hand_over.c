/*
 * The last phase of the forward face: to the origin, by a connection that this client and user have there already, or by a new one: directly, to the very
 * addresses that were judged, or through parent proxies, as the rule says that lets the request pass.
 */
#include "exchange/raw.h"
#include "proxy/proxy_internal.h"
#include "upstream/origin.h"

#include <sys/socket.h>

static const uint32_t forward_direct = PARENT_DIRECT; /* the same as RULE_DIRECT */

/* ---- on which way ---- */

static bool forward_is_settled(const struct proxy_exchange *p)
{
	return p->forward.verdict.outcome == VERDICT_ALLOW && p->forward.verdict.actions;
}

/* What the rule has in its list; while no rule is settled, direct: an address has to be looked up first. */
static const uint32_t *forward_parents(const struct proxy_exchange *p, uint32_t *count)
{
	const struct rule_actions *actions = p->forward.verdict.actions;

	if (!forward_is_settled(p) || actions->parent_count == 0) {
		*count = 1;
		return &forward_direct;
	}
	*count = actions->parent_count;
	return actions->parents;
}

/* A parent that speaks HTTP can be asked for this as it is: by name, while no address was judged. */
static bool forward_asks_parent(const struct exchange *x, const struct proxy_exchange *p)
{
	return x->request.method != HTTP_METHOD_CONNECT && !p->forward.secure &&
	       x->request.protocol.len == 0 && p->forward.judged.family == ADDRESS_NONE;
}

static bool forward_is_absolute(const struct exchange *x, const struct proxy_exchange *p,
				const struct parent_server *last)
{
	return last && parent_speaks_http(last) && forward_asks_parent(x, p);
}

/* Where connections of this exchange are kept: those by the server `last` of a parent (NULL: direct). */
static struct origin_place forward_place(const struct exchange *x, const struct proxy_exchange *p,
					 const struct parent_server *last)
{
	const struct rule_actions *actions = forward_is_settled(p) ? p->forward.verdict.actions : NULL;
	bool absolute = forward_is_absolute(x, p, last);
	struct span user = p->forward.user;
	struct span host = x->request.host.host;

	if (p->forward.by_network) /* who has proved nothing is an address */
		user.len = 0;
	if (absolute) /* the parent itself */
		host.len = 0;

	return (struct origin_place){
		.client = &x->client->address,
		.user = user,
		.accounts = x->service->accounts,
		.host = host,
		.port = absolute ? 0 : forward_port(&x->request),
		.via = last ? last->index : PARENT_NONE,
		.exit = actions && actions->exit != RULE_NONE ? actions->exit : p->listener->exit,
		.trust = p->forward.secure ? p->listener->trust : NULL,
	};
}

/* "10.2.0.3:80", "via office (a.proxy:3128)" */
static void forward_note_server(struct exchange *x, struct proxy_exchange *p,
				const struct parent_server *last, const struct conn *conn)
{
	char text[ADDRESS_TEXT];

	p->forward.parent = (struct span){0};
	if (last) {
		const struct parent_plan *plan = &parents_plans(parents_of(x->worker))->items[last->parent];
		p->forward.parent = plan->name;
		p->server_text = arena_format(&x->arena, "via %.*s (%.*s)", SPAN_ARG(plan->name),
					      SPAN_ARG(last->place));
	} else if (conn) {
		p->server_text = arena_copy(&x->arena, span_make(text, address_format(&conn->peer, text)));
	}
}

/* ---- with a connection ---- */

static void forward_send(struct exchange *x, struct proxy_exchange *p, struct session *session)
{
	struct stream *stream = forward_give_secrets(x, p) ? session->ops->open(session, x) : NULL;

	if (stream) {
		pinning_on_session(x, p, session);
		exchange_set_up(x, stream);
		return;
	}
	session_discard(session);
	exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
}

/* What the server has said while its parent still talked to us. */
static bool forward_push_early(struct exchange *x, struct conn *conn, struct chunk_queue *early)
{
	enum flow_room room = early->bytes ? flow_push_queue(&x->response_body, early) : FLOW_ROOM;

	if (room == FLOW_FULL)
		conn_read_stop(conn);
	return room != FLOW_NO_MEMORY;
}

/* Tells the client. Who was intercepted waits for no word of ours, and what it has sent already goes on. */
static bool forward_answer_tunnel(struct exchange *x)
{
	reply_begin(x, 200);
	if (raw_stream_is(x->down)) {
		exchange_open_tunnel(x);
		return true;
	}
	exchange_send_head(x);
	return x->state == EXCHANGE_ANSWERED && exchange_become_tunnel(x);
}

static void forward_open_early_tunnel(struct exchange *x, struct proxy_exchange *p, struct conn *conn,
				      struct chunk_queue *early)
{
	struct stream *raw =
		raw_stream_new(x, conn, &x->response_body, &x->request_body, NULL, false, NULL, NULL);

	if (!raw) {
		conn_close(conn);
		exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	exchange_set_up(x, raw);
	if (!forward_answer_tunnel(x))
		return;
	if (forward_push_early(x, conn, early))
		tunnel_start(x, p);
	else
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
}

void forward_open_tunnel(struct exchange *x, struct proxy_exchange *p, struct conn *conn)
{
	struct chunk_queue nothing = {0};

	forward_open_early_tunnel(x, p, conn, &nothing);
}

static void forward_open_session(struct exchange *x, struct proxy_exchange *p, struct conn *conn)
{
	const struct timeouts_settings *timeouts = x->service->timeouts;
	const struct parent_server *last = path_last(&p->up_path);
	struct origin_place place = forward_place(x, p, last);
	struct h1_client_settings settings = {.response = timeouts->response, .idle = timeouts->pool};

	p->forward.absolute = forward_is_absolute(x, p, last);
	if (p->forward.absolute) {
		settings.absolute = true;
		settings.authorization = last->authorization;
	}
	struct session *session = origin_adopt(x->worker, &place, conn, &settings);
	if (session) {
		forward_send(x, p, session);
		return;
	}
	conn_close(conn);
	exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
}

/* ---- a new connection ---- */

static void forward_connect(struct exchange *x, struct proxy_exchange *p, bool again);

/* SOCKS can tell by which address the proxy has connected; only a mask that hides nothing lets it. */
static void forward_note_bound(struct exchange *x, const struct proxy_exchange *p, const struct conn *conn)
{
	union socket_address raw;
	socklen_t len = sizeof(raw);

	if (forward_mask_kind(p->listener->mask) == FORWARD_TRANSPARENT &&
	    http_version_is_socks(x->request.version) && getsockname(conn->source.fd, &raw.any, &len) == 0)
		x->bound = address_from_socket(&raw, len);
}

static void forward_use(struct exchange *x, struct proxy_exchange *p, struct conn *conn)
{
	struct chunk_queue early = {0};
	bool tunnel = x->request.method == HTTP_METHOD_CONNECT;
	bool spoke = p->up_path.early.bytes > 0;

	chunk_queue_move_all(&early, &p->up_path.early);
	if (tunnel) {
		forward_open_early_tunnel(x, p, conn, &early);
	} else if (!spoke) {
		forward_open_session(x, p, conn);
		return;
	}
	chunk_queue_clear(&x->worker->buffers, &early);
	if (tunnel)
		return;
	conn_close(conn);
	exchange_fail(x, &(struct error){.code = ERROR_UPSTREAM_MALFORMED,
					 .text = "the server spoke before it was asked"});
}

static void forward_on_connected(struct path *path, struct conn *conn, const struct error *error)
{
	struct proxy_exchange *p = CONTAINER_OF(path, struct proxy_exchange, up_path);
	struct exchange *x = p->exchange;

	if (!conn && p->forward.by_address) {
		/* Which rule it is was found out: it sends what was judged through parents. */
		forward_connect(x, p, false);
		return;
	}
	forward_note_server(x, p, path_last(path), conn);
	if (!conn) {
		forward_on_up_failed(x, p, error);
		return;
	}
	forward_note_source(x, p, conn->source.fd);
	forward_note_bound(x, p, conn);
	forward_use(x, p, conn);
}

/* Of addresses that may be connected to, those by the rule of the first one: its verdict is the final one. */
static unsigned forward_settle(struct proxy_exchange *p, struct rule_query *query, struct address *addresses,
			       unsigned count)
{
	const struct rules *rules = p->listener->rules;
	unsigned kept = 1;

	query->address = &addresses[0];
	p->forward.verdict = guard_judge(rules, p->listener->own, query).verdict;
	for (unsigned i = 1; i < count; i++) {
		query->address = &addresses[i];
		if (guard_judge(rules, p->listener->own, query).verdict.rule == p->forward.verdict.rule)
			addresses[kept++] = addresses[i];
	}
	return kept;
}

static unsigned forward_filter(struct path *path, struct address *addresses, unsigned count, struct error *error)
{
	struct proxy_exchange *p = CONTAINER_OF(path, struct proxy_exchange, up_path);
	struct rule_query query = forward_query(p->exchange, p, NULL);
	struct guard_verdict refused = {0};
	const struct rule_actions *before = forward_is_settled(p) ? p->forward.verdict.actions : NULL;
	unsigned left;

	count = intercept_filter(p, addresses, count, error);
	if (count == 0)
		return 0;
	left = (unsigned)guard_filter(p->listener->rules, p->listener->own, &query, addresses, count, &refused);
	if (left == 0) {
		*error = forward_refusal(p, &refused);
		return 0;
	}
	left = forward_settle(p, &query, addresses, left);
	if (!forward_secrets_late(p->exchange, p, error) || !forward_allowance_late(p->exchange, p, error))
		return 0;
	/* It was not known, or the name leads elsewhere than the connection that this exchange has tried first. */
	if (p->forward.verdict.actions != before && p->forward.verdict.actions->parent_count) {
		p->forward.by_address = true;
		p->forward.judged = addresses[0];
		return 0;
	}
	forward_choose_way(p->exchange, p);
	return left;
}

static const struct path_ops forward_path_ops = {
	.filter = forward_filter,
	.on_connected = forward_on_connected,
};

static void forward_connect(struct exchange *x, struct proxy_exchange *p, bool again)
{
	struct path_wish wish = {
		.address = p->forward.judged.family != ADDRESS_NONE ? p->forward.judged :
								      forward_literal(&x->request),
		.host = x->request.host.host,
		.port = forward_port(&x->request),
		.absolute = forward_asks_parent(x, p),
		.secure = p->forward.secure,
		.trust = p->listener->trust,
		.way = &p->forward.way,
		.timeout = x->service->timeouts->connect,
	};

	wish.parents = forward_parents(p, &wish.parent_count);
	if (wish.parents == &forward_direct)
		wish.parent_count = 0;
	p->forward.has_way = false;
	if (forward_is_settled(p))
		forward_choose_way(x, p);
	p->forward.by_address = false;
	path_start(&p->up_path, x->worker, &x->arena, &forward_path_ops, &wish, again);
}

/* ---- an old one ---- */

/* A rule that the address of an idle connection has decided on: whether it would have made that connection too. */
static bool forward_would_connect(const struct proxy_exchange *p, const struct origin_place *place,
				  const struct rule_actions *actions)
{
	uint32_t exit = actions->exit != RULE_NONE ? actions->exit : p->listener->exit;
	bool direct = actions->parent_count == 0 || actions->parents[0] == RULE_DIRECT;

	return exit == place->exit && (direct || forward_is_settled(p));
}

/* Its verdict is that of the connection's address, and by that address the target is asked for if the connection is of no use. */
static void forward_take_verdict(struct proxy_exchange *p, const struct verdict *verdict,
				 const struct address *peer)
{
	if (!forward_is_settled(p) && verdict->actions->parent_count)
		p->forward.judged = *peer;
	p->forward.verdict = *verdict;
}

/* What has to be said to one connection, and the same one again, is not said to one that others may be given. */
static struct session *forward_take(struct exchange *x, const struct proxy_exchange *p,
				    const struct origin_place *place)
{
	return origin_take(x->worker, place, x->client->pins, p->binding);
}

/* An idle connection of this client to the same place, whose address the rules of now still allow, by this way. */
static struct session *forward_reuse_direct(struct exchange *x, struct proxy_exchange *p)
{
	struct origin_place place = forward_place(x, p, NULL);
	struct session *session;

	while ((session = forward_take(x, p, &place))) {
		const struct address *peer = &session->conn->peer;
		struct rule_query query = forward_query(x, p, peer);
		struct guard_verdict verdict = guard_judge(p->listener->rules, p->listener->own, &query);
		if (verdict.outcome == GUARD_ALLOW && intercept_may_reuse(p, peer) &&
		    forward_would_connect(p, &place, verdict.verdict.actions)) {
			forward_take_verdict(p, &verdict.verdict, peer);
			forward_note_server(x, p, NULL, session->conn);
			return session;
		}
		session_discard(session);
	}
	return NULL;
}

static struct session *forward_reuse_parent(struct exchange *x, struct proxy_exchange *p, uint32_t parent)
{
	const struct parent_plan *plan = &parents_plans(parents_of(x->worker))->items[parent];

	for (uint32_t i = 0; i < plan->count; i++) {
		struct origin_place place = forward_place(x, p, &plan->servers[i]);
		struct session *session = forward_take(x, p, &place);
		if (session) {
			p->forward.absolute = forward_is_absolute(x, p, &plan->servers[i]);
			forward_note_server(x, p, &plan->servers[i], NULL);
			return session;
		}
	}
	return NULL;
}

/* In the order of the rule: not one of a later choice while an earlier one may be tried anew. */
static struct session *forward_reuse(struct exchange *x, struct proxy_exchange *p)
{
	uint32_t count;
	const uint32_t *parents = forward_parents(p, &count);

	p->forward.absolute = false;
	for (uint32_t i = 0; i < count; i++) {
		struct session *session = parents[i] == RULE_DIRECT ? forward_reuse_direct(x, p) :
								      forward_reuse_parent(x, p, parents[i]);
		if (session)
			return session;
		if (path_is_open(x->worker, parents[i]))
			break;
	}
	return NULL;
}

/* ---- the phase ---- */

static void forward_try(struct exchange *x, struct proxy_exchange *p)
{
	bool tunnel = x->request.method == HTTP_METHOD_CONNECT;
	struct error error = ERROR_OK;

	pinning_on_request(x, p);
	struct session *session = tunnel || p->fresh ? NULL : forward_reuse(x, p);
	p->reused = session != NULL;
	if (session)
		forward_note_old_way(x, p, session->conn->source.fd);
	if (!session) {
		forward_connect(x, p, false);
	} else if (forward_secrets_late(x, p, &error) && forward_allowance_late(x, p, &error)) {
		forward_send(x, p, session);
	} else {
		session_discard(session);
		exchange_fail(x, &error);
	}
}

enum phase_result forward_hand_over(struct exchange *x, struct proxy_exchange *p)
{
	if (p->forward.scheme == RULE_UDP)
		return forward_udp_begin(x, p);
	if (p->forward.scheme == RULE_SOCKS && x->request.method != HTTP_METHOD_CONNECT)
		return forward_bind_begin(x, p);
	if (p->forward.secure && !p->listener->trust)
		return phase_fail(x, ERROR_TLS_CERTIFICATE,
				  "there are no certificates that servers could be verified by: see \"trust\"");
	forward_try(x, p);
	return PHASE_DONE;
}

/* A parent that was asked in absolute-form has broken the connection without a word. True: another choice is tried. */
static bool forward_leave_parent(struct exchange *x, struct proxy_exchange *p, const struct error *error)
{
	bool late = error->code == ERROR_UPSTREAM_TIMEOUT;

	if (p->pinned || !p->forward.absolute || p->reused || !error->unanswered ||
	    p->forward.left_parents == PATH_TRIES_MOST)
		return false;
	path_blame_last(&p->up_path, late, error);
	if (late || !hand_over_is_safe(x, error))
		return false;
	p->forward.left_parents++;
	p->forward.absolute = false;
	forward_connect(x, p, true);
	return true;
}

void forward_on_up_failed(struct exchange *x, struct proxy_exchange *p, const struct error *error)
{
	if (pinning_on_failed(x, p, error))
		return;
	/* It was idle, and the server ended it as we took it: one fresh connection. */
	if (p->reused && error->unanswered && !p->fresh && hand_over_is_safe(x, error)) {
		p->fresh = true;
		p->reused = false;
		forward_connect(x, p, false);
		return;
	}
	if (!forward_leave_parent(x, p, error))
		exchange_fail(x, error);
}

bool forward_on_answer(struct exchange *x, struct proxy_exchange *p)
{
	struct error error = error_make(ERROR_PARENT_LOGIN, NULL);

	if (!p->forward.absolute)
		return false;
	if (x->response.status != 407) {
		if (!p->reused)
			path_praise_last(&p->up_path);
		return false;
	}
	/* It asks for our credentials: the client could do nothing but tell its own. */
	if (!p->reused)
		path_blame_last(&p->up_path, false, &error);
	exchange_fail(x, &error);
	return true;
}

void forward_cancel(struct proxy_exchange *p)
{
	path_cancel(&p->up_path);
	forward_bind_cancel(p);
	forward_allowance_cancel(p);
}
