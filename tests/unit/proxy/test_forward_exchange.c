/* Whole exchanges of the forward face, over socket pairs: requests, tunnels, who shares what with whom. */
#include "stage_fixture.h"

#define ASK(host, path) "GET http://" host path " HTTP/1.1\r\nHost: " host "\r\n\r\n"
#define CONNECT(host) "CONNECT " host " HTTP/1.1\r\nHost: " host "\r\n\r\n"

static void test_asks_and_keeps(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	say(client, ASK("10.2.0.1", "/one"));
	assert_has(server_at(0), "GET /one HTTP/1.1\r\nHost: 10.2.0.1\r\n");
	assert_int_equal(server_at(0)->address.port, 80);
	say(server_at(0), OK("one", "3"));
	assert_has(client, "one");
	say(client, ASK("10.2.0.1", "/two"));
	assert_int_equal(stage.server_count, 1);
	say(server_at(0), OK("two", "3"));
	assert_has(client, "two");
	assert_false(client->ended);
	everybody_leaves();
}

static void test_names(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	say(client, ASK("a.test:8080", "/"));
	assert_memory_equal(server_at(0)->address.ip, ((uint8_t[]){10, 2, 0, 3}), 4);
	assert_int_equal(server_at(0)->address.port, 8080);
	/* what it resolves to is judged */
	client = client_of(1, FORWARD);
	say(client, ASK("inside.test", "/"));
	assert_has(client, "HTTP/1.1 403 ");
	assert_int_equal(stage.server_count, 1);
}

static void test_clients_share_no_connection(void **state)
{
	struct stage_peer *one = client_of(1, FORWARD), *two = client_of(2, FORWARD);

	say(one, ASK("10.2.0.1", "/"));
	say(server_at(0), OK("", "0"));
	say(two, ASK("10.2.0.1", "/"));
	assert_int_equal(stage.server_count, 2);
	say(server_at(1), OK("", "0"));
	say(one, ASK("10.2.0.1", "/")); /* each its own */
	say(two, ASK("10.2.0.1", "/"));
	assert_int_equal(stage.server_count, 2);
	assert_int_equal(times(server_at(0), "GET /"), 2);
	assert_int_equal(times(server_at(1), "GET /"), 2);
	/* another port, another name for the same place: another connection */
	say(server_at(0), OK("", "0"));
	say(one, ASK("10.2.0.1:81", "/"));
	assert_int_equal(stage.server_count, 3);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *request, *status;
	} cases[] = {
		{ASK("127.0.0.1", "/"), "HTTP/1.1 403 "},
		{GET("/"), "HTTP/1.1 400 "},
		{CONNECT("127.0.0.1:80"), "HTTP/1.1 403 "},
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct stage_peer *client = client_of(1, FORWARD);
		say(client, cases[i].request);
		assert_has(client, cases[i].status);
		assert_has(client, "Proxy-Status: ");
	}
	assert_int_equal(stage.server_count, 0);
}

/* What came behind a CONNECT that was refused is no request. */
static void test_refused_connect_ends(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	say(client, CONNECT("127.0.0.1:80") ASK("10.2.0.1", "/"));
	assert_has(client, "HTTP/1.1 403 ");
	assert_has(client, "Connection: close");
	assert_int_equal(stage.server_count, 0);
	assert_true(client->ended);
	client = client_of(1, FORWARD);
	stage.refuse_next = ECONNREFUSED;
	say(client, CONNECT("10.2.0.2:443") ASK("10.2.0.1", "/"));
	assert_has(client, "HTTP/1.1 502 ");
	assert_true(client->ended);
	assert_int_equal(stage.server_count, 0);
}

static void test_trace_is_answered_here(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	say(client, "TRACE http://10.2.0.1/x HTTP/1.1\r\nHost: 10.2.0.1\r\nMax-Forwards: 0\r\nCookie: secret\r\n"
		    "X-A: 1\r\n\r\n");
	assert_has(client, "message/http");
	assert_has(client, "X-A: 1");
	assert_false(has(client, "secret"));
	say(client, "TRACE http://10.2.0.1/x HTTP/1.1\r\nHost: 10.2.0.1\r\nMax-Forwards: 2\r\n\r\n");
	assert_has(server_at(0), "Max-Forwards: 1\r\n");
}

/* ---- tunnels ---- */

