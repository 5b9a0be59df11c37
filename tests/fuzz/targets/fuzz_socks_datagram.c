/*
 * A UDP association on a real worker (tests/support/stage.h), whose sockets receive what the input says and whose sends end here. Whatever comes, nothing leaves to an
 * address that the rules and the guard do not open, nothing reaches the client that does not come from where it has sent to, what is remembered stays within its
 * bounds, and when it is over nothing is left, whatever allocations failed.
 *
 * Input: a byte (if not 0: each so manyth allocation fails), then records of a letter, a length and so many bytes: 'c' a datagram of the client, 'd' of the client, as if its
 * head stood before the bytes for a target that is open; 's' one of a stranger to the client's socket; 'a' an answer of where was sent to last; 'x' one of somebody else at the same address; 't' time
 * passes (the length, in s); 'k' bytes on the control connection.
 */
#include "../../support/stage.h"

#include "http/target.h"
#include "net/datagram.h"
#include "proxy/udp_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TARGETS = 8, RECORDS_MOST = 300, SHUT_PORT = 9, OPEN_PORT = 53 };

static const char configuration[] =
	"limits: {udp_targets: 8}\n"
	"timeouts: {udp: 200s}\n"
	"forward:\n"
	"  - listen: 127.0.0.1:1080\n"
	"    rules: [{deny: {ports: [9]}}, {deny: {domains: [inside.test]}}, {allow: {addresses: [127.0.0.0/8]}}, {allow: {domains: [a.test]}}]\n";

/* What the association is seen to do. */
struct seen {
	struct udp_association *association; /* NULL: none, or over */
	int client_fd;
	struct address last; /* sent to; family ADDRESS_NONE: nobody yet */
	bool may_answer;     /* a datagram is being received that may reach the client */
};

static struct seen seen;

/* ---- instead of the system's ---- */

static void judge_target(const struct msghdr *header)
{
	union socket_address raw;

	memcpy(&raw, header->msg_name, size_min(header->msg_namelen, sizeof(raw)));
	struct address to = address_from_socket(&raw, header->msg_namelen);
	ENSURE(to.family == ADDRESS_V4 && to.ip[0] == 127 && to.port != SHUT_PORT && to.port != 0);
	seen.last = to;
}

/* RSV, FRAG, ATYP, and the address that it comes from (RFC 1928 7). */
static void judge_answer(const struct msghdr *header)
{
	struct span bytes = span_make(header->msg_iov[0].iov_base, header->msg_iov[0].iov_len);
	struct socks_datagram datagram;
	const char *why;

	ENSURE(seen.may_answer);
	ENSURE(socks_datagram_read(bytes, &datagram, &why));
	ENSURE(datagram.fragment == 0 && address_equal(&datagram.place.address, &seen.last));
}

int sendmmsg(int fd, struct mmsghdr *headers, unsigned count, int flags)
{
	for (unsigned i = 0; i < count; i++) {
		if (fd == seen.client_fd)
			judge_answer(&headers[i].msg_hdr);
		else
			judge_target(&headers[i].msg_hdr);
	}
	return (int)count;
}

/* ---- in place of the codec ---- */

struct asker {
	struct stream stream;
	struct client client;
};

static void asker_on_head(struct stream *stream, const struct http_head *head)
{
}

static void asker_on_readable(struct stream *stream)
{
	struct chunk_queue bytes = {0};

	flow_take(stream->out, &bytes);
	chunk_queue_clear(&stream->exchange->worker->buffers, &bytes);
	bool ended = stream->out->fin;
	flow_settle(stream->out, 0);
	if (ended)
		exchange_finish(stream->exchange);
}

static void asker_on_nothing(struct stream *stream)
{
}

static void asker_on_abort(struct stream *stream, const struct error *error)
{
	seen.association = NULL;
}

static void asker_on_detach(struct stream *stream)
{
	seen.association = NULL;
}

static const struct stream_ops asker_ops = {
	.name = "asker",
	.on_head = asker_on_head,
	.on_readable = asker_on_readable,
	.on_credit = asker_on_nothing,
	.stop = asker_on_nothing,
	.abort = asker_on_abort,
	.detach = asker_on_detach,
};

static struct address loopback(uint8_t last, uint16_t port)
{
	return (struct address){.family = ADDRESS_V4, .ip = {127, 0, 0, last}, .port = port};
}

