/*
 * Whole exchanges over HTTP/2: a script that is mostly well-formed frames, from a client or from a server, is played to a real worker
 * (tests/support/stage.h) while the other side answers, breaks, or lets time pass. Guise may refuse whatever it likes, but
 * - what it sends are frames, and nothing but resets and windows on a stream that it has ended;
 * - when everybody has gone and time has passed nothing is left, whatever allocations failed.
 *
 * Input: a byte for memory (n > 0: each n-th allocation fails), a byte of choices (see play_begin), then steps: a byte says what (see
 * play_step; its high bit: the next step belongs to the same turn), and the bytes that it needs follow.
 */
#ifndef GUISE_FUZZ_H2_H
#define GUISE_FUZZ_H2_H

#include "fuzz_h2_frames.h"

static const char h2_configuration[] =
	"limits: {request_line: 512, field_line: 512, fields: 20, head: 2 KiB, body: 16 KiB, flow: 4 KiB, streams: 8,\n"
	"         requests_per_connection: 30}\n"
	"timeouts: {header: 5s, idle: 10s, body: 5s, total: 60s, connect: 2s, response: 5s, tunnel: 10s, pool: 10s}\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:8080\n"
	"    http2: clear\n"
	"    routes:\n"
	"      - {path: /hello, respond: {status: 200, body: \"hello\\n\", type: text/plain}}\n"
	"      - {path: /two, to: two}\n"
	"      - {to: one}\n"
	"forward:\n"
	"  - listen: 127.0.0.1:3128\n"
	"    http2: clear\n"
	"    rules: [{allow: {addresses: [10.0.0.0/8]}}]\n"
	"upstreams:\n"
	"  one: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], retries: 1, keepalive: 2}\n"
	"  two: {servers: [\"10.9.0.3:80\", \"10.9.0.4:80\"], retries: 1, keepalive: 2, http: \"2\", streams: 4}\n";

/* Of the group that is told to speak HTTP/2. */
static bool speaks_http2(const struct stage_peer *server)
{
	return server->address.ip[1] == 9 && server->address.ip[3] >= 3;
}

/* ---- the judges ---- */

static void judge_frame(struct side *side, const uint8_t *head, size_t len)
{
	uint32_t stream = (uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];
	uint8_t type = head[3], flags = head[4];

	ENSURE(len <= 16384);
	ENSURE(type <= FRAME_CONTINUATION && type != FRAME_PUSH_PROMISE);
	if (type == FRAME_DATA || type == FRAME_HEADERS) {
		ENSURE(stream % 2 == 1);
		if (stream >= STREAMS_JUDGED)
			return;
		ENSURE(!side->ended[stream]);
		side->ended[stream] = flags & END_STREAM;
	} else if (type == FRAME_RST_STREAM && stream < STREAMS_JUDGED) {
		side->ended[stream] = true;
	}
}

/* What one side has heard since. */
static void judge(struct side *side, const struct stage_peer *peer, bool client)
{
	if (!client && side->judged == 0 && peer->len >= H2_PREFACE_LENGTH) {
		side->garbled |= memcmp(peer->bytes, h2_preface, H2_PREFACE_LENGTH) != 0;
		side->judged = H2_PREFACE_LENGTH;
	}
	if (side->garbled || (!client && side->judged == 0))
		return;
	while (peer->len - side->judged >= FRAME_HEAD) {
		const uint8_t *head = peer->bytes + side->judged;
		size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
		if (peer->len - side->judged < FRAME_HEAD + len)
			return;
		judge_frame(side, head, len);
		side->judged += FRAME_HEAD + len;
	}
}

static void judge_all(struct play *play)
{
	struct stage *stage = play->stage;

	for (unsigned i = 0; i < ARRAY_LENGTH(play->clients); i++)
		if (play->clients[i].ready)
			judge(&play->clients[i], &stage->clients[i], true);
	for (unsigned i = 0; i < stage->server_count; i++)
		if (speaks_http2(&stage->servers[i]))
			judge(&play->servers[i], &stage->servers[i], false);
}

/* ---- steps ---- */

static struct stage_peer *client_now(struct play *play)
{
	return &play->stage->clients[play->client];
}

