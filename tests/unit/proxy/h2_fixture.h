/*
 * Peers that speak HTTP/2, made of nghttp2's own sessions, around whole exchanges on a stage.
 */
#ifndef GUISE_TESTS_H2_FIXTURE_H
#define GUISE_TESTS_H2_FIXTURE_H

#include "stage_fixture.h"

#include <nghttp2/nghttp2.h>

enum { FORWARD_CLEAR, REVERSE_CLEAR }; /* listeners */
enum { STREAMS_SEEN = 32, HEAD_SEEN = 1500 };

static const char h2_yaml[] =
	"limits: {memory: 64 MiB, request_line: 512, field_line: 512, fields: 20, head: 2 KiB, body: 64 KiB, flow: 4 KiB,\n"
	"         requests_per_connection: 12, streams: 10}\n"
	"timeouts: {header: 5s, idle: 10s, body: 6s, connect: 2s, response: 7s, tunnel: 20s, pool: 12s, handshake: 3s}\n"
	"forward:\n"
	"  - {listen: 127.0.0.1:3128, http2: clear, rules: [{allow: {addresses: [10.0.0.0/8]}}]}\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:8080\n"
	"    http2: clear\n"
	"    routes:\n"
	"      - {path: /hello, respond: {status: 200, body: \"hello\\n\", type: text/plain}}\n"
	"      - {path: /two, to: two}\n"
	"      - {to: one}\n"
	"upstreams:\n"
	"  one: {servers: [\"10.9.0.1:80\"]}\n"
	"  two: {servers: [\"10.9.0.3:80\", \"10.9.0.4:80\"], retries: 1, http: \"2\", streams: 4}\n";

/* What one peer sends on a stream. */
struct h2_body {
	const char *bytes;
	size_t len;
	bool open; /* more will come */
	bool trailers;
};

/* And what it has got. */
struct h2_seen {
	char head[HEAD_SEEN]; /* "name: value\n" of all heads, and of trailers */
	unsigned heads;
	size_t bytes;
	char last[64]; /* the last bytes of the body, as text */
	bool ended, closed;
	uint32_t code; /* when closed */
	struct h2_body body;
};

struct h2_peer {
	struct stage_peer *at;
	nghttp2_session *session;
	struct h2_seen seen[STREAMS_SEEN]; /* by identifier / 2 */
	unsigned goaways;
	uint32_t goaway_code;
	int32_t goaway_last;
	unsigned settings_acked, pings; /* PING of Guise */
	bool broken;                    /* what came is no HTTP/2 */
	bool silent;                    /* sends nothing for now */
	uint8_t out[64 * 1024];         /* what it has to send */
	size_t unsent;
	bool frugal; /* gives no window by itself */
};

static struct h2_peer h2_clients[STAGE_CLIENTS], h2_servers[STAGE_SERVERS];

static struct h2_seen *seen_of(struct h2_peer *peer, int32_t id)
{
	assert_true(id > 0 && id / 2 < STREAMS_SEEN);
	return &peer->seen[id / 2];
}

/* ---- nghttp2's callbacks ---- */

static int peer_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
			  size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
	struct h2_seen *seen = seen_of(user, frame->hd.stream_id);
	size_t len = strlen(seen->head);

	snprintf(seen->head + len, sizeof(seen->head) - len, "%.*s: %.*s\n", (int)name_len, name,
		 (int)value_len, value);
	return 0;
}

static int peer_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2_peer *peer = user;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		seen_of(peer, frame->hd.stream_id)->heads++;
		/* fall through */
	case NGHTTP2_DATA:
		seen_of(peer, frame->hd.stream_id)->ended |= frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
		break;
	case NGHTTP2_GOAWAY:
		peer->goaways++;
		peer->goaway_code = frame->goaway.error_code;
		peer->goaway_last = frame->goaway.last_stream_id;
		break;
	case NGHTTP2_PING:
		peer->pings += !(frame->hd.flags & NGHTTP2_FLAG_ACK);
		break;
	case NGHTTP2_SETTINGS:
		peer->settings_acked += frame->hd.flags & NGHTTP2_FLAG_ACK;
		break;
	default:
		break;
	}
	return 0;
}

static int peer_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len,
			void *user)
{
	struct h2_seen *seen = seen_of(user, id);
	size_t kept = size_min(len, sizeof(seen->last) - 1);

	seen->bytes += len;
	nghttp2_session_consume_connection(session, len);
	if (!((struct h2_peer *)user)->frugal)
		nghttp2_session_consume_stream(session, id, len);
	if (kept)
		memcpy(seen->last, bytes + len - kept, kept);
	seen->last[kept] = 0;
	return 0;
}

static int peer_on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
	struct h2_seen *seen = seen_of(user, id);

	seen->closed = true;
	seen->code = code;
	return 0;
}

