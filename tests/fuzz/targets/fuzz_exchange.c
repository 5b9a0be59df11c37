/*
 * Whole exchanges, both faces: a script of what two clients and the servers send, and when they close, is played to a real
 * worker (tests/support/stage.h). Guise may refuse whatever it likes, but
 * - what reaches a server is a sequence of requests that a strict reader accepts, each with bytes of one client alone;
 * - what reaches a client is a sequence of responses, none more than it asked, with bytes that were meant for it alone;
 * - connections of the forward face belong to one client;
 * - when everybody has gone and time has passed nothing is left, whatever allocations failed.
 *
 * Input: a byte for the face (odd: reverse) and one for memory (n > 0: each n-th allocation fails), then records that end in
 * 0xff: one letter, and what belongs to it (see play). A '+' before the letter: the next record belongs to the same turn. In
 * what is sent, 0x01 and 0x02 stand for the mark of a client; see expand. A connection of the forward face may begin with SOCKS, whose bytes are
 * spelt in hexadecimal.
 */
#include "../../support/stage.h"

#include "http/h1/body.h"
#include "socks/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLAIN_PORT = 80, TUNNEL_PORT = 443, RECORDS_MOST = 200, SENT_MOST = 64 * 1024, REQUESTS_MOST = 256 };

static const char configuration[] =
	"limits: {request_line: 512, field_line: 512, fields: 20, head: 2 KiB, body: 8 KiB, flow: 4 KiB,\n"
	"         requests_per_connection: 20}\n"
	"timeouts: {header: 5s, idle: 10s, body: 5s, total: 60s, connect: 2s, response: 5s, tunnel: 10s, pool: 10s}\n"
	"forward:\n"
	"  - listen: 127.0.0.1:3128\n"
	"    mask: anonymous\n"
	"    rules:\n"
	"      - deny: {methods: [CONNECT], ports: [80]}\n"
	"      - allow: {addresses: [10.0.0.0/8], ports: [80]}\n"
	"      - allow: {addresses: [10.0.0.0/8], ports: [443], methods: [CONNECT]}\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:8080\n"
	"    trusted: [10.1.0.1]\n"
	"    routes:\n"
	"      - {path: /hello, respond: {status: 200, body: \"hello\\n\", type: text/plain}}\n"
	"      - {path: /away, redirect: \"https://{host}{uri}\"}\n"
	"      - path: /edit/\n"
	"        to: web\n"
	"        rewrite: {from: /edit/, to: /}\n"
	"        request: {set: {X-Uri: \"{uri}\"}, remove: [Cookie]}\n"
	"        response: {set: {X-Name: \"{name}\"}, remove: [Server]}\n"
	"        limits: {body: 100}\n"
	"      - {path: /mirror/, to: web, mirror: {to: shadow}}\n"
	"      - {path: /hedge/, to: hedged, mirror: {to: shadow, percent: 30}}\n"
	"      - {to: web}\n"
	"upstreams:\n"
	"  web: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], retries: 1, keepalive: 2}\n"
	"  hedged: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\", \"10.9.0.3:80\"], retries: 1, retry_on: [5xx],\n"
	"           hedge: {percentile: 90, minimum: 1ms}, timeouts: {try: 2s}}\n"
	"  shadow: {servers: [\"10.9.0.4:80\", \"10.9.0.5:80\"], retries: 1, retry_on: [5xx]}\n";

enum { WEB, HEDGED }; /* groups */

static const struct h1_limits wide = {
	.request_line = 64 * 1024, .field_line = 64 * 1024, .fields = 1000, .head = 64 * 1024};
static const struct h1_limits narrow = {.request_line = 512, .field_line = 512, .fields = 20, .head = 2 * 1024};

struct sent {
	size_t len;
	uint8_t bytes[SENT_MOST];
};

struct play {
	struct stage *stage;
	bool reverse;
	struct sent sent[2]; /* by client, on its present connection */
	unsigned last;       /* server that heard something last */
	size_t heard[STAGE_SERVERS];
	struct memory memory; /* of the judges */
};

/* ---- marks ---- */

static const char *const marks[] = {"z0Z", "z1Z"};

static bool has_mark(struct span bytes, unsigned who)
{
	return span_search(bytes, span_of(marks[who])) >= 0;
}

/* 0: the first client's, 1: the second's, -1: none. Both: the end. */
static int mark_of(struct span bytes)
{
	bool first = has_mark(bytes, 0), second = has_mark(bytes, 1);
	ENSURE(!(first && second));
	return first ? 0 : second ? 1 : -1;
}