static void associate(struct stage *stage, struct asker *asker)
{
	struct error error;

	*asker = (struct asker){.stream.ops = &asker_ops};
	asker->client.address = loopback(1, 1024);
	asker->client.local = loopback(1, 1080);
	struct exchange *x = exchange_new(&stage->worker, &stage->listeners[0].service, &asker->client);
	ENSURE(x);
	exchange_attach_down(x, &asker->stream);
	x->request.method_text = SPAN("UDP");
	x->request.version = HTTP_VERSION_SOCKS5;
	x->request.target_form = HTTP_TARGET_AUTHORITY;
	x->request.scheme = SPAN("http");
	ENSURE(http_authority_read(SPAN("0.0.0.0"), &x->arena, &x->request, &error));
	exchange_begin(x);
	ENSURE(x->state == EXCHANGE_ANSWERED);
	seen.association = CONTAINER_OF(x->up, struct udp_association, stream);
	seen.client_fd = seen.association->client_socket.source.fd;
}

/* ---- what the input says ---- */

/* Comes in by this socket. */
static void receive(struct datagram_socket *socket, struct address peer, struct span head, struct span bytes)
{
	static uint8_t room[DATAGRAM_HEADROOM + 512];
	uint8_t *at = room + DATAGRAM_HEADROOM;

	memcpy(at, head.at, head.len);
	memcpy(at + head.len, bytes.at, bytes.len);
	struct datagram datagram = {at, head.len + bytes.len, peer};
	socket->on_receive(socket, &datagram, 1);
}

static struct datagram_socket *source(void)
{
	return seen.association->exit_count ? &seen.association->exits[0]->v4.socket : NULL;
}

static void act(struct stage *stage, uint8_t what, struct span bytes)
{
	static const uint8_t open_head[] = {0, 0, 0, 1, 127, 0, 0, 5, 0, OPEN_PORT};
	struct datagram_socket *client = &seen.association->client_socket, *out = source();
	struct address peer = seen.last;

	switch (what) {
	case 'c':
		receive(client, loopback(1, 4000), (struct span){0}, bytes);
		break;
	case 'd':
		receive(client, loopback(1, 4000), span_make(open_head, sizeof(open_head)), bytes);
		break;
	case 's':
		receive(client, loopback(bytes.len & 1 ? 1 : 2, 4001), (struct span){0}, bytes);
		break;
	case 'a':
		seen.may_answer = true;
		if (out && datagram_is_open(out) && peer.family)
			receive(out, peer, (struct span){0}, bytes);
		seen.may_answer = false;
		break;
	case 'x':
		peer.port ^= 0x100;
		if (out && datagram_is_open(out) && peer.family && !udp_peer_find(seen.association, out, &peer))
			receive(out, peer, (struct span){0}, bytes);
		break;
	case 'k':
		(void)!flow_push_static(&seen.association->exchange->request_body, bytes);
		break;
	default:
		stage_pass(stage, what == 't' ? 1000 * (bytes.len + 1) : 1);
		break;
	}
}

static void check_bounds(void)
{
	const struct udp_association *association = seen.association;

	ENSURE(association->target_count <= TARGETS && association->targets.count <= TARGETS);
	ENSURE(association->peers.count <= TARGETS && association->waiting <= UDP_WAITING);
	ENSURE(association->waiting_bytes <= UDP_WAITING_BYTES && association->exit_count <= 1);
}

static void play(struct stage *stage, struct span input)
{
	for (unsigned i = 0; i < RECORDS_MOST && input.len >= 2 && seen.association; i++) {
		size_t len = size_min(input.at[1], input.len - 2);

		act(stage, input.at[0], span_make(input.at + 2, len));
		if (seen.association)
			check_bounds();
		stage_turn(stage);
		input = span_from(input, 2 + len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stage stage;
	static bool configured;
	struct asker asker;

	if (size == 0)
		return 0;
	if (!configured)
		stage_configure(&stage, configuration);
	configured = true;
	stage_start(&stage);
	seen = (struct seen){.client_fd = -1};
	associate(&stage, &asker);
	memory_fail_every(&stage.memory, data[0]);
	play(&stage, span_make(data + 1, size - 1));
	memory_fail_every(&stage.memory, 0);
	if (seen.association)
		flow_finish(&seen.association->exchange->request_body, NULL);
	stage_turns(&stage, 2);
	ENSURE(!seen.association);
	stage_stop(&stage);
	return 0;
}
