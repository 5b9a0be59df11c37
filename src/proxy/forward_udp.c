/*
 * UDP ASSOCIATE (RFC 1928 4, 7): the datagrams of one client, for as long as its control connection lasts. One socket is for the client, at the
 * address that the control connection came to; from others its datagrams leave, one for each exit and family. The exchange lasts as long as its request's body, which is the control
 * connection: nothing is said on it, and its end is the end of all.
 *
 * On the exchange's worker.
 */
#include "proxy/udp_internal.h"

#include "upstream/exit.h"

#include <errno.h>
#include <unistd.h>

/* Bytes on the control connection, on which a client has nothing to say. */
enum { CONTROL_MOST = 4096 };

static struct udp_association *association_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct udp_association, stream);
}

static void stay(struct udp_association *association)
{
	struct exchange *x = association->exchange;

	loop_timer_start(&x->worker->loop, &association->idle, x->service->timeouts->udp);
}

/* Those that follow each other by the same socket leave together. */
static void send_all(struct udp_association *association, struct datagram_socket *const *sockets,
		     const struct datagram *datagrams, unsigned count)
{
	unsigned sent = 0, end;

	for (unsigned at = 0; at < count; at = end) {
		for (end = at + 1; end < count && sockets[end] == sockets[at];)
			end++;
		sent += datagram_send(sockets[at], datagrams + at, end - at);
	}
	association->tally.sent += sent;
	association->tally.dropped += count - sent;
}

/* ---- from the client ---- */

/* Only who holds the control connection is served, by one port (RFC 1928 7). */
static bool is_client(const struct udp_association *association, const struct address *peer)
{
	struct address plain = address_unmap(peer);

	return address_equal_ip(&plain, &association->client) &&
	       (association->client.port == 0 || association->client.port == plain.port);
}

/* Its first good datagram says by which port it is served. */
static void fix_client(struct udp_association *association, const struct address *peer)
{
	association->client = address_unmap(peer);
	association->connected = datagram_connect(&association->client_socket, &association->client);
}

bool udp_may_pass(struct udp_association *association, const struct udp_peer *peer, bool down, size_t bytes)
{
	return forward_allowance_datagram(association->exchange, association->p, peer->actions, down, bytes);
}

/* Without its head, and where it goes. NULL: nowhere, and that is counted. */
static const struct udp_peer *from_client(struct udp_association *association, struct datagram *datagram)
{
	struct span bytes = span_make(datagram->at, datagram->len);
	struct socks_datagram read;
	const char *why;

	/* A fragment is dropped: whoever does not put them together must (RFC 1928 7). */
	if (!is_client(association, &datagram->peer) || !socks_datagram_read(bytes, &read, &why) ||
	    read.fragment != 0) {
		association->tally.dropped++;
		return NULL;
	}
	if (!association->client.port)
		fix_client(association, &datagram->peer);
	size_t head = bytes.len - read.data.len;
	const struct udp_peer *peer = udp_target_peer(association, span_make(bytes.at + 3, head - 3), &read);
	if (peer && !udp_may_pass(association, peer, false, read.data.len)) {
		association->tally.dropped++;
		return NULL;
	}
	datagram->at += head;
	datagram->len -= head;
	return peer;
}

static void udp_on_client(struct datagram_socket *socket, struct datagram *datagrams, unsigned count)
{
	struct udp_association *association = CONTAINER_OF(socket, struct udp_association, client_socket);
	struct datagram_socket *sockets[DATAGRAM_BATCH];
	unsigned ready = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct udp_peer *peer = from_client(association, &datagrams[i]);
		if (!peer)
			continue;
		association->exchange->request_body.total += datagrams[i].len;
		datagrams[ready] = (struct datagram){datagrams[i].at, datagrams[i].len, peer->address};
		sockets[ready++] = peer->socket;
	}
	if (!ready)
		return;
	send_all(association, sockets, datagrams, ready);
	stay(association);
}

/* ---- from targets ---- */

