/* Hedges and mirrors where servers, or clients, speak HTTP/2: streams in place of connections. */
#include "h2_fixture.h"

enum { MIRRORED_H2 = REVERSE_CLEAR + 1 };

static const char beside_yaml[] =
	"limits: {memory: 64 MiB, flow: 4 KiB}\n"
	"timeouts: {header: 5s, idle: 100s, body: 60s, connect: 2s, response: 70s, pool: 120s}\n"
	"forward:\n"
	"  - {listen: 127.0.0.1:3128, rules: [{allow: {addresses: [10.0.0.0/8]}}]}\n"
	"reverse:\n"
	"  - {listen: 127.0.0.1:8080, http2: clear, routes: [{to: hedged}]}\n"
	"  - {listen: 127.0.0.1:8081, http2: clear, routes: [{to: one, mirror: {to: shadow}}]}\n"
	"upstreams:\n"
	"  hedged: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], http: \"2\", hedge: {percentile: 90, minimum: 20ms}}\n"
	"  one: {servers: [\"10.9.0.3:80\"], http: \"2\"}\n"
	"  shadow: {servers: [\"10.9.0.4:80\"], http: \"2\"}\n";

static int beside_group_set_up(void **state)
{
	stage_configure(&stage, beside_yaml);
	return 0;
}

static int beside_set_up(void **state)
{
	h2_set_up(state);
	for (unsigned i = 0; i < 100; i++)
		latency_digest_add(&upstream_group(&stage.worker, 0)->latencies, 9000);
	return 0;
}

/* The request is at both servers, on stream 1 of each; server 1 has the hedge. */
static int32_t ask_both(struct h2_peer *client)
{
	int32_t id = ask(client, HEAD_OF("GET", "/a"), NULL);

	assert_int_equal(stage.server_count, 1);
	h2_server(0);
	assert_seen(&h2_servers[0], 1, ":path: /a\n");
	pass(21);
	assert_int_equal(stage.server_count, 2);
	h2_server(1);
	assert_seen(&h2_servers[1], 1, ":path: /a\n");
	return id;
}

static void test_hedge_wins(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t id = ask_both(client);

	answer(&h2_servers[1], 1, ":status 200\nx-by second\n", &(struct h2_body){"second", 6, false, true});
	assert_whole(client, id, "x-by: second\n", 6);
	assert_string_equal(seen_of(client, id)->last, "second");
	assert_seen(client, id, "x-after: 1\n");
	assert_reset(&h2_servers[0], 1, NGHTTP2_CANCEL);
	assert_int_equal(exchange_count(&stage.worker), 0);
	/* Both connections go on. */
	int32_t next = ask(client, HEAD_OF("GET", "/b"), NULL);
	unsigned by = strstr(seen_of(&h2_servers[0], 3)->head, "/b") ? 0 : 1;
	answer(&h2_servers[by], 3, ":status 204\n", NULL);
	assert_whole(client, next, ":status: 204\n", 0);
	assert_int_equal(stage.server_count, 2);
}

static void test_first_wins(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t id = ask_both(client);

	answer(&h2_servers[0], 1, ":status 200\n", &(struct h2_body){"first", 5, false, false});
	assert_whole(client, id, ":status: 200\n", 5);
	assert_reset(&h2_servers[1], 1, NGHTTP2_CANCEL);
}

static void test_first_is_reset(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t id = ask_both(client);

	reset(&h2_servers[0], 1, NGHTTP2_INTERNAL_ERROR);
	assert_int_equal(seen_of(client, id)->heads, 0);
	answer(&h2_servers[1], 1, ":status 200\n", &(struct h2_body){"second", 6, false, false});
	assert_whole(client, id, ":status: 200\n", 6);
}

static void test_hedge_is_reset(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t id = ask_both(client);

	reset(&h2_servers[1], 1, NGHTTP2_REFUSED_STREAM);
	assert_int_equal(seen_of(client, id)->heads, 0);
	answer(&h2_servers[0], 1, ":status 200\n", &(struct h2_body){"first", 5, false, false});
	assert_whole(client, id, ":status: 200\n", 5);
}