/* Bytes to be sent: 0x01 becomes the mark (-1: nothing), and nothing else can look like one. */
static struct span expand(struct arena *arena, struct span payload, int mark)
{
	uint8_t *out = arena_alloc(arena, payload.len * 3 + 1);
	size_t len = 0;

	ENSURE(out);
	for (size_t i = 0; i < payload.len; i++) {
		uint8_t byte = payload.at[i];
		if (byte == 1 || byte == 2) {
			if (mark >= 0)
				memcpy(out + len, marks[mark], 3);
			len += mark >= 0 ? 3 : 0;
		} else {
			out[len++] = byte == 'z' || byte == 'Z' ? 'y' : byte;
		}
	}
	return span_make(out, len);
}

/* ---- the judges ---- */

/* Skips a body and gathers it in `content`. 1: it ended, 0: more is to come, -1: malformed. */
static int read_body(struct arena *arena, const struct http_head *head, bool response, struct span *rest,
		     struct span *content)
{
	struct h1_body body;
	struct error error;
	struct span data;
	uint8_t *all = arena_alloc(arena, rest->len + 1);
	size_t len = 0;

	ENSURE(all);
	h1_body_init(&body, head);
	for (;;) {
		switch (h1_body_read(&body, rest, &data, arena, &wide, response, &error)) {
		case H1_BODY_DATA:
			memcpy(all + len, data.at, data.len);
			len += data.len;
			*content = span_make(all, len);
			break;
		case H1_BODY_MORE:
			return 0;
		case H1_BODY_END:
			return 1;
		case H1_BODY_BAD:
			return -1;
		}
	}
}

/* What one server connection heard. *last: the mark of the last request, when that is whole; -2: not to be known. */
static void judge_server(struct play *play, const struct stage_peer *server, int *last)
{
	struct span rest = stage_got(server);
	struct arena arena;

	*last = -2;
	if (!play->reverse)
		*last = mark_of(rest); /* one client alone */
	if (server->address.port == TUNNEL_PORT)
		return;
	arena_init(&arena, &play->memory, NULL, NULL, 0);
	while (rest.len) {
		struct http_head head;
		struct h1_framing framing;
		struct error error;
		struct span content = {0};
		size_t scanned = 0, end = h1_head_end(rest, &scanned);
		*last = -2;
		if (end == H1_INCOMPLETE)
			break;
		ENSURE(h1_request_parse(span_first(rest, end), &arena, &wide, SPAN("http"), &head, &framing,
					&error));
		ENSURE(head.target_form == HTTP_TARGET_ORIGIN || head.target_form == HTTP_TARGET_ASTERISK);
		int mark = mark_of(span_first(rest, end));
		rest = span_from(rest, end);
		int whole = http_head_has_body(&head) ? read_body(&arena, &head, false, &rest, &content) : 1;
		ENSURE(whole >= 0);
		int inside = mark_of(content);
		ENSURE(mark < 0 || inside < 0 || mark == inside);
		if (!whole || head.protocol.len)
			break; /* after an upgrade anything may follow */
		*last = mark >= 0 ? mark : inside;
	}
	arena_fini(&arena);
}

/* The methods of what a client has asked, as far as it can be understood. */
static unsigned asked(struct arena *arena, struct span rest, uint8_t methods[REQUESTS_MOST])
{
	unsigned count = 0;

	while (rest.len && count < REQUESTS_MOST - 1) {
		struct http_head head;
		struct h1_framing framing;
		struct error error;
		struct span content;
		rest = span_from(rest, h1_skip_empty_lines(rest));
		size_t scanned = 0, end = h1_head_end(rest, &scanned);
		if (end == H1_INCOMPLETE)
			break;
		bool good = h1_request_parse(span_first(rest, end), arena, &narrow, SPAN("http"), &head,
					     &framing, &error);
		methods[count++] = head.method;
		rest = span_from(rest, end);
		if (!good ||
		    (http_head_has_body(&head) && read_body(arena, &head, false, &rest, &content) != 1))
			return count;
	}
	methods[count] = HTTP_METHOD_GET;
	return count + 1; /* a head that never ended is answered too */
}