static void udp_on_source(struct datagram_socket *socket, struct datagram *datagrams, unsigned count)
{
	struct udp_association *association = CONTAINER_OF(socket, struct udp_source, socket)->association;
	struct address client = {.family = ADDRESS_NONE};
	unsigned ready = 0;

	if (!association->connected)
		client = association->client;
	for (unsigned i = 0; i < count; i++) {
		const struct udp_peer *peer = udp_peer_find(association, socket, &datagrams[i].peer);
		if (!peer || !udp_may_pass(association, peer, true, datagrams[i].len))
			continue;
		association->exchange->response_body.total += datagrams[i].len;
		uint8_t *at = datagrams[i].at - peer->head_len;
		memcpy(at, peer->head, peer->head_len);
		datagrams[ready++] = (struct datagram){at, datagrams[i].len + peer->head_len, client};
	}
	unsigned sent = ready ? datagram_send(&association->client_socket, datagrams, ready) : 0;
	association->tally.received += sent;
	association->tally.dropped += count - sent;
	if (ready)
		stay(association);
}

_Static_assert((int)UDP_HEAD_MOST <= (int)DATAGRAM_HEADROOM, "heads are written before the data that came");

/* ---- where they leave ---- */

static struct udp_exit *exit_open(struct udp_association *association, uint32_t number)
{
	struct exchange *x = association->exchange;
	struct proxy_exchange *p = association->p;
	struct udp_exit *exit = NULL;

	for (unsigned i = 0; i < association->exit_count; i++)
		if (association->exits[i]->exit == number)
			return association->exits[i];
	if (association->exit_count < UDP_EXITS)
		exit = arena_zalloc(&x->arena, 1, sizeof(*exit));
	if (!exit)
		return NULL;
	exit->exit = number;
	exit->v4.association = exit->v6.association = association;
	datagram_socket_init(&exit->v4.socket);
	datagram_socket_init(&exit->v6.socket);
	exit_choose(p->listener->exits, number, x->worker, p->forward.user, &x->client->address, &exit->way);
	association->exits[association->exit_count++] = exit;
	return exit;
}

struct datagram_socket *udp_source_for(struct udp_association *association,
				       const struct rule_actions *actions, enum address_family family)
{
	uint32_t number = actions->exit != RULE_NONE ? actions->exit : association->p->listener->exit;
	struct udp_exit *exit = exit_open(association, number);

	if (!exit)
		return NULL;
	struct datagram_socket *socket = family == ADDRESS_V4 ? &exit->v4.socket : &exit->v6.socket;
	if (datagram_is_open(socket))
		return socket;
	int fd = way_socket(&exit->way, family, SOCK_DGRAM);
	if (fd < 0)
		return NULL;
	if (datagram_open(socket, association->exchange->worker, fd, udp_on_source))
		return socket;
	close(fd);
	return NULL;
}

/* ---- the control connection ---- */

static void udp_on_head(struct stream *stream, const struct http_head *head)
{
}

/* What it says is nothing; that it ends is the end of all (RFC 1928 7). */
static void udp_on_readable(struct stream *stream)
{
	struct udp_association *association = association_of(stream);
	struct exchange *x = association->exchange;
	struct chunk_queue bytes = {0};

	flow_take(stream->out, &bytes);
	association->control += bytes.bytes;
	x->request_body.total -= bytes.bytes;
	chunk_queue_clear(&x->worker->buffers, &bytes);
	if (association->control > CONTROL_MOST) {
		struct error error =
			error_make(ERROR_ABUSE, "too much was said on the connection of a UDP association");
		exchange_abort(x, &error);
		return;
	}
	flow_settle(stream->out, 0);
	if (stream->out->fin)
		exchange_finish(x);
}

static void udp_on_credit(struct stream *stream)
{
}

static void udp_on_idle(struct timer *timer)
{
	struct udp_association *association = CONTAINER_OF(timer, struct udp_association, idle);
	struct error error = error_make(ERROR_TUNNEL_IDLE, "the UDP association was idle for too long");

	exchange_abort(association->exchange, &error);
}