/* The client cancels: before an answer, and inside that of the hedge. */
static void test_client_cancels(void **state)
{
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t id = ask_both(client);

	reset(client, id, NGHTTP2_CANCEL);
	assert_reset(&h2_servers[0], 1, NGHTTP2_CANCEL);
	assert_reset(&h2_servers[1], 1, NGHTTP2_CANCEL);
	assert_int_equal(exchange_count(&stage.worker), 0);
	id = ask(client, HEAD_OF("GET", "/b"), NULL);
	pass(21);
	unsigned second = h2_servers[0].seen[1].head[0] && h2_servers[1].seen[1].head[0];
	assert_int_equal(second, 1);
	answer(&h2_servers[1], 3, ":status 200\n", &(struct h2_body){"part", 4, true, false});
	reset(client, id, NGHTTP2_CANCEL);
	assert_reset(&h2_servers[0], 3, NGHTTP2_CANCEL);
	assert_reset(&h2_servers[1], 3, NGHTTP2_CANCEL);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* The client's window is all that the server may send, and a little. */
static void test_slow_reader(void **state)
{
	enum { SIZE = 2 * 1024 * 1024 };
	struct h2_peer *client = h2_client_with(1, REVERSE_CLEAR, 0);
	int32_t id = ask_both(client);

	answer(&h2_servers[1], 1, ":status 200\n", &(struct h2_body){NULL, SIZE, false, false});
	assert_int_equal(seen_of(client, id)->bytes, 0);
	size_t left = seen_of(&h2_servers[1], 1)->body.len;
	assert_true(left > SIZE - 256 * 1024);
	nghttp2_submit_window_update(client->session, 0, id, SIZE);
	for (unsigned i = 0; i < 200 && !seen_of(client, id)->ended; i++)
		go();
	assert_whole(client, id, ":status: 200\n", SIZE);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* ---- mirrors ---- */

static void both_servers(int32_t id)
{
	assert_int_equal(stage.server_count, 2);
	h2_server(0);
	h2_server(1);
	for (unsigned i = 0; i < 2; i++)
		assert_seen(&h2_servers[i], id, ":path: /m\n");
}

static void test_mirror(void **state)
{
	struct h2_peer *client = h2_client(1, MIRRORED_H2);
	int32_t id = ask(client, HEAD_OF("POST", "/m"), &open_body);

	both_servers(1);
	more(client, id, "hello ", 6, true);
	more(client, id, "world", 5, false);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(seen_of(&h2_servers[i], 1)->ended);
		assert_int_equal(seen_of(&h2_servers[i], 1)->bytes, 11);
		assert_string_equal(seen_of(&h2_servers[i], 1)->last, "world");
	}
	/* The mirror is the first that connects. */
	answer(&h2_servers[0], 1, ":status 500\n", &(struct h2_body){"no", 2, false, false});
	assert_int_equal(seen_of(client, id)->heads, 0);
	answer(&h2_servers[1], 1, ":status 200\n", &(struct h2_body){"yes", 3, false, false});
	assert_whole(client, id, ":status: 200\n", 3);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* A stream without a window: the mirror's is reset when it has fallen behind, and the first one's goes on. */
static void test_mirror_without_a_window(void **state)
{
	enum { SIZE = 1024 * 1024 };
	struct h2_peer *client = h2_client(1, MIRRORED_H2);
	int32_t id = ask(client, HEAD_OF("POST", "/m"), &open_body);

	assert_int_equal(stage.server_count, 2);
	h2_server_with(0, 100, 0);
	h2_server(1);
	more(client, id, NULL, SIZE, false);
	for (unsigned i = 0; i < 200 && !seen_of(&h2_servers[1], 1)->ended; i++)
		go();
	assert_int_equal(seen_of(&h2_servers[1], 1)->bytes, SIZE);
	assert_true(seen_of(&h2_servers[1], 1)->ended);
	assert_reset(&h2_servers[0], 1, NGHTTP2_CANCEL);
	assert_false(seen_of(&h2_servers[0], 1)->ended);
	answer(&h2_servers[1], 1, ":status 200\n", &(struct h2_body){"yes", 3, false, false});
	assert_whole(client, id, ":status: 200\n", 3);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

static void test_mirror_and_a_client_that_cancels(void **state)
{
	struct h2_peer *client = h2_client(1, MIRRORED_H2);
	int32_t id = ask(client, HEAD_OF("POST", "/m"), &open_body);

	both_servers(1);
	more(client, id, "hello ", 6, true);
	reset(client, id, NGHTTP2_CANCEL);
	for (unsigned i = 0; i < 2; i++) {
		assert_reset(&h2_servers[i], 1, NGHTTP2_CANCEL);
		assert_false(seen_of(&h2_servers[i], 1)->ended);
	}
	assert_int_equal(exchange_count(&stage.worker), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, beside_set_up, h2_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hedge_wins),
		TEST(test_first_wins),
		TEST(test_first_is_reset),
		TEST(test_hedge_is_reset),
		TEST(test_client_cancels),
		TEST(test_slow_reader),
		TEST(test_mirror),
		TEST(test_mirror_without_a_window),
		TEST(test_mirror_and_a_client_that_cancels),
	};
	return cmocka_run_group_tests(tests, beside_group_set_up, group_tear_down);
}