static struct stage_peer *server_now(struct play *play)
{
	struct stage *stage = play->stage;
	return stage->server_count ? &stage->servers[play->server % stage->server_count] : NULL;
}

static void flush(struct play *play, struct stage_peer *peer)
{
	if (peer)
		(void)stage_send(peer, span_make(play->frame, play->len));
	play->len = 0;
}

static void put_settings(struct play *play, unsigned streams, bool connect)
{
	size_t start = frame_begin(play, FRAME_SETTINGS, 0, 0);

	put(play, "\0\3", 2);
	put_u32(play, streams);
	put(play, "\0\10", 2);
	put_u32(play, connect);
	frame_end(play, start);
}

static void client_open(struct play *play, unsigned listener, bool http1)
{
	struct side *side = &play->clients[play->client];

	judge_all(play);
	*side = (struct side){.garbled = http1};
	if (!stage_connect(play->stage, play->client, listener) || http1)
		return;
	side->ready = true;
	play->len = 0;
	put(play, h2_preface, H2_PREFACE_LENGTH);
	frame_end(play, frame_begin(play, FRAME_SETTINGS, 0, 0));
	flush(play, client_now(play));
}

/* Servers of HTTP/2 greet by themselves, most of them well. */
static void servers_greet(struct play *play)
{
	struct stage *stage = play->stage;

	for (unsigned i = 0; i < stage->server_count; i++) {
		if (play->servers[i].ready || !speaks_http2(&stage->servers[i]))
			continue;
		play->servers[i].ready = true;
		play->server = i;
		play->len = 0;
		put_settings(play, 3, true);
		flush(play, &stage->servers[i]);
	}
}

static void turn(struct play *play)
{
	stage_turn(play->stage);
	servers_greet(play);
}

static uint32_t stream_of(struct play *play, bool opens)
{
	struct side *side = play->by_server ? &play->servers[play->server % STAGE_SERVERS] :
					      &play->clients[play->client];
	uint8_t choice = take(play);

	if (play->by_server)
		return choice < 0xf0 ? 2u * (choice % 8) + 1 : choice;
	if (opens && choice < 0xc0) {
		side->last += side->last ? 2 : 1;
		return side->last;
	}
	if (choice >= 0xf8)
		return choice - 0xf8u;
	uint32_t back = 2u * (choice % 8);
	return side->last > back ? side->last - back : side->last;
}

static void put_block(struct play *play, uint8_t choice)
{
	if (play->by_server)
		put_fields(play, responses[choice % ARRAY_LENGTH(responses)]);
	else
		put_fields(play, requests[choice % ARRAY_LENGTH(requests)]);
	if (choice & 0x20) {
		uint8_t bytes[32];
		size_t name = take(play) % 16, value = take(play) % 16;
		for (size_t i = 0; i < name + value; i++)
			bytes[i] = take(play);
		put_field(play, span_make(bytes, name), span_make(bytes + name, value));
	}
	if (choice & 0x40) {
		uint8_t large[3000];
		memset(large, 'x', sizeof(large));
		put_field(play, SPAN("x-large"), span_make(large, take(play) * 11u));
	}
}

static void step_headers(struct play *play)
{
	uint32_t stream = stream_of(play, true);
	uint8_t choice = take(play);
	bool ended = take(play) & 1, split = choice & 0x80;
	size_t start =
		frame_begin(play, FRAME_HEADERS, (ended ? END_STREAM : 0) | (split ? 0 : END_HEADERS), stream);

	put_block(play, choice & 0x7f);
	frame_end(play, start);
	for (unsigned more = split ? take(play) % 8 : 0; more > 0; more--) {
		start = frame_begin(play, FRAME_CONTINUATION, more == 1 ? END_HEADERS : 0, stream);
		put_field(play, SPAN("x-more"), SPAN("1"));
		frame_end(play, start);
	}
}

static void step_data(struct play *play)
{
	uint32_t stream = stream_of(play, false);
	uint8_t flags = take(play), size = take(play), padding = flags & PADDED ? take(play) : 0;
	size_t start = frame_begin(play, FRAME_DATA, flags & (END_STREAM | PADDED), stream);
	uint8_t bytes[255 * 32] = {0};

	if (flags & PADDED)
		put_byte(play, padding);
	put(play, bytes, flags & 0x40 ? size * 32u : size % 8);
	put(play, bytes, flags & 0x80 ? 0 : padding);
	frame_end(play, start);
}

