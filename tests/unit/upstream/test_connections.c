/*
 * The limit of a group's connections: what counts as one and for how long, who waits, and who makes room. Whole exchanges on the stage.
 */
#include "limits_fixture.h"

static const char yaml[] =
	"timeouts: {response: 60s, pool: 20s, connect: 2s}\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:1\n"
	"    routes:\n"
	"      - {path: /hello, respond: {status: 200}}\n"
	"      - {path: /one, to: one}\n"
	"      - {path: /pair, to: pair}\n"
	"      - {path: /v1, to: v1}\n"
	"      - {path: /clear, to: clear}\n"
	"      - {path: /try, to: try}\n"
	"tcp: [{listen: 127.0.0.1:2, to: raw}]\n"
	"upstreams:\n"
	"  one: {servers: [\"10.9.0.1:80\"], limits: {connections: 1, pending: 2}, timeouts: {queue: 3s}}\n"
	"  pair:\n"
	"    servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"]\n"
	"    balance: round_robin\n"
	"    limits: {connections: 1}\n"
	"    timeouts: {queue: 3s}\n"
	"  v1: {servers: [\"10.9.0.1:80\"], proxy_protocol: v1, limits: {connections: 1}, timeouts: {queue: 3s}}\n"
	"  raw: {servers: [\"10.9.0.1:80\"], limits: {connections: 1}, timeouts: {queue: 3s}}\n"
	"  clear: {servers: [\"10.9.0.1:80\"], http: 2, streams: 2, limits: {connections: 1}, timeouts: {queue: 3s}}\n"
	"  try:\n"
	"    servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"]\n"
	"    limits: {connections: 1}\n"
	"    timeouts: {queue: 3s, try: 1s}\n";

enum { ONE, PAIR, V1, RAW, CLEAR, TRY, GROUPS };

static int group_set_up(void **state)
{
	stage_configure(&stage, yaml);
	return 0;
}

/* One connection serves all, one after the other, and stays counted while it rests. */
static void test_one_for_all(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		ask(i, "/one");
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(gauge(ONE, FLEET_PENDING), 2);
	ask(3, "/one");
	assert_heard(3, "503 ");
	assert_heard(3, "Retry-After: ");
	assert_heard(3, "as many connections as they may");
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(asked(0), i + 1);
		answer(0);
		assert_heard(i, "200 OK");
	}
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(gauge(ONE, FLEET_CONNECTIONS), 1);
	expect_nothing_left(GROUPS, false);
	stage_pass(&stage, 20000);
	stage_turns(&stage, 2);
	expect_nothing_left(GROUPS, true);
}

static void test_late(void **state)
{
	ask(0, "/one");
	ask(1, "/one");
	stage_pass(&stage, 2999);
	stage_turns(&stage, 2);
	assert_silent(1);
	stage_pass(&stage, 1);
	stage_turns(&stage, 2);
	assert_heard(1, "503 ");
	assert_heard(1, "no connection to a server became free in time");
	answer(0);
	expect_nothing_left(GROUPS, false);
	assert_int_equal(atomic_load(&fleet_server_at(ONE, 0)->failures), 0); /* it is not the server's fault */
}

/* One that ends without an answer makes room as well, and so does one that cannot be made. */
static void test_those_that_end(void **state)
{
	ask_hastily(0, "/one");
	ask(1, "/one");
	hang_up(0);
	assert_int_equal(stage.server_count, 2);
	assert_int_equal(asked(1), 1);
	ask(2, "/one");
	stage.refuse_next = ECONNREFUSED;
	stage_peer_close(&stage.servers[1]);
	stage_turns(&stage, 4);
	assert_heard(1, "502 ");
	assert_heard(2, "503 ");
	expect_nothing_left(GROUPS, true);
	ask(3, "/one");
	assert_int_equal(stage.server_count, 3);
}

/* A connection that rests at another server makes room. */
static void test_an_idle_one_gives_way(void **state)
{
	ask(0, "/pair");
	answer(0);
	assert_heard(0, "200 OK");
	ask(1, "/pair"); /* round robin: the other server */
	assert_int_equal(stage.server_count, 2);
	assert_true(stage.servers[0].ended);
	answer(1);
	assert_heard(1, "200 OK");
	assert_int_equal(gauge(PAIR, FLEET_CONNECTIONS), 1);
}

/* In turn, whatever their servers. */
static void test_the_first_in_line_first(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		ask(i, "/pair");
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(stage.server_count, i + 1);
		answer(i);
		assert_heard(i, "200 OK");
	}
	expect_nothing_left(GROUPS, false);
}

