/*
 * The leak guard at content, through a whole exchange on a real worker (tests/support/stage.h), decoders included: any bytes as the body of a response. A name of a server
 * that stands alone reaches the client only where it is let through; what breaks is not taken for a complete response; nothing is left afterwards, whatever allocations
 * failed.
 *
 * Input: a byte for the policy (two bits), the coding (two bits) and the framing (one bit); one for the size of pieces, and, from 128 on, for memory
 * (each n-th allocation fails); then the body.
 */
#include "../../support/stage.h"

enum { BODY_MOST = 60000 };
enum { REPORT, REMOVE, REWRITE, BLOCK };

static const char configuration[] =
	"limits: {flow: 4 KiB}\n"
	"timeouts: {response: 5s, total: 60s, pool: 10s, idle: 10s}\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:8080\n"
	"    routes:\n"
	"      - {path: /0, to: web, host: shop.example, mask: {leaks: {body: report, window: 8 KiB}}}\n"
	"      - {path: /1, to: web, host: shop.example, mask: {leaks: {body: remove, window: 8 KiB}}}\n"
	"      - {path: /2, to: web, host: shop.example, mask: {leaks: {body: rewrite, window: 8 KiB}}}\n"
	"      - {path: /3, to: web, host: shop.example, mask: {leaks: {body: block, window: 8 KiB}}}\n"
	"upstreams:\n"
	"  web: {servers: [\"10.9.0.1:80\", \"db.internal:80\"], retries: 0}\n";

static void say_text(struct stage *stage, struct stage_peer *peer, const char *text)
{
	(void)stage_say(peer, text);
	stage_turn(stage);
}

/* The answer, in pieces, until Guise has enough of it. */
static void answer(struct stage *stage, struct stage_peer *server, uint8_t how, size_t piece, struct span body)
{
	static const char *const codings[] = {"", "Content-Encoding: gzip\r\n",
					      "Content-Encoding: deflate\r\n", "Content-Encoding: br\r\n"};
	char head[200];

	(void)snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n%s",
		       codings[how >> 2 & 3]);
	(void)stage_say(server, head);
	if (how & 16)
		(void)snprintf(head, sizeof(head), "Content-Length: %zu\r\n\r\n", body.len);
	else
		(void)snprintf(head, sizeof(head), "Connection: close\r\n\r\n");
	say_text(stage, server, head);
	for (size_t at = 0; at < body.len && !server->ended; at += piece) {
		struct span part = span_make(body.at + at, size_min(piece, body.len - at));
		if (stage_send(server, part) < part.len)
			break;
		stage_turn(stage);
	}
	if (!(how & 16))
		stage_peer_close(server);
	stage_turns(stage, 3);
}

/* Between spaces: then nothing of what stands beside it can make it a part of something else. */
static bool has_alone(struct span text)
{
	const struct span name = SPAN(" db.internal ");

	return span_search(text, name) >= 0;
}

static struct span content_of(struct span got)
{
	ptrdiff_t end = span_search(got, SPAN("\r\n\r\n"));

	return end < 0 ? (struct span){0} : span_from(got, (size_t)end + 4);
}

static void judge(struct stage *stage, uint8_t how, struct span body)
{
	struct stage_peer *client = &stage->clients[0];
	struct span got = stage_got(client), content = content_of(got);
	unsigned policy = how & 3;

	if (policy == REPORT || how >> 2 & 3 || !span_starts_with(got, SPAN("HTTP/1.1 200")))
		return;
	ENSURE(!has_alone(content));
	if (policy == BLOCK && has_alone(body))
		ENSURE(client->reset || !span_ends_with(got, SPAN("0\r\n\r\n")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stage stage;
	char request[100];

	if (size < 2 || size > BODY_MOST)
		return 0;
	if (!stage.snapshot)
		stage_configure(&stage, configuration);
	stage.worker.draining = false;
	stage_start(&stage);
	if (stage_connect(&stage, 0, 0)) {
		memory_fail_every(&stage.memory, data[1] >= 128 ? data[1] - 127 : 0);
		(void)snprintf(request, sizeof(request), "GET /%u HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			       data[0] & 3u);
		say_text(&stage, &stage.clients[0], request);
		if (stage.server_count > 0)
			answer(&stage, &stage.servers[0], data[0], (size_t)(data[1] & 127) * 8 + 1,
			       span_make(data + 2, size - 2));
		memory_fail_every(&stage.memory, 0);
		judge(&stage, data[0], span_make(data + 2, size - 2));
	}
	stage_leave(&stage);
	stage_stop(&stage);
	return 0;
}