static void step_number(struct play *play, unsigned type, uint32_t stream)
{
	static const uint32_t numbers[] = {0,    1,     2,       5,          8,          100,
					   4096, 65535, 1 << 20, 0x7fffffff, 0xffffffff, 7};
	size_t start = frame_begin(play, type, 0, stream);

	if (type == FRAME_SETTINGS) {
		put_byte(play, 0);
		put_byte(play, take(play) % 10);
	}
	if (type == FRAME_GOAWAY)
		put_u32(play, take(play) % 16);
	put_u32(play, numbers[take(play) % ARRAY_LENGTH(numbers)]);
	frame_end(play, start);
}

static void step_priority_update(struct play *play)
{
	size_t start = frame_begin(play, FRAME_PRIORITY_UPDATE, 0, 0);

	put_u32(play, stream_of(play, false));
	put(play, "u=2, i", 6);
	frame_end(play, start);
}

static void step_bytes(struct play *play)
{
	for (unsigned left = take(play); left > 0; left--)
		put_byte(play, take(play));
}

static void step_other(struct play *play, unsigned type)
{
	uint8_t flags = take(play);
	size_t start = frame_begin(play, type, flags, type == FRAME_PING ? 0 : stream_of(play, false));

	put(play, "12345678", 8);
	frame_end(play, start);
}

static void step_frame(struct play *play, unsigned step)
{
	switch (step % 13) {
	case 0:
	case 1:
	case 2:
		step_headers(play);
		break;
	case 3:
	case 4:
		step_data(play);
		break;
	case 5:
		step_number(play, FRAME_RST_STREAM, stream_of(play, false));
		break;
	case 6:
		step_number(play, FRAME_WINDOW_UPDATE, take(play) & 1 ? 0 : stream_of(play, false));
		break;
	case 7:
		step_number(play, FRAME_SETTINGS, 0);
		break;
	case 8:
		step_other(play, FRAME_PING);
		break;
	case 9:
		step_number(play, FRAME_GOAWAY, 0);
		break;
	case 10:
		step_priority_update(play);
		break;
	case 11:
		step_bytes(play);
		break;
	case 12:
		step_other(play, take(play) % 18);
		break;
	}
	flush(play, play->by_server ? server_now(play) : client_now(play));
}

/* ---- the other side ---- */

static void answer_websocket(struct stage_peer *server)
{
	static const char name[] = "Sec-WebSocket-Key: ";
	char *at = server->bytes ? strstr((char *)server->bytes, name) : NULL;
	char accept[WEBSOCKET_ACCEPT_LENGTH], text[200];

	if (!at || strlen(at) < sizeof(name) - 1 + WEBSOCKET_KEY_LENGTH ||
	    !websocket_accept_make(span_make((uint8_t *)at + sizeof(name) - 1, WEBSOCKET_KEY_LENGTH), accept))
		return;
	snprintf(text, sizeof(text),
		 "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		 "Sec-WebSocket-Accept: %.*s\r\n\r\n",
		 WEBSOCKET_ACCEPT_LENGTH, accept);
	stage_say(server, text);
}

static void step_answer_http1(struct play *play, struct stage_peer *server)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"5\r\nhello\r\n",
		"0\r\nX-T: 1\r\n\r\n",
		"0\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\nuntil the end",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"plain bytes",
		"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n",
	};
	uint8_t choice = take(play);

	if (choice == 255)
		answer_websocket(server);
	else if (choice >= 240)
		(void)stage_send(server, span_make((uint8_t[6000]){0}, 6000));
	else
		stage_say(server, answers[choice % ARRAY_LENGTH(answers)]);
}

/* A server of HTTP/2, when the script is the client's. */
static void step_answer_http2(struct play *play)
{
	play->by_server = true;
	switch (take(play) % 4) {
	case 0:
	case 1:
		step_headers(play);
		break;
	case 2:
		step_data(play);
		break;
	case 3:
		step_frame(play, take(play));
		break;
	}
	flush(play, server_now(play));
	play->by_server = false;
}

