/*
 * Whole exchanges with servers that speak HTTP/2: every step, every way to break off, every end.
 */
#include "h2_fixture.h"

#define GET_TWO HEAD_OF("GET", "/two")
#define POST_TWO HEAD_OF("POST", "/two")
#define WEBSOCKET_TWO HEAD_OF("CONNECT", "/two") ":protocol websocket\nsec-websocket-version 13\n"

static const struct h2_body abc = {.bytes = "abc", .len = 3};

/* The newest connection to a server, which greets. */
static struct h2_peer *newest(void)
{
	assert_true(stage.server_count > 0);
	return h2_server(stage.server_count - 1);
}

/* The server that holds the only request that is not answered or over; its stream in *id. */
static struct h2_peer *asked(int32_t *id)
{
	for (unsigned i = 0; i < stage.server_count; i++)
		if (!h2_servers[i].session)
			(void)h2_server(i);
	for (unsigned i = 0; i < stage.server_count; i++)
		for (*id = 1; *id < 2 * STREAMS_SEEN; *id += 2) {
			const struct h2_seen *seen = seen_of(&h2_servers[i], *id);
			if (seen->heads && !seen->closed)
				return &h2_servers[i];
		}
	fail_msg("no server has a request");
	return NULL;
}

/* ---- messages ---- */

static void test_messages(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR), *server;
	struct h2_body body = abc;
	int32_t id = ask(client, POST_TWO "te trailers\n", &open_body), at;

	server = newest();
	assert_seen(server, 1, ":method: POST\n:scheme: http\n:path: /two\n:authority: a.test\n");
	seen_of(client, id)->body.trailers = true;
	more(client, id, "hello", 5, false);
	assert_int_equal(seen_of(server, 1)->bytes, 5);
	assert_seen(server, 1, "x-after: 1\n");
	assert_true(seen_of(server, 1)->ended);
	interim(server, 1, ":status 103\nlink </a>\n");
	assert_seen(client, id, ":status: 103\n");
	body.trailers = true;
	answer(server, 1, ":status 200\n", &body);
	assert_whole(client, id, "x-after: 1\n", 3);
	/* and trailers alone, as gRPC has them */
	id = ask(client, GET_TWO, NULL);
	server = asked(&at);
	answer(server, at, ":status 200\ngrpc-status 5\n", NULL);
	assert_whole(client, id, "grpc-status: 5\n", 0);
}

static void test_from_http1(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE_CLEAR);
	struct h2_peer *server;

	tell(client, "POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
	server = newest();
	assert_int_equal(seen_of(server, 1)->bytes, 5);
	answer(server, 1, ":status 200\n", &abc);
	assert_has(client, "3\r\nabc\r\n0\r\n\r\n");
}

/* Four at a time on a connection, as the configuration says; the fifth goes elsewhere. */
static void test_many(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t ids[10];

	for (unsigned i = 0; i < 10; i++)
		ids[i] = ask(client, GET_TWO, NULL);
	for (unsigned i = 0; i < stage.server_count; i++)
		(void)h2_server(i);
	for (unsigned round = 0; round < 4; round++)
		for (unsigned i = 0; i < stage.server_count; i++)
			for (int32_t id = 1; id < 8; id += 2)
				if (seen_of(&h2_servers[i], id)->heads && !seen_of(&h2_servers[i], id)->closed)
					answer(&h2_servers[i], id, ":status 200\n", &abc);
	for (unsigned i = 0; i < 10; i++)
		assert_whole(client, ids[i], ":status: 200\n", 3);
	assert_in_range(stage.server_count, 3, 4);
}

static void test_malformed(void **state)
{
	static const char *const heads[] = {":status 200\nconnection close\n", ":status 1000\n", "x 1\n",
					    ":status 200\n:path /\n", ":status 200\ncontent-length 2\n"};
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	const struct h2_body body = {.bytes = "abc", .len = 3, .open = true};

	for (unsigned i = 0; i < ARRAY_LENGTH(heads); i++) {
		int32_t id = ask(client, GET_TWO, NULL), at;
		struct h2_peer *server = asked(&at);
		answer(server, at, heads[i], &body);
		if (i < 4)
			assert_whole(client, id, ":status: 502\n", seen_of(client, id)->bytes);
		else
			assert_reset(client, id, NGHTTP2_INTERNAL_ERROR);
		assert_reset(server, at, NGHTTP2_PROTOCOL_ERROR);
	}
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* ---- windows ---- */

static void test_small_windows(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR), *server;
	struct h2_body body = {.bytes = "abcdefgh", .len = 8};
	int32_t id = ask(client, POST_TWO "content-length 8\n", &body), stalled, at;

	server = h2_server_with(0, 100, 0);
	assert_int_equal(seen_of(server, 1)->bytes, 0);
	for (unsigned i = 1; i <= 8; i++) {
		nghttp2_submit_window_update(server->session, 0, 1, 1);
		pass_slowly(2000);
		assert_int_equal(seen_of(server, 1)->bytes, i);
	}
	answer(server, 1, ":status 200\n", &abc);
	assert_whole(client, id, ":status: 200\n", 3);
	body = (struct h2_body){.bytes = "abcdefgh", .len = 8};
	stalled = ask(client, POST_TWO "content-length 8\n", &body);
	if (stage.server_count > 1)
		(void)h2_server_with(1, 100, 0);
	server = asked(&at);
	pass_slowly(9000);
	assert_whole(client, stalled, ":status: 504\n", seen_of(client, stalled)->bytes);
	assert_reset(server, at, NGHTTP2_CANCEL);
}