static void udp_on_retire(struct loop_task *task)
{
	udp_targets_fini(CONTAINER_OF(task, struct udp_association, retire));
}

static void udp_end(struct udp_association *association)
{
	struct loop *loop = &association->exchange->worker->loop;

	loop_timer_stop(loop, &association->idle);
	datagram_close(&association->client_socket);
	for (unsigned i = 0; i < association->exit_count; i++) {
		datagram_close(&association->exits[i]->v4.socket);
		datagram_close(&association->exits[i]->v6.socket);
	}
	udp_targets_drop(association);
	/* Before the exchange, in whose arena it lies, and which is retired after its streams have gone. */
	loop_retire(loop, &association->retire);
}

static void udp_abort(struct stream *stream, const struct error *error)
{
	udp_end(association_of(stream));
}

static void udp_detach(struct stream *stream)
{
	udp_end(association_of(stream));
}

static struct stream *udp_become_raw(struct stream *stream)
{
	return stream;
}

static struct conn *udp_plain_conn(struct stream *stream)
{
	return NULL;
}

static const struct stream_ops udp_stream_ops = {
	.name = "UDP",
	.on_head = udp_on_head,
	.on_readable = udp_on_readable,
	.on_credit = udp_on_credit,
	.stop = udp_on_credit,
	.abort = udp_abort,
	.detach = udp_detach,
	.become_raw = udp_become_raw,
	.plain_conn = udp_plain_conn,
};

/* ---- the beginning ---- */

static struct udp_association *association_new(struct exchange *x, struct proxy_exchange *p)
{
	struct udp_association *association = arena_zalloc(&x->arena, 1, sizeof(*association));

	if (!association)
		return NULL;
	association->stream = (struct stream){.ops = &udp_stream_ops, .exchange = x};
	association->exchange = x;
	association->p = p;
	/* The address in the request is the client's own belief, which a translation on the way may have made wrong; its port is taken at its word. */
	association->client = address_unmap(&x->client->address);
	association->client.port = x->request.host.port;
	datagram_socket_init(&association->client_socket);
	timer_init(&association->idle, udp_on_idle);
	loop_task_init(&association->retire, udp_on_retire);
	udp_targets_init(association);
	p->forward.udp = &association->tally;
	return association;
}

/* Where the client sends its datagrams. False: errno tells. */
static bool open_for_client(struct udp_association *association)
{
	struct exchange *x = association->exchange;
	struct address bound = address_unmap(&x->client->local);

	bound.port = 0;
	int fd = datagram_bind(&bound);
	if (fd < 0)
		return false;
	if (!datagram_open(&association->client_socket, x->worker, fd, udp_on_client)) {
		close(fd);
		errno = ENOMEM;
		return false;
	}
	x->bound = bound;
	if (association->client.port)
		association->connected = datagram_connect(&association->client_socket, &association->client);
	return true;
}

enum phase_result forward_udp_begin(struct exchange *x, struct proxy_exchange *p)
{
	bool here = x->client->local.family == ADDRESS_V4 || x->client->local.family == ADDRESS_V6;
	bool there = x->client->address.family == ADDRESS_V4 || x->client->address.family == ADDRESS_V6;

	if (!here || !there)
		return phase_fail(x, ERROR_SYSTEM,
				  "the client came by no address that datagrams could be sent to");
	struct udp_association *association = association_new(x, p);
	if (!association)
		return phase_fail(x, ERROR_MEMORY, NULL);
	if (!open_for_client(association)) {
		struct error error = error_system(ERROR_SYSTEM, errno);
		error.text = "no UDP socket at the address that the client came to";
		exchange_fail(x, &error);
		return PHASE_DONE;
	}
	exchange_set_up(x, &association->stream);
	reply_begin(x, 200);
	exchange_send_head(x);
	if (x->state != EXCHANGE_ANSWERED)
		return PHASE_DONE;
	loop_timer_stop(&x->worker->loop,
			&x->deadline); /* as for a tunnel: how long it lasts is the client's affair */
	stay(association);
	return PHASE_DONE;
}
