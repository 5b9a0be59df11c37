/*
 * A connection of a tcp listener, on a real worker (tests/support/stage.h): PROXY header, ClientHello, tunnel. Whatever a client sends and
 * in whatever pieces, a server gets what follows the header and nothing else, the server that the name asks for; the client gets what that
 * server sent; and when both have gone nothing is left, whatever allocations failed.
 *
 * Input: a byte that says how (bit 0: routes by name; bit 1: a PROXY header is to come; bit 2: the first connect is refused; the rest, if not
 * 0: each so manyth allocation fails), then records of a letter, a length and so many bytes: 'c' the client sends, 's' the server sends, 'C'
 * and 'S' close, 'h' and 'H' half-close, 't' time passes (the length, in 100 ms), 'd' draining begins.
 */
#include "../../support/stage.h"

#include "net/proxy_protocol.h"
#include "tls/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ALL, NAMES, ALL_PROXIED, NAMES_PROXIED }; /* listeners */
enum { SENT_MOST = 128 * 1024, RECORDS_MOST = 200 };

static const char configuration[] =
	"limits: {flow: 4 KiB}\n"
	"timeouts: {connect: 2s, tunnel: 10s, handshake: 5s, total: 60s}\n"
	"tcp:\n"
	"  - {listen: 127.0.0.1:1, to: any}\n"
	"  - {listen: 127.0.0.1:2, routes: [{sni: [www.example.com, \"*.a.test\"], to: one}, {sni: b.test, to: two}]}\n"
	"  - {listen: 127.0.0.1:3, to: any, proxy_protocol: [10.1.0.0/16]}\n"
	"  - {listen: 127.0.0.1:4, proxy_protocol: [10.1.0.0/16],\n"
	"     routes: [{sni: [www.example.com, \"*.a.test\"], to: one}, {to: two}]}\n"
	"upstreams:\n"
	"  any: [\"10.9.0.9:1\", \"10.9.0.8:1\"]\n"
	"  one: [\"10.9.0.1:1\"]\n"
	"  two: [\"10.9.0.2:1\"]\n";

struct sent {
	size_t len;
	uint8_t bytes[SENT_MOST];
};

/* The servers that may hear of a client that has sent this; 0: none. *from: what they get begins there. The last number of their addresses. */
static unsigned expected_server(struct span bytes, unsigned listener, size_t *from)
{
	struct proxy_protocol_header header = {0};
	struct tls_client_hello hello;
	const char *why;

	if (listener >= ALL_PROXIED && proxy_protocol_read(bytes, &header, &why) != PROXY_PROTOCOL_DONE)
		return 0;
	*from = header.length;
	if (listener == ALL || listener == ALL_PROXIED)
		return 9;
	enum tls_peek peek = tls_client_hello_peek(span_from(bytes, header.length), &hello);
	struct span name = span_make(hello.name, hello.name_len);
	if (peek == TLS_PEEK_MORE)
		return 0;
	if (span_equal(name, SPAN("www.example.com")) ||
	    (name.len > 7 && span_ends_with(name, SPAN(".a.test"))))
		return 1;
	return listener == NAMES_PROXIED || span_equal(name, SPAN("b.test")) ? 2 : 0;
}

static void judge(const struct stage *stage, unsigned listener, const struct sent *client,
		  const struct sent *server)
{
	size_t from = 0;
	unsigned expected = expected_server(span_make(client->bytes, client->len), listener, &from);

	if (stage->server_count == 0)
		return;
	/* One that memory was lacking for was connected to, and heard nothing. */
	for (unsigned i = 0; i + 1 < stage->server_count; i++)
		ENSURE(stage->servers[i].len == 0);
	const struct stage_peer *peer = &stage->servers[stage->server_count - 1];
	ENSURE(expected == peer->address.ip[3] || (expected == 9 && peer->address.ip[3] == 8));
	struct span heard = stage_got(peer), answer = stage_got(&stage->clients[1]);
	ENSURE(heard.len <= client->len - from);
	ENSURE(span_equal(heard, span_make(client->bytes + from, heard.len)));
	ENSURE(answer.len <= server->len);
	ENSURE(span_equal(answer, span_make(server->bytes, answer.len)));
}

static void send_to(struct stage_peer *peer, struct sent *sent, struct span bytes)
{
	size_t took = stage_send(peer, span_first(bytes, size_min(bytes.len, SENT_MOST - sent->len)));

	memcpy(sent->bytes + sent->len, bytes.at, took);
	sent->len += took;
}

static void half_close(const struct stage_peer *peer)
{
	if (peer->fd >= 0)
		shutdown(peer->fd, SHUT_WR);
}

static void act(struct stage *stage, uint8_t what, struct span bytes, struct sent *client, struct sent *server)
{
	struct stage_peer *mine = &stage->clients[1], *other = NULL;

	if (stage->server_count)
		other = &stage->servers[stage->server_count - 1];

	switch (what) {
	case 'c':
		send_to(mine, client, bytes);
		break;
	case 'C':
		stage_peer_close(mine);
		break;
	case 'h':
		half_close(mine);
		break;
	case 'd':
		stage->worker.draining = true;
		entrance_drain(&stage->worker);
		break;
	default:
		break;
	}
	if (other && what == 's')
		send_to(other, server, bytes);
	else if (other && what == 'S')
		stage_peer_close(other);
	else if (other && what == 'H')
		half_close(other);
}

static void play(struct stage *stage, struct span script, unsigned listener)
{
	static struct sent client, server;

	client.len = server.len = 0;
	for (unsigned records = 0; script.len >= 2 && records < RECORDS_MOST; records++) {
		uint8_t what = script.at[0], length = script.at[1];
		size_t taken = what == 't' ? 0 : size_min(length, script.len - 2);
		act(stage, what, span_make(script.at + 2, taken), &client, &server);
		script = span_from(script, 2 + taken);
		stage_pass(stage, what == 't' ? length * 100 : 1);
		stage_turns(stage, 3);
		judge(stage, listener, &client, &server);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stage stage;
	static bool configured;

	if (!configured)
		stage_configure(&stage, configuration);
	configured = true;
	if (size < 1)
		return 0;
	unsigned listener = data[0] & 3;
	stage_start(&stage);
	stage.refuse_next = data[0] & 4 ? ECONNREFUSED : 0;
	memory_fail_every(&stage.memory, data[0] >> 3);
	if (stage_connect(&stage, 1, listener))
		play(&stage, span_make(data + 1, size - 1), listener);
	memory_fail_every(&stage.memory, 0);
	stage_peer_close(&stage.clients[1]);
	for (unsigned i = 0; i < stage.server_count; i++)
		stage_peer_close(&stage.servers[i]);
	for (unsigned i = 0; i < 10 && conn_count(&stage.worker); i++)
		stage_pass(&stage, 5000);
	stage_turn(&stage); /* frees what has just ended */
	ENSURE(exchange_count(&stage.worker) == 0);
	ENSURE(conn_count(&stage.worker) == 0);
	stage.worker.draining = false;
	stage_stop(&stage); /* looks that all has been given back */
	return 0;
}