static void test_tunnel(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	say(client, CONNECT("10.2.0.2:443") "early");
	assert_has(client, "HTTP/1.1 200 ");
	assert_false(has(client, "Content-Length"));
	assert_string_equal((char *)server_at(0)->bytes, "early");
	say(client, "ping");
	assert_string_equal((char *)server_at(0)->bytes, "earlyping");
	say(server_at(0), "pong");
	assert_has(client, "\r\n\r\npong");
	shutdown(server_at(0)->fd, SHUT_WR);
	stage_turns(&stage, 3);
	assert_true(client->ended);
	assert_false(server_at(0)->ended);
	say(client, "last");
	assert_has(server_at(0), "pinglast");
	stage_peer_close(client);
	stage_turns(&stage, 3);
	assert_true(server_at(0)->ended);
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_int_equal(conn_count(&stage.worker), 0);
	assert_int_equal(stage.gone, 1);
}

/* Both say goodbye in the same turn, with bytes before it. */
static void test_tunnel_ends_at_both_sides_at_once(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	say(client, CONNECT("10.2.0.2:443"));
	stage_say(client, "there");
	stage_say(server_at(0), "back");
	shutdown(client->fd, SHUT_WR);
	shutdown(server_at(0)->fd, SHUT_WR);
	stage_turns(&stage, 4);
	assert_has(server_at(0), "there");
	assert_has(client, "\r\n\r\nback");
	assert_true(client->ended && server_at(0)->ended);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* Much in both directions, enough for splice(2) to take over, then half-closes: nothing is lost. */
static void test_tunnel_in_bulk(void **state)
{
	enum { TOTAL = 2 * 1024 * 1024 };
	static uint8_t there[TOTAL], back[TOTAL];
	struct stage_peer *client = client_of(1, FORWARD);
	size_t sent = 0, returned = 0;

	for (size_t i = 0; i < TOTAL; i++) {
		there[i] = (uint8_t)(i * 7 + i / 251);
		back[i] = (uint8_t)(i * 13 + i / 241);
	}
	say(client, CONNECT("10.2.0.2:443"));
	size_t head = client->len;
	for (unsigned i = 0; i < 100000 && (sent < TOTAL || returned < TOTAL); i++) {
		sent += stage_send(client, span_make(there + sent, size_min(30000, TOTAL - sent)));
		returned += stage_send(server_at(0),
				       span_make(back + returned, size_min(20000, TOTAL - returned)));
		stage_turn(&stage);
		if (sent == TOTAL && i % 2)
			shutdown(client->fd, SHUT_WR);
	}
	shutdown(client->fd, SHUT_WR);
	shutdown(server_at(0)->fd, SHUT_WR);
	stage_turns(&stage, 200);
	assert_int_equal(server_at(0)->len, TOTAL);
	assert_int_equal(client->len - head, TOTAL);
	assert_memory_equal(server_at(0)->bytes, there, TOTAL);
	assert_memory_equal(client->bytes + head, back, TOTAL);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

static void test_tunnel_with_one_side_stalled(void **state)
{
	static uint8_t piece[16 * 1024];
	struct stage_peer *client = client_of(1, FORWARD);
	size_t sent = 0;

	say(client, CONNECT("10.2.0.2:443"));
	server_at(0)->paused = true;
	for (unsigned i = 0; i < 300; i++) {
		sent += stage_send(client, span_make(piece, sizeof(piece)));
		stage_turn(&stage);
	}
	assert_true(sent < 2 * 1024 * 1024);
	say(server_at(0), "still"); /* the other direction is alive */
	assert_has(client, "still");
	server_at(0)->paused = false;
	stage_turns(&stage, 50);
	assert_int_equal(server_at(0)->len, sent);
}

static void test_idle_tunnel_ends(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	say(client, CONNECT("10.2.0.2:443"));
	for (unsigned i = 0; i < 10; i++) {
		stage_pass(&stage, 15000);
		say(client, "x"); /* not idle */
	}
	assert_false(client->ended);
	for (unsigned i = 0; i < 6; i++)
		stage_pass(&stage, 5001);
	assert_true(client->ended);
	assert_true(server_at(0)->ended);
}

static void test_tunnel_whose_client_goes(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	say(client, CONNECT("10.2.0.2:443"));
	stage_say(server_at(0), "unread");
	stage_turns(&stage, 1);
	client->paused = true;
	stage_say(server_at(0), "more");
	stage_peer_close(client);
	stage_turns(&stage, 2);
	stage_say(server_at(0), "and more");
	stage_turns(&stage, 3);
	stage_peer_close(server_at(0));
	stage_turns(&stage, 3);
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_int_equal(conn_count(&stage.worker), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_asks_and_keeps),
		TEST(test_names),
		TEST(test_clients_share_no_connection),
		TEST(test_refusals),
		TEST(test_refused_connect_ends),
		TEST(test_trace_is_answered_here),
		TEST(test_tunnel),
		TEST(test_tunnel_ends_at_both_sides_at_once),
		TEST(test_tunnel_in_bulk),
		TEST(test_tunnel_with_one_side_stalled),
		TEST(test_idle_tunnel_ends),
		TEST(test_tunnel_whose_client_goes),
	};
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
