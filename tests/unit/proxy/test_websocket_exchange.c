/*
 * WebSocket between HTTP/2 and HTTP/1 (RFC 8441, RFC 6455): a server of HTTP/1 is given a key, and its answer is held against it; a client of
 * HTTP/1 is given the answer that a server of HTTP/2 does not make.
 */
#include "stage_fixture.h"

#include "http/websocket.h"

#include <nghttp2/nghttp2.h>

enum { CLEAR, PLAIN }; /* listeners */
enum { FRAME_HEAD = 9 };

static const char websocket_yaml[] = "reverse:\n"
				     "  - {listen: \"127.0.0.1:8080\", http2: clear, routes: [{to: one}]}\n"
				     "  - {listen: \"127.0.0.1:8081\", routes: [{to: two}]}\n"
				     "upstreams:\n"
				     "  one: {servers: [\"10.9.0.1:80\"]}\n"
				     "  two: {servers: [\"10.9.0.2:80\"], http: \"2\"}\n";

static int websocket_set_up(void **state)
{
	stage_configure(&stage, websocket_yaml);
	return 0;
}

/* ---- HTTP/2 by hand ---- */

struct frames {
	uint8_t bytes[1024];
	size_t len;
};

static void put(struct frames *frames, const void *bytes, size_t len)
{
	assert_true(frames->len + len <= sizeof(frames->bytes));
	memcpy(frames->bytes + frames->len, bytes, len);
	frames->len += len;
}

static void put_frame(struct frames *frames, uint8_t kind, uint8_t flags, uint8_t stream, struct span payload)
{
	const uint8_t head[FRAME_HEAD] = {
		0, (uint8_t)(payload.len >> 8), (uint8_t)payload.len, kind, flags, 0, 0, 0, stream};
	put(frames, head, sizeof(head));
	if (payload.len)
		put(frames, payload.at, payload.len);
}

/* RFC 7541 6.2.2: literals, never indexed; "name", "value" ..., NULL. */
static void put_head(struct frames *frames, const char *const *words)
{
	struct frames block = {.len = 0};
	for (; words[0]; words += 2) {
		for (unsigned i = 0; i < 2; i++) {
			uint8_t len = (uint8_t)strlen(words[i]);
			if (i == 0)
				put(&block, "", 1);
			put(&block, &len, 1);
			put(&block, words[i], len);
		}
	}
	put_frame(frames, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, span_make(block.bytes, block.len));
}

static void say_frames(struct stage_peer *peer, const struct frames *frames)
{
	assert_int_equal(stage_send(peer, span_make(frames->bytes, frames->len)), frames->len);
	stage_turns(&stage, 3);
}

/* The payload of the first frame of this kind that has come on stream 1, after `skip` bytes; at is NULL: none. */
static struct span frame_of(const struct stage_peer *peer, uint8_t kind, size_t skip)
{
	struct span rest = span_from(stage_got(peer), skip);
	while (rest.len >= FRAME_HEAD) {
		size_t len = (size_t)rest.at[0] << 16 | (size_t)rest.at[1] << 8 | rest.at[2];
		assert_true(rest.len >= FRAME_HEAD + len);
		if (rest.at[3] == kind && rest.at[8] == 1)
			return span_make(rest.at + FRAME_HEAD, len);
		rest = span_from(rest, FRAME_HEAD + len);
	}
	return (struct span){0};
}

/* The head on stream 1, as "name: value\n". */
static void read_head(const struct stage_peer *peer, size_t skip, char *text, size_t size)
{
	struct span block = frame_of(peer, NGHTTP2_HEADERS, skip);
	nghttp2_hd_inflater *inflater;
	size_t len = 0;
	int flags = 0;

	assert_non_null(block.at);
	assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
	for (;;) {
		nghttp2_nv field;
		ssize_t used = nghttp2_hd_inflate_hd2(inflater, &field, &flags, block.at, block.len, 1);
		assert_true(used >= 0);
		block = span_from(block, (size_t)used);
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT))
			break;
		len += (size_t)snprintf(text + len, size - len, "%.*s: %.*s\n", (int)field.namelen,
					field.name, (int)field.valuelen, field.value);
		assert_true(len < size);
	}
	nghttp2_hd_inflate_del(inflater);
}

#define assert_text(text, part)                                                                              \
	do {                                                                                                 \
		if (!strstr((text), (part)))                                                                 \
			fail_msg("no \"%s\" in \"%s\"", (part), (text));                                     \
	} while (0)

/* ---- a client of HTTP/2, a server of HTTP/1 ---- */

/* Asks, and finds the key that the server is given. */
static struct stage_peer *ask_by_h2(char key[WEBSOCKET_KEY_LENGTH])
{
	static const char *const head[] = {":method",
					   "CONNECT",
					   ":protocol",
					   "websocket",
					   ":scheme",
					   "http",
					   ":path",
					   "/chat",
					   ":authority",
					   "a.test",
					   "sec-websocket-version",
					   "13",
					   NULL};
	static const char name[] = "\r\nSec-WebSocket-Key: ";
	struct stage_peer *client = client_of(1, CLEAR);
	struct frames frames = {.len = 0};