/* A client that began with SOCKS: what it hears is replies, and nothing behind one that refuses. In a tunnel anything may follow. */
static void judge_socks(uint8_t first, struct span rest)
{
	struct socks_reply reply;
	const char *why;
	uint8_t method;
	size_t used;

	if (first == SOCKS_VERSION_5) {
		enum socks_read choice = socks_method_read(rest, &method, &used, &why);
		ENSURE(choice != SOCKS_BAD);
		if (choice == SOCKS_MORE)
			return;
		ENSURE(method == SOCKS_METHOD_NONE || method == SOCKS_METHOD_REFUSED);
		rest = span_from(rest, used);
		ENSURE(method == SOCKS_METHOD_NONE || rest.len == 0);
	}
	enum socks_read result = socks_reply_read((enum socks_version)first, rest, &reply, &used, &why);
	ENSURE(result != SOCKS_BAD);
	ENSURE(result == SOCKS_MORE || reply.code == SOCKS_SUCCEEDED || used == rest.len);
}

static void judge_client(struct play *play, unsigned who)
{
	const struct stage_peer *client = &play->stage->clients[who];
	struct span rest = stage_got(client);
	uint8_t first = play->sent[who].len ? play->sent[who].bytes[0] : 0;
	uint8_t methods[REQUESTS_MOST];
	struct arena arena;
	unsigned answers = 0;

	ENSURE(!has_mark(rest, 1 - who));
	if (!play->reverse && (first == SOCKS_VERSION_4 || first == SOCKS_VERSION_5)) {
		judge_socks(first, rest);
		return;
	}
	arena_init(&arena, &play->memory, NULL, NULL, 0);
	unsigned requests = asked(&arena, span_make(play->sent[who].bytes, play->sent[who].len), methods);
	while (rest.len) {
		struct http_head head;
		struct h1_framing framing;
		struct error error;
		struct span content;
		size_t scanned = 0, end = h1_head_end(rest, &scanned);
		if (end == H1_INCOMPLETE)
			break;
		ENSURE(answers < requests);
		ENSURE(h1_response_parse(span_first(rest, end), &arena, &wide, methods[answers], &head,
					 &framing, &error));
		rest = span_from(rest, end);
		if (http_status_is_interim(head.status))
			continue;
		if (head.status == 101 || (methods[answers] == HTTP_METHOD_CONNECT && head.status < 300))
			break;
		if (!framing.keep_alive && methods[answers] == HTTP_METHOD_HEAD)
			break; /* perhaps refused, with a body, before the method was known */
		if (http_head_has_body(&head)) {
			int whole = read_body(&arena, &head, true, &rest, &content);
			ENSURE(whole >= 0);
			if (!whole)
				break;
		}
		answers++;
	}
	arena_fini(&arena);
}

/* ---- the script ---- */

static void turn(struct play *play)
{
	struct stage *stage = play->stage;

	stage_turn(stage);
	for (unsigned i = 0; i < stage->server_count; i++) {
		if (stage->servers[i].len != play->heard[i])
			play->last = i;
		play->heard[i] = stage->servers[i].len;
	}
}

static void client_open(struct play *play, unsigned who)
{
	if (play->stage->clients[who].fd >= 0)
		turn(play); /* what it heard counts as well */
	judge_client(play, who);
	play->sent[who].len = 0;
	(void)stage_connect(play->stage, who, play->reverse);
}

static void client_send_bytes(struct play *play, unsigned who, struct span bytes)
{
	struct stage_peer *client = &play->stage->clients[who];
	struct sent *sent = &play->sent[who];

	if (client->fd < 0)
		client_open(play, who);
	size_t len = stage_send(client, span_first(bytes, size_min(bytes.len, SENT_MOST - sent->len)));
	memcpy(sent->bytes + sent->len, bytes.at, len);
	sent->len += len;
}

static void client_send(struct play *play, unsigned who, struct span payload)
{
	struct arena arena;

	arena_init(&arena, &play->memory, NULL, NULL, 0);
	client_send_bytes(play, who, expand(&arena, payload, (int)who));
	arena_fini(&arena);
}

/* Bytes in hexadecimal, as far as they go; none of them can be a part of a mark. */
static void client_send_hex(struct play *play, unsigned who, struct span payload)
{
	uint8_t bytes[1024];
	size_t len = 0;

	for (size_t i = 0; i + 1 < payload.len && len < sizeof(bytes); i += 2) {
		int high = ascii_hex_digit(payload.at[i]), low = ascii_hex_digit(payload.at[i + 1]);
		if (high < 0 || low < 0)
			break;
		uint8_t byte = (uint8_t)(high << 4 | low);
		bytes[len++] = byte == 'z' || byte == 'Z' ? 'y' : byte;
	}
	client_send_bytes(play, who, span_make(bytes, len));
}

