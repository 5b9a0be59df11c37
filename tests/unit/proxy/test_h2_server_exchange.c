/*
 * Whole exchanges of clients that speak HTTP/2, with servers of HTTP/1: every step, every way to break off, every end.
 */
#include "h2_fixture.h"

#define GET_ONE HEAD_OF("GET", "/")
#define POST_ONE HEAD_OF("POST", "/")
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

/* ---- messages ---- */

static void test_get(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t hello = ask(client, HEAD_OF("GET", "/hello"), NULL), one = ask(client, GET_ONE, NULL);

	assert_whole(client, hello, ":status: 200\n", 6);
	assert_has(server_at(0), "GET / HTTP/1.1\r\n");
	tell(server_at(0), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
	assert_seen(client, one, ":status: 103\nlink: </a>\n");
	tell(server_at(0), OK("abc", "3"));
	assert_whole(client, one, ":status: 200\n", 3);
	int32_t head = ask(client, HEAD_OF("HEAD", "/"), NULL);
	tell(server_at(0), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
	assert_whole(client, head, "content-length: 3\n", 0);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

static void test_trailers(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t id = ask(client, POST_ONE "te trailers\n", &open_body);

	seen_of(client, id)->body.trailers = true;
	more(client, id, "hello", 5, false);
	assert_has(server_at(0), "5\r\nhello\r\n0\r\nx-after: 1\r\n\r\n");
	tell(server_at(0), CHUNKED "3\r\nabc\r\n");
	tell(server_at(0), "0\r\nX-T: 2\r\n\r\n");
	assert_whole(client, id, "x-t: 2\n", 3);
}

/* The answer is there before the request: the client hears all of it, and is told that nobody wants the rest (RFC 9113 8.1). */
static void test_early_answer(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t id = ask(client, POST_ONE, &open_body), other;

	more(client, id, NULL, 100, true);
	tell(server_at(0), "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
	assert_whole(client, id, ":status: 403\n", 2);
	other = ask(client, HEAD_OF("GET", "/hello"), NULL);
	assert_whole(client, other, ":status: 200\n", 6);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

static void test_body_limit(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t id = ask(client, POST_ONE, &open_body), stated;

	/* Nobody takes them: the window holds the client back. */
	server_at(0)->paused = false;
	for (unsigned i = 0; i < 70 && !seen_of(client, id)->closed; i++)
		more(client, id, NULL, 1024, true);
	assert_whole(client, id, ":status: 413\n", seen_of(client, id)->bytes);
	stated = ask(client, POST_ONE "content-length 70000\n", &open_body);
	assert_whole(client, stated, ":status: 413\n", seen_of(client, stated)->bytes);
}

/* ---- windows ---- */

/* A response that needs many windows arrives whole, a byte at a time if need be, and beside another. */
static void test_small_windows(void **state)
{
	struct h2_peer *client = h2_client_with(1, REVERSE_CLEAR, 0);
	int32_t id = ask(client, GET_ONE, NULL), other = ask(client, HEAD_OF("GET", "/hello"), NULL);

	tell(server_at(0), OK("abcdefgh", "8"));
	assert_seen(client, id, ":status: 200\n");
	assert_int_equal(seen_of(client, id)->bytes, 0);
	for (unsigned i = 1; i <= 8; i++) {
		nghttp2_submit_window_update(client->session, 0, id, 1);
		go();
		assert_int_equal(seen_of(client, id)->bytes, i);
	}
	assert_whole(client, id, ":status: 200\n", 8);
	assert_false(seen_of(client, other)->ended);
	nghttp2_submit_window_update(client->session, 0, other, 100);
	go();
	assert_whole(client, other, ":status: 200\n", 6);
}

/* A window that never opens is waited for as long as timeouts.body says; others on the connection do not feel it. */
static void test_closed_window(void **state)
{
	struct h2_peer *client = h2_client_with(1, REVERSE_CLEAR, 0);
	int32_t id = ask(client, GET_ONE, NULL), other;

	tell(server_at(0), OK("abc", "3"));
	pass_slowly(3000);
	other = ask(client, HEAD_OF("GET", "/hello"), NULL);
	nghttp2_submit_window_update(client->session, 0, other, 100);
	go();
	assert_whole(client, other, ":status: 200\n", 6);
	assert_false(seen_of(client, id)->closed);
	pass_slowly(5000);
	assert_reset(client, id, NGHTTP2_CANCEL);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* What a client sends is bounded by the flow, however much it has. */
static void test_upload_is_bounded(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	struct h2_body body = {.len = 60000};
	int32_t id = ask(client, POST_ONE "content-length 60000\n", &body);

	assert_int_equal(stage.server_count, 1);
	go();
	size_t taken = server_at(0)->len;
	assert_true(taken > 60000);
	tell(server_at(0), OK("abc", "3"));
	assert_whole(client, id, ":status: 200\n", 3);
	/* and again with a server that takes nothing */
	id = ask(client, POST_ONE "content-length 60000\n", &open_body);
	server_at(0)->paused = true;
	more(client, id, NULL, 60000, false);
	assert_true(nghttp2_session_get_stream_remote_window_size(client->session, id) >= 0);
	server_at(0)->paused = false;
	go();
	tell(server_at(0), OK("abc", "3"));
	assert_whole(client, id, ":status: 200\n", 3);
}

/* ---- breaking off ---- */

enum { STEPS = 6 };

/* A whole exchange up to a step; the stream. */
static int32_t play_to(struct h2_peer *client, unsigned step)
{
	int32_t id = ask(client, POST_ONE, &open_body);

	if (step > 0)
		more(client, id, "hello", 5, true);
	if (step > 1)
		tell(&stage.servers[stage.server_count - 1], "HTTP/1.1 100 Continue\r\n\r\n");
	if (step > 2)
		tell(&stage.servers[stage.server_count - 1], CHUNKED);
	if (step > 3)
		tell(&stage.servers[stage.server_count - 1], "3\r\nabc\r\n");
	if (step > 4)
		more(client, id, NULL, 0, false);
	return id;
}

static void test_client_resets(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);

	for (unsigned step = 0; step < STEPS; step++) {
		int32_t id = play_to(client, step);
		assert_int_equal(exchange_count(&stage.worker), 1);
		reset(client, id, step % 2 ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
		assert_int_equal(exchange_count(&stage.worker), 0);
		go();
		assert_true(stage.servers[stage.server_count - 1].ended);
	}
	assert_whole(client, ask(client, HEAD_OF("GET", "/hello"), NULL), ":status: 200\n", 6);
}

static void test_client_leaves(void **state)
{
	for (unsigned step = 0; step < STEPS; step++) {
		struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
		(void)play_to(client, step);
		if (step % 2)
			goaway(client, 0);
		assert_int_equal(exchange_count(&stage.worker), 1);
		stage_peer_close(client->at);
		go();
		assert_int_equal(exchange_count(&stage.worker), 0);
		assert_int_equal(stage.gone, step + 1);
	}
}

static void test_server_leaves(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);

	for (unsigned step = 0; step < STEPS; step++) {
		int32_t id = play_to(client, step);
		stage_peer_close(&stage.servers[stage.server_count - 1]);
		go();
		if (step > 2)
			assert_reset(client, id, NGHTTP2_INTERNAL_ERROR);
		else
			assert_seen(client, id, ":status: 502\n");
		assert_true(seen_of(client, id)->closed);
		assert_int_equal(exchange_count(&stage.worker), 0);
	}
}

/* ---- time ---- */

static void test_times(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t silent = ask(client, GET_ONE, NULL), stalled = ask(client, POST_ONE, &open_body);

	pass_slowly(6500);
	assert_whole(client, stalled, ":status: 408\n", seen_of(client, stalled)->bytes);
	pass_slowly(2500);
	assert_whole(client, silent, ":status: 504\n", seen_of(client, silent)->bytes);
	pass_slowly(7000);
	assert_false(client->at->ended);
	pass_slowly(5000);
	assert_int_equal(client->goaways, 1);
	assert_int_equal(client->goaway_last, stalled);
	assert_true(client->at->ended);
}

/* A head that is never complete holds up the whole connection, which ends. */
static void test_slow_head(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t id = ask(client, GET_ONE, NULL);

	stage_send(client->at, span_make((const uint8_t *)"\0\0\0\1\1\0\0\0\3", 9));
	pass_slowly(4500);
	assert_false(client->at->ended);
	pass_slowly(1500);
	assert_true(client->at->ended);
	assert_false(seen_of(client, id)->closed);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* ---- leaving in good order ---- */

static void test_drain(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR), *idle = h2_client(2, REVERSE_CLEAR);
	int32_t one = ask(client, GET_ONE, NULL);

	client->silent = true; /* its answer to PING does not come */
	stage.worker.draining = true;
	entrance_drain(&stage.worker);
	go();
	assert_int_equal(client->goaways, 1);
	assert_int_equal(client->goaway_last, INT32_MAX);
	assert_int_equal(client->pings, 1);
	pass_slowly(2500); /* what has no streams may not care to answer */
	assert_true(idle->at->ended);
	/* What was under way is served. */
	client->silent = false;
	assert_false(nghttp2_session_check_request_allowed(client->session));
	go();
	assert_int_equal(client->goaways, 2);
	assert_int_equal(client->goaway_last, one);
	tell(server_at(0), OK("abc", "3"));
	assert_whole(client, one, ":status: 200\n", 3);
	assert_true(client->at->ended);
}

/* A request that comes with the answer to PING, before the last GOAWAY can have left, is not begun: that says so (RFC 9113 6.8). */
static void test_drain_races(void **state)
{
	uint8_t late[400] = {0, 0, 8, NGHTTP2_PING, NGHTTP2_FLAG_ACK};
	size_t len = 17;
	const uint8_t *bytes;
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t one = ask(client, GET_ONE, NULL);
	nghttp2_nv fields[4];

	assert_int_equal(fields_from(GET_ONE, fields, 4), 4);
	stage.worker.draining = true;
	entrance_drain(&stage.worker);
	stage_turns(&stage, 3);
	/* It has seen no GOAWAY yet. */
	assert_true(nghttp2_submit_request(client->session, NULL, fields, 4, NULL, NULL) > 0);
	ssize_t more_len = nghttp2_session_mem_send(client->session, &bytes);
	assert_true(more_len > 0 && len + (size_t)more_len <= sizeof(late));
	memcpy(late + len, bytes, (size_t)more_len);
	stage_send(client->at, span_make(late, len + (size_t)more_len));
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(exchange_count(&stage.worker), 1);
	tell(server_at(0), OK("abc", "3"));
	assert_whole(client, one, ":status: 200\n", 3);
	assert_int_equal(client->goaway_last, one);
	assert_reset(client, one + 2, NGHTTP2_REFUSED_STREAM);
	assert_true(client->at->ended);
}

/* As many requests as a connection may have; nothing that was sent is lost. */
static void test_many_requests(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	unsigned served = 0;

	while (served < 20 && nghttp2_session_check_request_allowed(client->session)) {
		int32_t id = ask(client, HEAD_OF("GET", "/hello"), NULL);
		assert_whole(client, id, ":status: 200\n", 6);
		served++;
	}
	assert_int_equal(served, 12);
	assert_true(client->goaways > 0);
	assert_true(client->at->ended);
}

static void test_cut(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);

	(void)play_to(client, 3);
	entrance_cut(&stage.worker);
	go();
	assert_true(client->at->ended);
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_int_equal(stage.gone, 1);
}

/* ---- tunnels ---- */

#define CONNECT_TO ":method CONNECT\n:authority 10.2.0.2:443\n"

static void test_tunnel(void **state)
{
	for (unsigned server_first = 0; server_first < 2; server_first++) {
		struct h2_peer *client = h2_client(1, FORWARD_CLEAR);
		int32_t id = ask(client, CONNECT_TO, &open_body);
		struct stage_peer *server = server_at(server_first);
		more(client, id, "ping", 4, true);
		assert_seen(client, id, ":status: 200\n");
		assert_has(server, "ping");
		tell(server, "pong");
		assert_int_equal(seen_of(client, id)->bytes, 4);
		if (server_first) {
			shutdown(server->fd, SHUT_WR);
			go();
			assert_true(seen_of(client, id)->ended);
			assert_int_equal(exchange_count(&stage.worker), 1);
			more(client, id, "last", 4, false);
			assert_has(server, "pinglast");
		} else {
			more(client, id, "last", 4, false);
			assert_has(server, "pinglast");
			assert_true(server->ended);
			assert_int_equal(exchange_count(&stage.worker), 1);
			tell(server, "after");
			shutdown(server->fd, SHUT_WR);
			go();
			assert_int_equal(seen_of(client, id)->bytes, 9);
		}
		assert_true(server->ended);
		assert_reset(client, id, NGHTTP2_NO_ERROR);
		assert_int_equal(exchange_count(&stage.worker), 0);
	}
}

/* Both ends are closed, and what came last is still on its way to the server when the client's connection ends: it gets there. */
static void test_tunnel_outlives_connection(void **state)
{
	FILE *file = tmpfile();
	assert_non_null(file);
	struct log *writer = log_start(fileno(file), -1, LOG_INFO);
	assert_non_null(writer);
	stage.log = log_ring_new(writer, 1024 * 1024); /* its line names the client, to the end */
	h2_set_up(NULL);
	struct h2_peer *client = h2_client(1, FORWARD_CLEAR);
	int32_t id = ask(client, CONNECT_TO, &open_body);
	struct stage_peer *server = server_at(0);
	size_t sent = 0;

	assert_seen(client, id, ":status: 200\n");
	server->paused = true;
	/* Until neither the socket nor the flow takes more. */
	while (nghttp2_session_get_stream_remote_window_size(client->session, id) >= 1000) {
		more(client, id, NULL, 1000, true);
		sent += 1000;
		assert_true(sent < 2000000);
	}
	shutdown(server->fd, SHUT_WR);
	go();
	assert_true(seen_of(client, id)->ended);
	more(client, id, NULL, 50, false);
	assert_reset(client, id, NGHTTP2_NO_ERROR);
	assert_int_equal(exchange_count(&stage.worker), 1);
	stage_peer_close(client->at);
	go();
	assert_int_equal(stage.gone, 1);
	assert_int_equal(exchange_count(&stage.worker), 1);
	server->paused = false;
	for (unsigned i = 0; i < 50 && !server->ended; i++)
		stage_turn(&stage);
	assert_true(server->ended);
	assert_int_equal(server->len, sent + 50);
	assert_int_equal(exchange_count(&stage.worker), 0);
	h2_tear_down(NULL);
	log_stop(writer);
	stage.log = NULL;
	char line[1000] = "";
	rewind(file);
	assert_non_null(fgets(line, sizeof(line), file));
	assert_non_null(strstr(line, "\"client\":\"10.1.0.1\""));
	fclose(file);
}

static void test_tunnel_breaks(void **state)
{
	struct h2_peer *client = h2_client(1, FORWARD_CLEAR);

	for (unsigned i = 0; i < 4; i++) {
		int32_t id = ask(client, CONNECT_TO, &open_body);
		struct stage_peer *server = server_at(i);
		more(client, id, "ping", 4, true);
		switch (i) {
		case 0:
			reset(client, id, NGHTTP2_CANCEL);
			break;
		case 1:
			server->paused = true; /* or there were nothing unread, and it were a good end */
			more(client, id, "more", 4, true);
			stage_peer_close(server);
			go();
			more(client, id, "more", 4, true);
			break;
		case 2: /* RFC 9113 8.5: half closed, and then reset */
			more(client, id, NULL, 0, false);
			reset(client, id, NGHTTP2_NO_ERROR);
			break;
		case 3:
			pass_slowly(27000);
			break;
		}
		assert_true(seen_of(client, id)->closed);
		assert_true(seen_of(client, id)->code != NGHTTP2_NO_ERROR || i == 2);
		assert_int_equal(exchange_count(&stage.worker), 0);
	}
}

/* What a hopeful client sends ahead is no reason to keep the refusal from it. */
static void test_tunnel_refused(void **state)
{
	struct h2_peer *client = h2_client_with(1, FORWARD_CLEAR, 0);
	int32_t id = ask(client, ":method CONNECT\n:authority 127.0.0.1:443\n", &open_body);

	more(client, id, "too early", 9, true);
	more(client, id, "still", 5, true);
	assert_seen(client, id, ":status: 403\n");
	nghttp2_submit_window_update(client->session, 0, id, 10000);
	go();
	assert_true(seen_of(client, id)->bytes > 0);
	assert_whole(client, id, ":status: 403\n", seen_of(client, id)->bytes);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* A server of HTTP/1 that answers as if there were no Upgrade: for the client that is no WebSocket, and it must not believe so. */
static void test_websocket_ignored(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t id = ask(client, HEAD_OF("CONNECT", "/") ":protocol websocket\nsec-websocket-version 13\n",
			 &open_body);

	tell(server_at(0), OK("abc", "3"));
	assert_null(strstr(seen_of(client, id)->head, ":status: 200\n"));
	assert_true(seen_of(client, id)->closed);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* ---- limits ---- */

static void test_too_many_streams(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t ids[11];

	for (unsigned i = 0; i < 11; i++)
		ids[i] = ask(client, GET_ONE, NULL);
	assert_false(seen_of(client, ids[0])->closed);
	assert_int_equal(exchange_count(&stage.worker), 10);
}

/* Under pressure new requests are refused, and the connection stays. */
static void test_pressure(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t old = ask(client, GET_ONE, NULL), new;
	size_t most = stage.memory.limit - stage.memory.limit / 50 - atomic_load(&stage.memory.used);

	assert_true(memory_take(&stage.memory, most));
	new = ask(client, GET_ONE, NULL);
	assert_whole(client, new, ":status: 503\n", seen_of(client, new)->bytes);
	tell(server_at(0), OK("abc", "3"));
	assert_whole(client, old, ":status: 200\n", 3);
	memory_give(&stage.memory, most);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, h2_set_up, h2_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_get),
		TEST(test_trailers),
		TEST(test_early_answer),
		TEST(test_body_limit),
		TEST(test_small_windows),
		TEST(test_closed_window),
		TEST(test_upload_is_bounded),
		TEST(test_client_resets),
		TEST(test_client_leaves),
		TEST(test_server_leaves),
		TEST(test_times),
		TEST(test_slow_head),
		TEST(test_drain),
		TEST(test_drain_races),
		TEST(test_many_requests),
		TEST(test_cut),
		TEST(test_tunnel),
		cmocka_unit_test(test_tunnel_outlives_connection),
		TEST(test_tunnel_breaks),
		TEST(test_tunnel_refused),
		TEST(test_websocket_ignored),
		TEST(test_too_many_streams),
		TEST(test_pressure),
	};
	return cmocka_run_group_tests(tests, h2_group_set_up, group_tear_down);
}
