/*
 * BIND (RFC 1928 4, 6; the SOCKS 4 memo): one connection comes in here for a client, from the peer that its request names and from nobody else. The client is
 * told twice: where the peer may connect to, and, once it has, who it is; from then on it is a tunnel like any other.
 *
 * On the exchange's worker.
 */
#include "net/listener.h"
#include "proxy/proxy_internal.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* Strangers that wait to be turned away. */
enum { BIND_BACKLOG = 16 };

enum bind_state {
	BIND_BEGUN,
	BIND_RESOLVING, /* the peer's name */
	BIND_LISTENING,
	BIND_OVER,
};

/* In the exchange's arena. */
struct forward_bind {
	struct exchange *exchange;
	struct proxy_exchange *p;
	struct resolver_query query;
	struct acceptor acceptor;
	struct timer late;
	int fd;        /* listens; -1: not yet, or not any more */
	uint8_t state; /* enum bind_state */
	bool anybody;  /* the request names no peer: 0.0.0.0 or :: */
	unsigned expected_count;
	struct address expected[RESOLVER_MAX_ADDRESSES]; /* as they were judged, v4-mapped ones as v4 */
};

static const uint8_t bind_moves[] = {
	[BIND_BEGUN] = 1 << BIND_RESOLVING | 1 << BIND_LISTENING | 1 << BIND_OVER,
	[BIND_RESOLVING] = 1 << BIND_LISTENING | 1 << BIND_OVER,
	[BIND_LISTENING] = 1 << BIND_OVER,
	[BIND_OVER] = 0,
};

static void bind_set_state(struct forward_bind *door, enum bind_state state)
{
	ENSURE(bind_moves[door->state] & 1 << state);
	door->state = (uint8_t)state;
}

/* Waits for nothing any more. */
static void bind_end(struct forward_bind *door)
{
	struct loop *loop = &door->exchange->worker->loop;

	if (door->state == BIND_OVER)
		return;
	if (door->state == BIND_RESOLVING)
		resolver_cancel(&door->query);
	if (door->state == BIND_LISTENING)
		acceptor_stop(&door->acceptor);
	loop_timer_stop(loop, &door->late);
	if (door->fd >= 0)
		close(door->fd);
	door->fd = -1;
	bind_set_state(door, BIND_OVER);
}

void forward_bind_cancel(struct proxy_exchange *p)
{
	if (p->forward.bind)
		bind_end(p->forward.bind);
}

static void bind_fail(struct forward_bind *door, struct error error)
{
	bind_end(door);
	exchange_fail(door->exchange, &error);
}

static struct error bind_system(const char *text)
{
	struct error error = error_system(ERROR_SYSTEM, errno);

	error.text = text;
	return error;
}

bool forward_goes_direct(const struct rule_actions *actions)
{
	for (uint32_t i = 0; i < actions->parent_count; i++)
		if (actions->parents[i] == RULE_DIRECT)
			return true;
	return actions->parent_count == 0;
}

/* ---- the peer comes ---- */

/* Where anybody may come, whoever comes is judged. */
static bool bind_may_come(const struct forward_bind *door, const struct address *peer)
{
	const struct proxy_listener *listener = door->p->listener;
	char text[ADDRESS_TEXT];

	for (unsigned i = 0; i < door->expected_count; i++)
		if (address_equal_ip(&door->expected[i], peer))
			return true;
	if (!door->anybody)
		return false;
	struct rule_query query = forward_query(door->exchange, door->p, peer);
	query.host = span_make(text, address_format_ip(peer, text));
	return guard_judge(listener->rules, listener->own, &query).outcome == GUARD_ALLOW;
}