/* The response is whole; that the server never read the request is no reason to truncate it. */
static void test_answer_to_unread_request(void **state)
{
	struct h2_peer *client = h2_client_with(1, REVERSE_CLEAR, 0), *server;
	struct h2_body body = {.len = 6000, .open = true};
	int32_t id = ask(client, POST_TWO, &body);

	server = h2_server_with(0, 100, 0);
	body = (struct h2_body){.len = 3000};
	answer(server, 1, ":status 200\n", &body);
	for (unsigned i = 0; i < 3; i++) {
		pass_slowly(4000);
		nghttp2_submit_window_update(client->session, 0, id, 1000);
		go();
	}
	assert_whole(client, id, ":status: 200\n", 3000);
	assert_reset(server, 1, NGHTTP2_CANCEL);
}

/* ---- another try ---- */

static void test_refused(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR), *server;
	int32_t id = ask(client, GET_TWO, NULL), at;

	reset(newest(), 1, NGHTTP2_REFUSED_STREAM);
	assert_int_equal(stage.server_count, 2);
	server = newest();
	answer(server, 1, ":status 200\n", &abc);
	assert_whole(client, id, ":status: 200\n", 3);
	/* refused by both */
	id = ask(client, GET_TWO, NULL);
	for (unsigned i = 0; i < 4 && !seen_of(client, id)->closed; i++) {
		server = asked(&at);
		reset(server, at, NGHTTP2_REFUSED_STREAM);
	}
	assert_whole(client, id, ":status: 50", seen_of(client, id)->bytes);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* What a GOAWAY leaves out goes to another server, what it names ends where it is, and what comes later opens another connection. */
static void test_goaway(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR), *server, *next;
	int32_t one = ask(client, GET_TWO, NULL), two, three;

	server = newest();
	two = ask(client, GET_TWO, NULL);
	if (stage.server_count == 2) { /* the other server's turn */
		next = newest();
		answer(next, 1, ":status 200\n", &abc);
		assert_whole(client, two, ":status: 200\n", 3);
		two = ask(client, GET_TWO, NULL);
	}
	assert_seen(server, 3, ":path: /two\n");
	goaway(server, 1);
	three = ask(client, GET_TWO, NULL);
	for (unsigned i = 1; i < stage.server_count; i++) {
		next = h2_servers[i].session ? &h2_servers[i] : h2_server(i);
		for (int32_t at = 1; at < 12; at += 2)
			if (seen_of(next, at)->heads && !seen_of(next, at)->closed)
				answer(next, at, ":status 200\n", &abc);
	}
	assert_whole(client, two, ":status: 200\n", 3);
	assert_whole(client, three, ":status: 200\n", 3);
	assert_false(seen_of(client, one)->closed);
	answer(server, 1, ":status 200\n", &abc);
	assert_whole(client, one, ":status: 200\n", 3);
	go();
	assert_true(server->at->ended);
}

/* ---- breaking off ---- */

enum { STEPS = 6 };

static struct h2_peer *fresh;

static int32_t play_to(struct h2_peer *client, unsigned step)
{
	int32_t id = ask(client, POST_TWO, &open_body);

	fresh = newest();
	if (step > 0)
		more(client, id, "hello", 5, true);
	if (step > 1)
		interim(fresh, 1, ":status 103\n");
	if (step > 2)
		answer(fresh, 1, ":status 200\n", &open_body);
	if (step > 3)
		more(fresh, 1, "abc", 3, true);
	if (step > 4)
		more(client, id, NULL, 0, false);
	return id;
}

enum way { SERVER_RESETS, SERVER_CLOSES, SERVER_BABBLES, CLIENT_RESETS, CLIENT_CLOSES, WAYS };