static ssize_t peer_read(nghttp2_session *session, int32_t id, uint8_t *into, size_t most, uint32_t *flags,
			 nghttp2_data_source *source, void *user)
{
	struct h2_body *body = &seen_of(user, id)->body;
	size_t len = size_min(body->len, most);
	nghttp2_nv field = {(uint8_t *)"x-after", (uint8_t *)"1", 7, 1, 0};

	if (len == 0 && body->open)
		return NGHTTP2_ERR_DEFERRED;
	for (size_t i = 0; i < len; i++)
		into[i] = body->bytes ? (uint8_t)body->bytes[i] : 'x';
	body->bytes = body->bytes ? body->bytes + len : NULL;
	body->len -= len;
	if (body->len || body->open)
		return (ssize_t)len;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (body->trailers) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_submit_trailer(session, id, &field, 1);
	}
	return (ssize_t)len;
}

/* ---- bytes ---- */

static bool peer_pump(struct h2_peer *peer)
{
	const uint8_t *bytes;
	bool moved = false;

	if (!peer->session || peer->broken)
		return false;
	if (peer->at->len > peer->at->seen) {
		ssize_t used = nghttp2_session_mem_recv(peer->session, peer->at->bytes + peer->at->seen,
							peer->at->len - peer->at->seen);
		peer->broken = used < 0;
		peer->at->seen = peer->at->len;
		moved = true;
	}
	while (!peer->silent && peer->unsent < sizeof(peer->out) / 2) {
		ssize_t len = nghttp2_session_mem_send(peer->session, &bytes);
		if (len <= 0)
			break;
		assert_true(peer->unsent + (size_t)len <= sizeof(peer->out));
		memcpy(peer->out + peer->unsent, bytes, (size_t)len);
		peer->unsent += (size_t)len;
	}
	size_t sent = stage_send(peer->at, span_make(peer->out, peer->unsent));
	memmove(peer->out, peer->out + sent, peer->unsent - sent);
	peer->unsent -= sent;
	return moved || sent;
}

/* Until nobody has anything more to say. */
static void go(void)
{
	for (unsigned turn = 0, still = 0; turn < 60 && still < 3; turn++) {
		bool moved = false;
		for (unsigned i = 0; i < STAGE_CLIENTS; i++)
			moved |= peer_pump(&h2_clients[i]);
		for (unsigned i = 0; i < stage.server_count; i++)
			moved |= peer_pump(&h2_servers[i]);
		stage_turn(&stage);
		still = moved ? 0 : still + 1;
	}
}

static void pass(uint64_t ms)
{
	stage_pass(&stage, ms);
	go();
}

/* Time in steps, as timers that start each other need. */
static inline void pass_slowly(uint64_t ms)
{
	for (; ms > 0; ms -= size_min(ms, 250))
		pass(size_min(ms, 250));
}

static void peer_open(struct h2_peer *peer, struct stage_peer *at, bool client)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;

	if (peer->session)
		nghttp2_session_del(peer->session);
	*peer = (struct h2_peer){.at = at};
	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	assert_int_equal(nghttp2_option_new(&option), 0);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, peer_on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, peer_on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, peer_on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, peer_on_close);
	/* What it is told to send it sends; and a peer may wait for 2xx to CONNECT. */
	nghttp2_option_set_no_http_messaging(option, 1);
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_peer_max_concurrent_streams(option, 100);
	if (client)
		nghttp2_session_client_new2(&peer->session, callbacks, peer, option);
	else
		nghttp2_session_server_new2(&peer->session, callbacks, peer, option);
	assert_non_null(peer->session);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
}

/* A client of HTTP/2 whose streams have this window at first. */
static struct h2_peer *h2_client_with(unsigned who, unsigned listener, uint32_t window)
{
	struct h2_peer *peer = &h2_clients[who];
	nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};

	peer_open(peer, client_of(who, listener), true);
	peer->frugal = window == 0;
	assert_int_equal(nghttp2_submit_settings(peer->session, 0, entries, 1), 0);
	go();
	return peer;
}

static struct h2_peer *h2_client(unsigned who, unsigned listener)
{
	return h2_client_with(who, listener, 65535);
}

static struct h2_peer *h2_server_with(unsigned index, uint32_t streams, uint32_t window)
{
	struct h2_peer *peer = &h2_servers[index];
	nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams},
					    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window},
					    {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}};

	peer_open(peer, server_at(index), false);
	peer->frugal = window == 0;
	assert_int_equal(nghttp2_submit_settings(peer->session, 0, entries, 3), 0);
	go();
	return peer;
}

static inline struct h2_peer *h2_server(unsigned index)
{
	return h2_server_with(index, 100, 65535);
}