static void bind_on_accept(struct acceptor *acceptor, int fd, const struct address *peer)
{
	struct forward_bind *door = acceptor->owner;
	struct exchange *x = door->exchange;
	struct proxy_exchange *p = door->p;
	char text[ADDRESS_TEXT];

	if (!bind_may_come(door, peer)) {
		close(fd);
		return;
	}
	bind_end(door);
	struct conn *conn = conn_open(x->worker, fd, peer, NULL, NULL);
	if (!conn) {
		close(fd);
		exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	p->server_text = arena_copy(&x->arena, span_make(text, address_format(peer, text)));
	x->bound = *peer;
	forward_open_tunnel(x, p, conn);
}

static const struct acceptor_ops bind_acceptor_ops = {.on_accept = bind_on_accept};

static void bind_on_late(struct timer *timer)
{
	bind_fail(CONTAINER_OF(timer, struct forward_bind, late),
		  error_make(ERROR_CONNECT_TIMEOUT, "nobody connected in time to what the client had bound"));
}

/* ---- listening ---- */

/* The address by which packets to the peer would leave. A UDP socket tells without sending any. False: errno tells. */
static bool bind_source(const struct net_way *way, const struct address *peer, struct address *source)
{
	struct address to = *peer;
	union socket_address raw;
	int fd = way_socket(way, (enum address_family)peer->family, SOCK_DGRAM);

	if (fd < 0)
		return false;
	to.port = to.port ? to.port : 9;
	socklen_t len = address_to_socket(&to, &raw);
	bool good = connect(fd, &raw.any, len) == 0;
	len = sizeof(raw);
	good = good && getsockname(fd, &raw.any, &len) == 0;
	int number = errno;
	close(fd);
	errno = number;
	*source = address_from_socket(&raw, len);
	source->port = 0;
	return good;
}

/* Listens where the rule's exit has it leave, or else where the peer's packets come to. -1: errno tells. */
static int bind_listen(struct forward_bind *door, const struct address *peer, struct address *local)
{
	const struct net_way *way = &door->p->forward.way;
	union socket_address raw;
	socklen_t len;
	int on = 1, fd = -1;

	if (way->bound)
		*local = (struct address){0}; /* way_socket binds it */
	else if (door->anybody)
		*local = address_unmap(&door->exchange->client->local);
	else if (!bind_source(way, peer, local))
		return -1;
	local->port = 0;
	fd = way_socket(way, (enum address_family)(local->family ? local->family : peer->family), SOCK_STREAM);
	if (fd < 0)
		return -1;
	len = local->family == ADDRESS_NONE ? 0 : address_to_socket(local, &raw);
	if (len && bind(fd, &raw.any, len) != 0)
		goto fail;
	/* Accepted sockets inherit it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (listen(fd, BIND_BACKLOG) != 0)
		goto fail;
	len = sizeof(raw);
	if (getsockname(fd, &raw.any, &len) != 0)
		goto fail;
	*local = address_from_socket(&raw, len);
	return fd;
fail:;
	int number = errno;
	close(fd);
	errno = number;
	return -1;
}

/* What is expected is known and judged: the first reply. */
static void bind_open(struct forward_bind *door)
{
	static const uint8_t zero[16];
	struct exchange *x = door->exchange;
	struct proxy_exchange *p = door->p;
	const struct address *peer = &door->expected[0];

	/* To open a port to others is no part of what people mean by "allow". */
	if (!p->forward.verdict.by_method) {
		bind_fail(door, error_make(ERROR_DENIED,
					   "BIND takes a rule that names it: allow: {methods: [BIND]}"));
		return;
	}
	if (!forward_goes_direct(p->forward.verdict.actions)) {
		bind_fail(door, error_make(ERROR_DENIED,
					   "the rule names parents, and no connection comes in by them"));
		return;
	}
	door->anybody = memcmp(peer->ip, zero, sizeof(peer->ip)) == 0;
	door->expected_count = door->anybody ? 0 : door->expected_count;
	forward_choose_way(x, p);
	door->fd = bind_listen(door, peer, &x->bound);
	if (door->fd < 0) {
		bind_fail(door, bind_system("cannot listen where the peer would come to"));
		return;
	}
	if (!acceptor_start(&door->acceptor, x->worker, door->fd, &x->bound, &bind_acceptor_ops, door)) {
		bind_fail(door, bind_system("cannot wait for the peer"));
		return;
	}
	bind_set_state(door, BIND_LISTENING);
	loop_timer_start(&x->worker->loop, &door->late, x->service->timeouts->bind);
	reply_begin(x, 102);
	exchange_send_head(x);
}

/* ---- who is expected ---- */

/* Keeps those that may come. Only the first one's family is listened for. */
static void bind_on_known(struct forward_bind *door, const struct resolver_answer *answer)
{
	struct exchange *x = door->exchange;
	struct proxy_exchange *p = door->p;
	struct guard_verdict refused = {0};
	unsigned refusals = 0;

	for (unsigned i = 0; i < answer->count; i++) {
		struct rule_query query = forward_query(x, p, &answer->addresses[i]);
		struct guard_verdict verdict = guard_judge(p->listener->rules, p->listener->own, &query);
		if (verdict.outcome != GUARD_ALLOW) {
			if (refusals++ == 0)
				refused = verdict;
			continue;
		}
		if (door->expected_count == 0)
			p->forward.verdict = verdict.verdict;
		door->expected[door->expected_count] = address_unmap(&answer->addresses[i]);
		door->expected[door->expected_count++].port = forward_port(&x->request);
	}
	struct error error = ERROR_OK;
	if (!door->expected_count)
		bind_fail(door, refusals ? forward_refusal(p, &refused) : error_make(ERROR_DNS_FAILED, NULL));
	else if (forward_allowance_late(x, p, &error))
		bind_open(door);
	else
		bind_fail(door, error);
}

static void bind_on_answer(struct resolver_query *query, const struct resolver_answer *answer,
			   const struct error *error)
{
	struct forward_bind *door = CONTAINER_OF(query, struct forward_bind, query);

	if (answer)
		bind_on_known(door, answer);
	else
		bind_fail(door, *error);
}

static void bind_resolve(struct forward_bind *door)
{
	struct worker *worker = door->exchange->worker;
	struct span host = door->exchange->request.host.host;
	struct error error = {0};
	const struct resolver_answer *answer = resolver_known(worker, host, &error);

	if (answer)
		bind_on_known(door, answer);
	else if (!error_is(&error) && resolver_ask(worker, host, &door->query, bind_on_answer, &error))
		bind_set_state(door, BIND_RESOLVING);
	else
		bind_fail(door, error);
}

enum phase_result forward_bind_begin(struct exchange *x, struct proxy_exchange *p)
{
	struct forward_bind *door = arena_zalloc(&x->arena, 1, sizeof(*door));
	struct address literal = forward_literal(&x->request);

	if (!door)
		return phase_fail(x, ERROR_MEMORY, NULL);
	door->exchange = x;
	door->p = p;
	door->fd = -1;
	timer_init(&door->late, bind_on_late);
	p->forward.bind = door;
	if (literal.family == ADDRESS_NONE) {
		bind_resolve(door);
		return PHASE_DONE;
	}
	door->expected[0] = address_unmap(&literal); /* which the access phase has judged */
	door->expected_count = 1;
	bind_open(door);
	return PHASE_DONE;
}