static void break_off(enum way way, struct h2_peer *client, int32_t id)
{
	switch (way) {
	case SERVER_RESETS:
		reset(fresh, 1, NGHTTP2_INTERNAL_ERROR);
		break;
	case SERVER_CLOSES:
		stage_peer_close(fresh->at);
		break;
	case SERVER_BABBLES:
		stage_say(fresh->at, "HTTP/1.1 400 Bad Request\r\n\r\n");
		break;
	case CLIENT_RESETS:
		reset(client, id, NGHTTP2_CANCEL);
		break;
	case CLIENT_CLOSES:
	case WAYS:
		stage_peer_close(client->at);
		break;
	}
	go();
}

static void test_breaking_off(void **state)
{
	for (unsigned way = 0; way < WAYS; way++)
		for (unsigned step = 0; step < STEPS; step++) {
			struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
			int32_t id = play_to(client, step);
			assert_int_equal(exchange_count(&stage.worker), 1);
			break_off((enum way)way, client, id);
			/* An untouched request may have been given to the other server. */
			for (unsigned i = 0; i < 2 && exchange_count(&stage.worker); i++) {
				fresh = newest();
				reset(fresh, 1, NGHTTP2_INTERNAL_ERROR);
			}
			assert_int_equal(exchange_count(&stage.worker), 0);
			if (way < CLIENT_RESETS && step > 2)
				assert_reset(client, id, NGHTTP2_INTERNAL_ERROR);
			else if (way < CLIENT_RESETS)
				assert_seen(client, id, ":status: 502\n");
			else
				assert_reset(fresh, 1, NGHTTP2_CANCEL);
			stage_peer_close(client->at);
			stage_peer_close(fresh->at);
			go();
			h2_tear_down(NULL);
			h2_set_up(NULL);
		}
}

/* GOAWAY at every step: the exchange ends well. */
static void test_goaway_at_each_step(void **state)
{
	for (unsigned step = 0; step < STEPS; step++) {
		struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
		int32_t id = play_to(client, step);
		goaway(fresh, 1);
		if (step <= 4)
			more(client, id, NULL, 0, false);
		if (step <= 2)
			answer(fresh, 1, ":status 200\n", &abc);
		else
			more(fresh, 1, "abc", 3, false);
		assert_whole(client, id, ":status: 200\n", seen_of(client, id)->bytes);
		assert_int_equal(exchange_count(&stage.worker), 0);
		go();
		assert_true(fresh->at->ended);
	}
}

/* ---- time ---- */

static void test_times(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR), *server;
	int32_t silent = ask(client, GET_TWO, NULL), stalled;

	server = newest();
	pass_slowly(8500);
	assert_whole(client, silent, ":status: 504\n", seen_of(client, silent)->bytes);
	assert_reset(server, 1, NGHTTP2_CANCEL);
	stalled = ask(client, GET_TWO, NULL);
	if (stage.server_count == 2)
		server = newest();
	int32_t at = stage.server_count == 2 ? 1 : 3;
	answer(server, at, ":status 200\n", &open_body);
	more(server, at, "abc", 3, true);
	pass_slowly(8500);
	assert_reset(client, stalled, NGHTTP2_INTERNAL_ERROR);
	assert_reset(server, at, NGHTTP2_CANCEL);
	pass_slowly(14000);
	assert_true(server->at->ended);
	assert_int_equal(server->goaways, 1);
}

/* A server that never says its settings. */
static void test_mute_server(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t id = ask(client, GET_TWO, NULL);

	for (unsigned i = 0; i < 3; i++)
		pass_slowly(4000);
	assert_seen(client, id, ":status: 50");
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* One that takes nothing any more, not even the GOAWAY at the end of timeouts.pool. */
static void test_deaf_server(void **state)
{
	struct h2_body body = {.len = 60000};

	for (unsigned who = 1; who < 3; who++) {
		struct h2_peer *client = h2_client(who, REVERSE_CLEAR);
		for (unsigned i = 0; i < 11; i++) {
			(void)ask(client, POST_TWO "content-length 60000\n", &body);
			for (unsigned at = 0; at < stage.server_count; at++) {
				if (h2_servers[at].session)
					continue;
				struct h2_peer *server = h2_server_with(at, 100, 1 << 20);
				nghttp2_session_set_local_window_size(server->session, 0, 0, 1 << 24);
				go();
				server->at->paused = true;
			}
		}
		pass_slowly(9000);
		stage_peer_close(client->at);
		go();
	}
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_true(conn_count(&stage.worker) > 0);
	pass_slowly(17000); /* the sessions end, and their connections linger */
	pass_slowly(35000);
	assert_int_equal(conn_count(&stage.worker), 0);
}

static void test_drain(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR), *server;
	int32_t id = ask(client, GET_TWO, NULL);

	server = newest();
	stage.worker.draining = true;
	entrance_drain(&stage.worker);
	upstream_drain(&stage.worker);
	go();
	assert_false(server->at->ended);
	answer(server, 1, ":status 200\n", &abc);
	assert_whole(client, id, ":status: 200\n", 3);
	pass_slowly(2500);
	assert_true(server->at->ended);
	assert_true(client->at->ended);
}