/* A connection that names its client is nobody else's, and counts until it is closed. */
static void test_with_a_header(void **state)
{
	ask(0, "/v1");
	ask(1, "/v1");
	assert_int_equal(stage.server_count, 1);
	answer(0);
	assert_heard(0, "200 OK");
	assert_int_equal(stage.server_count, 2);
	answer(1);
	assert_heard(1, "200 OK");
	expect_nothing_left(GROUPS, true);
}

static void test_raw(void **state)
{
	assert_true(stage_connect(&stage, 0, 1));
	stage_turns(&stage, 3);
	assert_true(stage_connect(&stage, 1, 1));
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(gauge(RAW, FLEET_PENDING), 1);
	stage_peer_close(&stage.servers[0]);
	stage_peer_close(&stage.clients[0]);
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 2);
	stage_peer_close(&stage.servers[1]);
	stage_peer_close(&stage.clients[1]);
	stage_turns(&stage, 3);
	expect_nothing_left(GROUPS, true);
}

/* Streams of one connection; those that find no room wait for one to end. */
static void test_streams(void **state)
{
	static const char settings[] = "\0\0\0\4\0\0\0\0\0";
	static const char head[] = "\0\0\1\1\5\0\0\0\1\x88"; /* stream 1, END_STREAM: 200 */

	for (unsigned i = 0; i < 4; i++)
		ask(i, "/clear");
	assert_int_equal(stage.server_count, 1);
	stage_send(&stage.servers[0], span_make(settings, 9));
	stage_turns(&stage, 4);
	assert_int_equal(atomic_load(&fleet_server_at(CLEAR, 0)->counters[0].running), 4);
	assert_int_equal(gauge(CLEAR, FLEET_PENDING), 1); /* one attempt for two */
	stage_send(&stage.servers[0], span_make(head, 10));
	stage_turns(&stage, 4);
	assert_heard(0, "200 OK");
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(gauge(CLEAR, FLEET_CONNECTIONS), 1);
	stage_peer_close(&stage.servers[0]);
	stage_turns(&stage, 4);
	for (unsigned i = 0; i < 10; i++) {
		stage_pass(&stage, 10000);
		stage_turns(&stage, 4);
	}
	expect_nothing_left(GROUPS, true);
}

/* timeouts.try is the server's: who waits for a connection has not asked it yet. */
static void test_not_the_servers_time(void **state)
{
	ask(0, "/try");
	stage_pass(&stage, 500);
	ask(1, "/try");
	stage_pass(&stage, 500); /* the first is late, and gets in line behind the second */
	stage_turns(&stage, 4);
	assert_int_equal(stage.server_count, 2);
	stage_pass(&stage, 900); /* for the second this is the first second */
	stage_turns(&stage, 4);
	unsigned failures = 0;
	for (unsigned i = 0; i < 2; i++)
		failures += (unsigned)atomic_load(&fleet_server_at(TRY, i)->counters[0].failures);
	assert_int_equal(failures, 1);
	answer(1);
	assert_heard(1, "200 OK");
	assert_silent(0);
}

/* Nobody is left behind when there is no memory for what it needs. */
static void test_without_memory(void **state)
{
	for (unsigned every = 1; every < 40; every++) {
		memory_fail_every(&stage.memory, every);
		for (unsigned i = 0; i < 4; i++)
			if (stage_connect(&stage, i, 0))
				stage_say(&stage.clients[i], "GET /pair HTTP/1.1\r\nHost: a\r\n\r\n");
		stage_turns(&stage, 4);
		for (unsigned i = 0; i < stage.server_count; i++)
			if (stage.servers[i].fd >= 0 && !stage.servers[i].ended)
				stage_say(&stage.servers[i], "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		stage_turns(&stage, 4);
		memory_fail_every(&stage.memory, 0);
		stage_pass(&stage, 60000);
		stage_turns(&stage, 4);
		stage_pass(&stage, 60000);
		stage_turns(&stage, 4);
		expect_nothing_left(GROUPS, true);
		if (stage.server_count > STAGE_SERVERS - 8)
			break;
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_for_all),
		TEST(test_late),
		TEST(test_those_that_end),
		TEST(test_an_idle_one_gives_way),
		TEST(test_the_first_in_line_first),
		TEST(test_with_a_header),
		TEST(test_raw),
		TEST(test_streams),
		TEST(test_not_the_servers_time),
		TEST(test_without_memory),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