/* ---- messages ---- */

/* "name value\n"...; how many there are. */
static size_t fields_from(const char *text, nghttp2_nv *fields, size_t most)
{
	struct span rest = span_of(text), line, name, value;
	size_t count = 0;

	while (rest.len && count < most) {
		span_cut(rest, '\n', &line, &rest);
		span_cut(line, ' ', &name, &value);
		fields[count++] = (nghttp2_nv){(uint8_t *)name.at, (uint8_t *)value.at, name.len, value.len, 0};
	}
	return count;
}

#define HEAD_OF(method, path) ":method " method "\n:scheme http\n:authority a.test\n:path " path "\n"

static const struct h2_body no_body = {0}, open_body = {.open = true};

static const nghttp2_data_provider peer_provider = {.read_callback = peer_read};

/* Asks; without a body when that is NULL. The stream's identifier. */
static int32_t ask(struct h2_peer *peer, const char *head, const struct h2_body *body)
{
	nghttp2_nv fields[16];
	size_t count = fields_from(head, fields, ARRAY_LENGTH(fields));
	int32_t id =
		nghttp2_submit_request(peer->session, NULL, fields, count, body ? &peer_provider : NULL, NULL);

	assert_true(id > 0);
	if (body)
		seen_of(peer, id)->body = *body;
	go();
	return id;
}

static inline void answer(struct h2_peer *peer, int32_t id, const char *head, const struct h2_body *body)
{
	nghttp2_nv fields[16];
	size_t count = fields_from(head, fields, ARRAY_LENGTH(fields));

	if (body)
		seen_of(peer, id)->body = *body;
	nghttp2_submit_response(peer->session, id, fields, count, body ? &peer_provider : NULL);
	go();
}

static inline void interim(struct h2_peer *peer, int32_t id, const char *head)
{
	nghttp2_nv fields[16];

	nghttp2_submit_headers(peer->session, 0, id, NULL, fields,
			       fields_from(head, fields, ARRAY_LENGTH(fields)), NULL);
	go();
}

/* More of a body that was left open. */
static inline void more(struct h2_peer *peer, int32_t id, const char *bytes, size_t len, bool open)
{
	struct h2_body *body = &seen_of(peer, id)->body;

	body->bytes = bytes;
	body->len = len;
	body->open = open;
	nghttp2_session_resume_data(peer->session, id);
	go();
}

static inline void reset(struct h2_peer *peer, int32_t id, uint32_t code)
{
	nghttp2_submit_rst_stream(peer->session, 0, id, code);
	go();
}

static inline void goaway(struct h2_peer *peer, int32_t last)
{
	nghttp2_submit_goaway(peer->session, 0, last, NGHTTP2_NO_ERROR, NULL, 0);
	go();
}

/* What an HTTP/1 end says. */
static inline void tell(struct stage_peer *peer, const char *text)
{
	stage_say(peer, text);
	go();
}

#define assert_seen(peer, id, part)                                                                          \
	do {                                                                                                 \
		if (!strstr(seen_of((peer), (id))->head, (part)))                                            \
			fail_msg("no \"%s\" in \"%s\"", (part), seen_of((peer), (id))->head);                \
	} while (0)

static inline void assert_whole(struct h2_peer *peer, int32_t id, const char *status, size_t bytes)
{
	assert_seen(peer, id, status);
	assert_int_equal(seen_of(peer, id)->bytes, bytes);
	assert_true(seen_of(peer, id)->ended);
	assert_true(seen_of(peer, id)->closed);
	assert_int_equal(seen_of(peer, id)->code, NGHTTP2_NO_ERROR);
}

static inline void assert_reset(struct h2_peer *peer, int32_t id, uint32_t code)
{
	assert_true(seen_of(peer, id)->closed);
	assert_int_equal(seen_of(peer, id)->code, code);
}

/* ---- setting up ---- */

static inline int h2_group_set_up(void **state)
{
	stage_configure(&stage, h2_yaml);
	return 0;
}

static int h2_set_up(void **state)
{
	stage.worker.draining = false;
	stage_start(&stage);
	return 0;
}

static void h2_forget_peers(void)
{
	for (unsigned i = 0; i < STAGE_CLIENTS + STAGE_SERVERS; i++) {
		struct h2_peer *peer = i < STAGE_CLIENTS ? &h2_clients[i] : &h2_servers[i - STAGE_CLIENTS];
		if (peer->session)
			nghttp2_session_del(peer->session);
		*peer = (struct h2_peer){0};
	}
}

/* Whatever a test has left: everybody goes, and nothing stays. */
static int h2_tear_down(void **state)
{
	h2_forget_peers();
	everybody_leaves();
	stage_stop(&stage);
	return 0;
}

#endif