static void step_answer(struct play *play)
{
	struct stage_peer *server = server_now(play);

	if (!server)
		return;
	if (speaks_http2(server))
		step_answer_http2(play);
	else
		step_answer_http1(play, server);
}

/* A request of a client, when the script is the server's. */
static void step_ask(struct play *play)
{
	static const char ask_websocket[] =
		"GET /two HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	static const char *const asks[] = {
		"GET /two HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"POST /two HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
		"POST /two HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
		"5\r\nhello\r\n",
		"0\r\nX-T: 1\r\n\r\n",
		ask_websocket,
		"bytes of a tunnel",
		"HEAD /two HTTP/1.1\r\nHost: a.test\r\n\r\n",
	};
	uint8_t choice = take(play);

	if (client_now(play)->fd < 0)
		client_open(play, 1, !(choice & 0x40));
	if (play->clients[play->client].garbled) {
		stage_say(client_now(play), asks[choice % ARRAY_LENGTH(asks)]);
		return;
	}
	play->by_server = false;
	step_frame(play, take(play));
	play->by_server = true;
}

static void step_peer(struct stage_peer *peer, uint8_t what)
{
	if (!peer || peer->fd < 0)
		return;
	switch (what % 5) {
	case 0:
		stage_peer_close(peer);
		break;
	case 1:
		shutdown(peer->fd, SHUT_WR);
		break;
	case 2:
	case 3:
		peer->paused = true;
		break;
	case 4:
		peer->paused = false;
		break;
	}
}

static void step_drain(struct play *play)
{
	struct stage *stage = play->stage;

	stage->worker.draining = true;
	entrance_drain(&stage->worker);
	upstream_drain(&stage->worker);
}

static void play_step(struct play *play, uint8_t step)
{
	static const unsigned waits[] = {1, 10, 100, 1000, 2500, 5000, 10000, 30000};

	if (step < 0x40) {
		step_frame(play, step);
		return;
	}
	switch (step % 16) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
		if (play->by_server)
			step_ask(play);
		else
			step_answer(play);
		break;
	case 6:
		play->server = take(play);
		break;
	case 7:
		play->client = take(play) % 2;
		break;
	case 8:
		stage_clock_ms += waits[take(play) % ARRAY_LENGTH(waits)];
		break;
	case 9:
		step_peer(client_now(play), take(play));
		break;
	case 10:
		step_peer(server_now(play), take(play));
		break;
	case 11:
		if (take(play) == 1)
			step_drain(play);
		break;
	case 12:
		play->stage->refuse_next = ECONNREFUSED;
		break;
	case 13:
		client_open(play, take(play) % 2, false);
		break;
	case 14:
		client_open(play, 1, true);
		break;
	default:
		break;
	}
}

/* Everybody goes; nothing may be left. */
static void play_leave(struct play *play)
{
	struct stage *stage = play->stage;

	for (unsigned i = 0; i < STAGE_CLIENTS; i++)
		stage->clients[i].paused = false;
	for (unsigned i = 0; i < stage->server_count; i++)
		stage->servers[i].paused = false;
	stage_turns(stage, 3);
	judge_all(play);
	stage_leave(stage);
}

static int play_all(const uint8_t *data, size_t size, bool by_server)
{
	static struct stage stage;
	static struct play play;

	if (size < 2)
		return 0;
	if (!stage.snapshot)
		stage_configure(&stage, h2_configuration);
	stage.worker.draining = false;
	stage_start(&stage);
	memset(&play, 0, sizeof(play));
	play.stage = &stage;
	play.by_server = by_server;
	play.script = (struct script){data + 2, data + size};
	memory_fail_every(&stage.memory, data[0]);
	client_open(&play, !(data[1] & 1), false);
	for (unsigned i = 0; i < STEPS_MOST && play.script.at < play.script.end; i++) {
		uint8_t step = take(&play);
		play_step(&play, step & 0x7f);
		if (!(step & 0x80))
			turn(&play);
	}
	play_leave(&play);
	stage_stop(&stage);
	return 0;
}

#endif