static void server_send(struct play *play, struct stage_peer *server, struct span payload)
{
	struct arena arena;
	int mark;

	judge_server(play, server, &mark);
	if (server->paused)
		mark = -1; /* it does not know what it was asked */
	arena_init(&arena, &play->memory, NULL, NULL, 0);
	(void)stage_send(server, expand(&arena, payload, mark));
	arena_fini(&arena);
}

static void control(struct stage_peer *peer, uint8_t what)
{
	if (peer->fd < 0)
		return;
	switch (what) {
	case 'c':
		stage_peer_close(peer);
		break;
	case 'h':
		shutdown(peer->fd, SHUT_WR);
		break;
	case 'p':
		peer->paused = true;
		break;
	case 'g':
		peer->paused = false;
		break;
	default:
		break;
	}
}

/* The server that heard something last, or the first that is open. */
static struct stage_peer *server_of(struct play *play, bool first)
{
	struct stage *stage = play->stage;

	if (!first)
		return play->last < stage->server_count ? &stage->servers[play->last] : NULL;
	for (unsigned i = 0; i < stage->server_count; i++)
		if (stage->servers[i].fd >= 0)
			return &stage->servers[i];
	return NULL;
}

static void play_server(struct play *play, uint8_t letter, struct span payload)
{
	struct stage_peer *server = server_of(play, letter == 't' || letter == 'T');

	if (!server || server->fd < 0)
		return;
	if (letter == 's' || letter == 't')
		server_send(play, server, payload);
	else if (payload.len)
		control(server, payload.at[0]);
}

static void play_record(struct play *play, uint8_t letter, struct span payload)
{
	static const unsigned waits[] = {1, 10, 100, 1000, 2500, 5000, 10000, 30000};
	struct stage *stage = play->stage;
	uint8_t what = payload.len ? payload.at[0] : 0;

	switch (letter) {
	case 'a':
	case 'b':
		client_send(play, letter - 'a', payload);
		break;
	case 'k':
	case 'l':
		client_send_hex(play, letter - 'k', payload);
		break;
	case 'A':
	case 'B':
		if (what == 'n')
			client_open(play, letter - 'A');
		else
			control(&stage->clients[letter - 'A'], what);
		break;
	case 's':
	case 't':
	case 'S':
	case 'T':
		play_server(play, letter, payload);
		break;
	case 'w':
		stage_clock_ms += waits[what % ARRAY_LENGTH(waits)];
		break;
	case 'x':
		stage->refuse_next = ECONNREFUSED;
		break;
	case 'd':
		stage->worker.draining = true;
		h1_server_drain(&stage->worker);
		upstream_drain(&stage->worker);
		break;
	default:
		break;
	}
}

static void play_all(struct play *play, struct span script)
{
	for (unsigned i = 0; i < RECORDS_MOST && script.len; i++) {
		struct span record;
		span_cut(script, 0xff, &record, &script);
		bool alone = !span_starts_with(record, SPAN("+"));
		record = span_from(record, !alone);
		if (record.len)
			play_record(play, record.at[0], span_from(record, 1));
		if (alone)
			turn(play);
	}
}

/* Everybody goes; nothing may be left. */
static void leave(struct play *play)
{
	struct stage *stage = play->stage;
	int mark;

	for (unsigned i = 0; i < STAGE_CLIENTS; i++)
		stage->clients[i].paused = false;
	for (unsigned i = 0; i < stage->server_count; i++)
		stage->servers[i].paused = false;
	stage_turns(stage, 2);
	for (unsigned who = 0; who < 2; who++)
		judge_client(play, who);
	for (unsigned i = 0; i < stage->server_count; i++)
		judge_server(play, &stage->servers[i], &mark);
	stage_leave(stage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stage stage;
	static struct play play;

	if (size < 2)
		return 0;
	if (!stage.snapshot)
		stage_configure(&stage, configuration);
	stage.worker.draining = false;
	stage_start(&stage);
	for (unsigned i = 0; i < 100; i++) /* it is known what is usual */
		latency_digest_add(&upstream_group(&stage.worker, HEDGED)->latencies, 1000);
	play.stage = &stage;
	play.reverse = data[0] & 1;
	play.last = 0;
	play.sent[0].len = play.sent[1].len = 0;
	memset(play.heard, 0, sizeof(play.heard));
	memory_init(&play.memory, 0);
	memory_fail_every(&stage.memory, data[1]);
	play_all(&play, span_make(data + 2, size - 2));
	leave(&play);
	stage_stop(&stage);
	ENSURE(atomic_load(&play.memory.used) == 0);
	return 0;
}