/* ---- settings ---- */

static void test_few_streams(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	nghttp2_settings_entry none[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0}};
	int32_t id = ask(client, GET_TWO, NULL);
	struct h2_peer *server = h2_server_with(0, 1, 65535);

	answer(server, 1, ":status 200\n", &abc);
	assert_whole(client, id, ":status: 200\n", 3);
	nghttp2_submit_settings(server->session, 0, none, 1);
	go();
	for (unsigned i = 0; i < 3; i++)
		(void)ask(client, GET_TWO, NULL);
	for (unsigned i = 0; i < 12; i++) {
		for (unsigned j = 1; j < stage.server_count; j++)
			if (!h2_servers[j].session)
				(void)h2_server_with(j, 0, 65535);
		pass_slowly(1000);
	}
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* ---- tunnels ---- */

static void test_websocket(void **state)
{
	for (unsigned server_first = 0; server_first < 2; server_first++) {
		struct h2_peer *client = h2_client(1, REVERSE_CLEAR), *server;
		int32_t id = ask(client, WEBSOCKET_TWO, &open_body);
		server = newest();
		assert_seen(server, 1, ":method: CONNECT\n");
		assert_seen(server, 1, ":protocol: websocket\n");
		more(client, id, "early", 5, true);
		assert_int_equal(seen_of(server, 1)->bytes, 0);
		answer(server, 1, ":status 200\n", &open_body);
		assert_int_equal(seen_of(server, 1)->bytes, 5);
		more(server, 1, "pong", 4, !server_first);
		assert_int_equal(seen_of(client, id)->bytes, 4);
		more(client, id, "last", 4, false);
		if (!server_first)
			more(server, 1, "bye", 3, false);
		assert_int_equal(seen_of(server, 1)->bytes, 9);
		assert_reset(client, id, NGHTTP2_NO_ERROR);
		assert_reset(server, 1, NGHTTP2_NO_ERROR);
		assert_int_equal(exchange_count(&stage.worker), 0);
		h2_tear_down(NULL);
		h2_set_up(NULL);
	}
}

static void test_websocket_refused(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR), *server;
	int32_t id = ask(client, WEBSOCKET_TWO, &open_body);

	server = newest();
	answer(server, 1, ":status 404\n", &abc);
	assert_whole(client, id, ":status: 404\n", 3);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

enum { EARLY_DATA, EARLY_END, RESET_WELL, RESET_HALF_CLOSED, TUNNEL_WAYS };

static void test_websocket_breaks(void **state)
{
	for (unsigned way = 0; way < TUNNEL_WAYS; way++) {
		struct h2_peer *client = h2_client(1, REVERSE_CLEAR), *server;
		int32_t id = ask(client, WEBSOCKET_TWO, &open_body);
		server = newest();
		if (way <= EARLY_END) {
			static const uint8_t data[] = {0, 0, 1, 0, 0, 0, 0, 0, 1, 'x'};
			static const uint8_t end[] = {0, 0, 0, 0, 1, 0, 0, 0, 1};
			interim(server, 1, ":status 103\n");
			stage_send(server->at, way == EARLY_DATA ? span_make(data, sizeof(data)) :
								   span_make(end, sizeof(end)));
			go();
			assert_seen(client, id, ":status: 502\n");
		} else {
			answer(server, 1, ":status 200\n", &open_body);
			if (way == RESET_HALF_CLOSED)
				more(server, 1, NULL, 0, false);
			reset(server, 1, NGHTTP2_NO_ERROR);
			assert_reset(client, id, NGHTTP2_CONNECT_ERROR);
		}
		assert_int_equal(exchange_count(&stage.worker), 0);
		h2_tear_down(NULL);
		h2_set_up(NULL);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, h2_set_up, h2_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_messages),
		TEST(test_from_http1),
		TEST(test_many),
		TEST(test_malformed),
		TEST(test_small_windows),
		TEST(test_answer_to_unread_request),
		TEST(test_refused),
		TEST(test_goaway),
		TEST(test_breaking_off),
		TEST(test_goaway_at_each_step),
		TEST(test_times),
		TEST(test_mute_server),
		TEST(test_deaf_server),
		TEST(test_drain),
		TEST(test_few_streams),
		TEST(test_websocket),
		TEST(test_websocket_refused),
		TEST(test_websocket_breaks),
	};
	return cmocka_run_group_tests(tests, h2_group_set_up, group_tear_down);
}