	put(&frames, h2_preface, H2_PREFACE_LENGTH);
	put_frame(&frames, NGHTTP2_SETTINGS, 0, 0, (struct span){0});
	put_head(&frames, head);
	say_frames(client, &frames);
	assert_has(server_at(0), "GET /chat HTTP/1.1\r\n");
	assert_has(server_at(0), "\r\nUpgrade: websocket\r\n");
	assert_has(server_at(0), "\r\nsec-websocket-version: 13\r\n");
	assert_int_equal(times(server_at(0), name), 1);
	const char *at = strstr((char *)server_at(0)->bytes, name) + sizeof(name) - 1;
	memcpy(key, at, WEBSOCKET_KEY_LENGTH);
	assert_memory_equal(at + WEBSOCKET_KEY_LENGTH, "\r\n", 2);
	return client;
}

static void answer_by_h1(const char *accept, const char *more)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n%s%s\r\n\r\n%s",
		 accept ? "Sec-WebSocket-Accept: " : "X: y", accept ? accept : "", more);
	say(server_at(0), text);
}

static void test_a_server_of_http1_is_given_a_key(void **state)
{
	char key[WEBSOCKET_KEY_LENGTH], accept[WEBSOCKET_ACCEPT_LENGTH + 1] = {0}, head[1024];
	struct stage_peer *client = ask_by_h2(key);
	struct frames frames = {.len = 0};

	assert_true(websocket_accept_make(span_make(key, sizeof(key)), accept));
	answer_by_h1(accept, "welcome");
	read_head(client, 0, head, sizeof(head));
	assert_text(head, ":status: 200\n");
	assert_null(strstr(head, "sec-websocket-accept"));
	struct span data = frame_of(client, NGHTTP2_DATA, 0);
	assert_true(span_equal(data, SPAN("welcome")));
	put_frame(&frames, NGHTTP2_DATA, 0, 1, SPAN("ping"));
	say_frames(client, &frames);
	assert_has(server_at(0), "\r\n\r\nping");
	everybody_leaves();
}

static void test_a_wrong_answer_to_the_key(void **state)
{
	static const char *const accepts[] = {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "", NULL};

	for (unsigned i = 0; i < ARRAY_LENGTH(accepts); i++) {
		char key[WEBSOCKET_KEY_LENGTH], head[1024];
		struct stage_peer *client = ask_by_h2(key);
		answer_by_h1(accepts[i], "never seen");
		read_head(client, 0, head, sizeof(head));
		assert_text(head, ":status: 502\n");
		assert_text(head, "http_upgrade_failed");
		assert_false(has(client, "never seen"));
		assert_true(server_at(0)->ended);
		stage_stop(&stage);
		stage_start(&stage);
	}
}

/* What HTTP/1 brings is between its ends: no key is added, no answer is judged. */
static void test_keys_of_http1_are_left_alone(void **state)
{
	struct stage_peer *client = client_of(1, CLEAR);

	say(client, "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
	assert_false(has(server_at(0), "ec-WebSocket-Key"));
	answer_by_h1("nonsense", "welcome");
	assert_has(client, "HTTP/1.1 101 ");
	assert_has(client, "Sec-WebSocket-Accept: nonsense\r\n");
	assert_has(client, "\r\n\r\nwelcome");
	everybody_leaves();
}

/* ---- a client of HTTP/1, a server of HTTP/2 ---- */

static struct stage_peer *ask_by_h1(void)
{
	static const uint8_t extended_connect[] = {0, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 0, 0, 0, 1};
	struct stage_peer *client = client_of(1, PLAIN);
	struct frames frames = {.len = 0};

	say(client, "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
	put_frame(&frames, NGHTTP2_SETTINGS, 0, 0, span_make(extended_connect, sizeof(extended_connect)));
	say_frames(server_at(0), &frames);
	return client;
}

static void test_a_client_of_http1_is_given_an_answer(void **state)
{
	static const char *const answer[] = {":status", "200", "sec-websocket-protocol", "chat", NULL};
	struct stage_peer *client = ask_by_h1();
	struct frames frames = {.len = 0};
	char head[1024];

	read_head(server_at(0), H2_PREFACE_LENGTH, head, sizeof(head));
	assert_text(head, ":method: CONNECT\n");
	assert_text(head, ":protocol: websocket\n");
	assert_text(head, ":path: /chat\n");
	assert_text(head, "sec-websocket-version: 13\n");
	assert_null(strstr(head, "sec-websocket-key"));
	put_head(&frames, answer);
	put_frame(&frames, NGHTTP2_DATA, 0, 1, SPAN("welcome"));
	say_frames(server_at(0), &frames);
	assert_has(client, "HTTP/1.1 101 Switching Protocols\r\n");
	assert_has(client, "Upgrade: websocket\r\n");
	assert_has(client, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"); /* RFC 6455 1.3 */
	assert_has(client, "sec-websocket-protocol: chat\r\n");
	assert_has(client, "\r\n\r\nwelcome");
	say(client, "ping");
	assert_true(span_equal(frame_of(server_at(0), NGHTTP2_DATA, H2_PREFACE_LENGTH), SPAN("ping")));
	everybody_leaves();
}

static void test_a_server_of_http2_that_refuses(void **state)
{
	static const char *const answer[] = {":status", "403", "content-length", "2", NULL};
	struct stage_peer *client = ask_by_h1();
	struct frames frames = {.len = 0};

	put_head(&frames, answer);
	put_frame(&frames, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, SPAN("no"));
	say_frames(server_at(0), &frames);
	assert_has(client, "HTTP/1.1 403 Forbidden\r\n");
	assert_has(client, "\r\n\r\nno");
	assert_false(has(client, "Sec-WebSocket-Accept"));
	everybody_leaves();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_server_of_http1_is_given_a_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_wrong_answer_to_the_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keys_of_http1_are_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_client_of_http1_is_given_an_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_server_of_http2_that_refuses, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, websocket_set_up, group_tear_down);
}
