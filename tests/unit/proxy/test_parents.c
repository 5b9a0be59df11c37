/* Which parent is tried, in what order, when the next one is, and whose connection is used again. */
#include "../../support/stage.h"

#include "upstream/path.h"
#include "upstream/room_internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char yaml[] =
	"timeouts: {connect: 1s, pool: 60s, response: 5s}\n"
	"parents:\n"
	"  a: \"http://10.9.0.1:3128\"\n"
	"  b: \"socks5://10.9.0.2:1080\"\n"
	"  c: {servers: [\"http://10.9.0.3:1\", \"http://10.9.0.4:1\"], user: u, password: p}\n"
	"  d: {servers: \"socks4a://10.9.0.5:1\", via: b}\n"
	"  many: [\"http://10.9.1.1:1\", \"http://10.9.1.2:1\", \"http://10.9.1.3:1\", \"http://10.9.1.4:1\", "
	"\"http://10.9.1.5:1\", \"http://10.9.1.6:1\", \"http://10.9.1.7:1\", \"http://10.9.1.8:1\", \"http://10.9.1.9:1\", "
	"\"http://10.9.1.10:1\"]\n"
	"forward:\n"
	"  - listen: \"127.0.0.1:1\"\n"
	"    rules: [{allow: {addresses: [10.0.0.0/8]}, proxy: [a, b, direct]}, {allow: {}, proxy: [a, b, direct]}]\n"
	"  - {listen: \"127.0.0.1:2\", rules: [{allow: {}, proxy: c}]}\n"
	"  - {listen: \"127.0.0.1:3\", rules: [{allow: {}, proxy: d}]}\n"
	"  - {listen: \"127.0.0.1:4\", rules: [{allow: {}, proxy: [a, b]}]}\n"
	"  - {listen: \"127.0.0.1:5\", rules: [{allow: {}, proxy: [direct, a]}]}\n"
	"  - {listen: \"127.0.0.1:6\", rules: [{allow: {}, proxy: many}]}\n";

enum { ALL, ROWS_C, ROW_D, AB, DIRECT_FIRST, MANY };

static struct stage stage;

static int group_set_up(void **state)
{
	stage_configure(&stage, yaml);
	return 0;
}

static int group_tear_down(void **state)
{
	stage_discard(&stage);
	return 0;
}

static int set_up(void **state)
{
	stage_start(&stage);
	return 0;
}

static int tear_down(void **state)
{
	stage_stop(&stage);
	return 0;
}

/* Client `who` asks for a tunnel to a name that nobody here knows. */
static void tunnel(unsigned who, unsigned listener)
{
	assert_true(stage_connect(&stage, who, listener));
	stage_say(&stage.clients[who], "CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n");
	stage_turns(&stage, 3);
}

static void get_on(unsigned who, const char *host)
{
	char text[256];

	snprintf(text, sizeof(text), "GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n", host, host);
	stage_say(&stage.clients[who], text);
	stage_turns(&stage, 3);
}

static void get(unsigned who, unsigned listener, const char *host)
{
	assert_true(stage_connect(&stage, who, listener));
	get_on(who, host);
}

static void answer(unsigned server, struct span bytes)
{
	assert_true(server < stage.server_count);
	stage_send(&stage.servers[server], bytes);
	stage_turns(&stage, 3);
}

static void expect_place(unsigned server, unsigned last, uint16_t port)
{
	assert_true(server < stage.server_count);
	assert_int_equal(stage.servers[server].address.ip[0], 10);
	assert_int_equal(stage.servers[server].address.ip[3], last);
	assert_int_equal(stage.servers[server].address.port, port);
}

static void expect_got(const struct stage_peer *peer, const char *text)
{
	assert_non_null(peer->bytes);
	if (span_search(stage_got(peer), span_of(text)) < 0)
		fprintf(stderr, "got: %.*s\n", (int)peer->len, peer->bytes);
	assert_true(span_search(stage_got(peer), span_of(text)) >= 0);
}

static void test_in_order(void **state)
{
	tunnel(0, AB);
	expect_place(0, 1, 3128);
	expect_got(&stage.servers[0], "CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n");
	answer(0, SPAN("HTTP/1.1 200 OK\r\n\r\nearly"));
	expect_got(&stage.clients[0], "HTTP/1.1 200 ");
	expect_got(&stage.clients[0], "\r\n\r\nearly");
	assert_int_equal(stage.server_count, 1);
}

/* What refuses is set aside at once: the next request does not ask it. */
static void test_next_when_refused(void **state)
{
	stage.refuse_next = ECONNREFUSED;
	tunnel(0, AB);
	expect_place(0, 2, 1080);
	answer(0, SPAN("\x05\0"));
	answer(0, SPAN("\x05\0\0\x01\0\0\0\0\0\0"));
	expect_got(&stage.clients[0], "HTTP/1.1 200 ");
	tunnel(1, AB);
	expect_place(1, 2, 1080);
	answer(1, SPAN("\x05\0"));
	answer(1, SPAN("\x05\0\0\x01\0\0\0\0\0\0"));
	stage_pass(&stage, PARENT_ASIDE_MS + 1);
	tunnel(2, AB); /* its trial */
	expect_place(2, 1, 3128);
	tunnel(3, AB); /* of which there is one */
	expect_place(3, 2, 1080);
	answer(2, SPAN("HTTP/1.1 200 OK\r\n\r\n"));
	tunnel(4, AB);
	expect_place(4, 1, 3128);
}

/* Each time it fails it is left out for twice as long. */
static void test_growing_times(void **state)
{
	struct parents *parents = parents_of(&stage.worker);
	uint64_t pause = PARENT_ASIDE_MS;

	for (unsigned i = 0; i < 12; i++) {
		uint64_t now = stage.worker.loop.now;
		struct error error = error_make(ERROR_CONNECT_REFUSED, NULL);
		assert_true(parent_server_take(parents, 0, now));
		parent_server_failed(parents, 0, false, now, now, NULL, &error);
		/* What had begun before tells nothing new. */
		parent_server_failed(parents, 0, false, now, now, NULL, &error);
		assert_false(parent_server_is_well(parents, 0, now + pause - 1));
		assert_true(parent_server_is_well(parents, 0, now + pause));
		stage_pass(&stage, pause + 1);
		pause = size_min(pause * 2, PARENT_ASIDE_MOST_MS);
	}
	parent_server_succeeded(parents, 0, NULL);
	assert_true(parent_server_is_well(parents, 0, stage.worker.loop.now));
}

/* A failure that may be the target's counts when it is the third in a row. */
static void test_strikes(void **state)
{
	for (unsigned i = 0; i < PARENT_STRIKES; i++) {
		unsigned first = stage.server_count;
		tunnel(0, AB);
		expect_place(first, 1, 3128);
		answer(first, SPAN("HTTP/1.1 502 Bad\r\n\r\n"));
		expect_place(first + 1, 2, 1080);
	}
	unsigned next = stage.server_count;
	tunnel(0, AB);
	expect_place(next, 2, 1080);
}

/* However many there are, there is an end to trying. */
static void test_many_that_fail(void **state)
{
	tunnel(0, MANY);
	for (unsigned i = 0; i < STAGE_SERVERS && i < stage.server_count; i++)
		answer(i, SPAN("HTTP/1.1 500 No\r\n\r\n"));
	assert_int_equal(stage.server_count, PATH_TRIES_MOST);
	expect_got(&stage.clients[0], "HTTP/1.1 502 ");
}

static void test_frozen_parent(void **state)
{
	tunnel(0, AB);
	expect_place(0, 1, 3128);
	stage_pass(&stage, 500);
	stage_turns(&stage, 2);
	assert_int_equal(stage.server_count, 1);
	stage_pass(&stage, 600);
	stage_turns(&stage, 3);
	expect_place(1, 2, 1080);
	assert_true(stage.servers[0].ended);
	stage_pass(&stage, 1100); /* silent in its greeting: that can only be its own fault */
	stage_turns(&stage, 3);
	expect_got(&stage.clients[0], "HTTP/1.1 504 ");
	assert_false(parent_server_is_well(parents_of(&stage.worker), 1, stage.worker.loop.now));
	assert_true(parent_server_is_well(parents_of(&stage.worker), 0, stage.worker.loop.now));
}

static void test_target_is_to_blame(void **state)
{
	tunnel(0, AB);
	answer(0, SPAN("HTTP/1.1 502 x\r\nProxy-Status: p; error=connection_refused\r\n\r\n"));
	expect_got(&stage.clients[0], "HTTP/1.1 502 ");
	assert_int_equal(stage.server_count, 1);
	tunnel(1, AB);
	answer(1, SPAN("HTTP/1.1 403 Forbidden\r\n\r\n"));
	expect_got(&stage.clients[1], "HTTP/1.1 403 ");
	assert_int_equal(stage.server_count, 2);
	assert_true(parent_server_is_well(parents_of(&stage.worker), 0, stage.worker.loop.now));
}

/* While all are set aside they are tried all the same. */
static void test_when_all_are_set_aside(void **state)
{
	struct error error = error_make(ERROR_CONNECT_REFUSED, NULL);
	uint64_t now = stage.worker.loop.now;

	for (uint32_t i = 0; i < 2; i++)
		parent_server_failed(parents_of(&stage.worker), i, false, now, now, NULL, &error);
	tunnel(0, AB);
	expect_place(0, 1, 3128);
}

static void test_direct_before_what_is_set_aside(void **state)
{
	struct error error = error_make(ERROR_CONNECT_REFUSED, NULL);
	uint64_t now = stage.worker.loop.now;

	for (uint32_t i = 0; i < 2; i++)
		parent_server_failed(parents_of(&stage.worker), i, false, now, now, NULL, &error);
	get(0, ALL, "10.2.0.3");
	expect_place(0, 3, 80);
}

static void test_parent_after_direct(void **state)
{
	get(0, DIRECT_FIRST, "far.test"); /* there is no name server */
	stage_pass(&stage, 50);
	for (unsigned i = 0; i < 50 && stage.server_count == 0; i++)
		stage_pass(&stage, 20);
	expect_place(0, 1, 3128);
	expect_got(&stage.servers[0], "GET http://far.test/ HTTP/1.1\r\nHost: far.test\r\n");
	get(1, DIRECT_FIRST, "inside.test"); /* 127.0.0.1: the guard refuses it, and nobody else is asked */
	expect_got(&stage.clients[1], "HTTP/1.1 403 ");
	assert_int_equal(stage.server_count, 1);
}

static void test_a_row(void **state)
{
	tunnel(0, ROW_D);
	expect_place(0, 2, 1080);
	answer(0, SPAN("\x05\0"));
	assert_memory_equal(stage.servers[0].bytes, "\x05\x01\0\x05\x01\0\x01\x0a\x09\0\x05\0\x01", 13);
	answer(0, SPAN("\x05\0\0\x01\0\0\0\0\0\0"));
	assert_int_equal(stage.servers[0].len, 13 + 18);
	assert_memory_equal(stage.servers[0].bytes + 13, "\x04\x01\x01\xbb\0\0\0\x01\0far.test\0", 18);
	answer(0, SPAN("\0\x5a\0\0\0\0\0\0hello"));
	expect_got(&stage.clients[0], "\r\n\r\nhello");
	assert_int_equal(stage.server_count, 1);
}

/* What the first of a row says of its target is held against the second. */
static void test_second_of_a_row_is_down(void **state)
{
	tunnel(0, ROW_D);
	answer(0, SPAN("\x05\0"));
	answer(0, SPAN("\x05\x05\0\x01\0\0\0\0\0\0"));
	expect_got(&stage.clients[0], "HTTP/1.1 502 ");
	assert_true(parent_server_is_well(parents_of(&stage.worker), 1, stage.worker.loop.now));
	assert_false(parent_server_is_well(parents_of(&stage.worker), 4, stage.worker.loop.now));
}

static void test_second_of_a_row_speaks_early(void **state)
{
	tunnel(0, ROW_D);
	answer(0, SPAN("\x05\0"));
	answer(0, SPAN("\x05\0\0\x01\0\0\0\0\0\0\0\x5a\0\0\0\0\0\0"));
	expect_got(&stage.clients[0], "HTTP/1.1 502 ");
	assert_false(parent_server_is_well(parents_of(&stage.worker), 4, stage.worker.loop.now));
}

/* ---- requests in absolute-form ---- */

static const struct span ok = SPAN("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

static void test_absolute_form(void **state)
{
	get(0, ROWS_C, "far.test");
	expect_place(0, 3, 1);
	expect_got(&stage.servers[0], "GET http://far.test/ HTTP/1.1\r\nHost: far.test\r\n");
	expect_got(&stage.servers[0], "Proxy-Authorization: Basic dTpw\r\n");
	answer(0, ok);
	expect_got(&stage.clients[0], "HTTP/1.1 200 ");
	get_on(0, "else.test"); /* the connection is the parent's, wherever it goes */
	assert_int_equal(stage.server_count, 1);
	answer(0, ok);
	get(1, ROWS_C, "far.test"); /* and this client's */
	assert_int_equal(stage.server_count, 2);
	answer(1, ok);
}

/* It asks the client for what is between it and us. */
static void test_login_is_not_handed_on(void **state)
{
	get(0, ROWS_C, "far.test");
	answer(0, SPAN("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"));
	expect_got(&stage.clients[0], "HTTP/1.1 502 ");
	assert_null(strstr((const char *)stage.clients[0].bytes, "Proxy-Authenticate"));
	assert_false(parent_server_is_well(parents_of(&stage.worker), 2, stage.worker.loop.now));
}

static void test_parent_breaks_without_an_answer(void **state)
{
	get(0, ROWS_C, "far.test");
	stage_peer_close(&stage.servers[0]);
	stage_turns(&stage, 4);
	expect_place(1, 4, 1);
	stage_peer_close(&stage.servers[1]);
	stage_turns(&stage, 4);
	expect_got(&stage.clients[0], "HTTP/1.1 502 ");
	assert_int_equal(stage.server_count, 2);
}

/* Twice might be once too often. */
static void test_post_is_not_sent_twice(void **state)
{
	assert_true(stage_connect(&stage, 0, ROWS_C));
	stage_say(&stage.clients[0],
		  "POST http://far.test/ HTTP/1.1\r\nHost: far.test\r\nContent-Length: 2\r\n\r\nhi");
	stage_turns(&stage, 3);
	expect_got(&stage.servers[0], "\r\n\r\nhi");
	stage_peer_close(&stage.servers[0]);
	stage_turns(&stage, 4);
	expect_got(&stage.clients[0], "HTTP/1.1 502 ");
	assert_int_equal(stage.server_count, 1);
}

static void test_idle_connection_was_closed(void **state)
{
	get(0, ROWS_C, "far.test");
	answer(0, ok);
	get_on(0, "far.test");
	stage_peer_close(&stage.servers[0]);
	stage_turns(&stage, 4);
	expect_place(1, 3, 1); /* the same one: it was only old */
	answer(1, ok);
	assert_true(parent_server_is_well(parents_of(&stage.worker), 2, stage.worker.loop.now));
}

/* A tunnel through SOCKS is to one origin. */
static void test_pools_through_socks(void **state)
{
	struct error error = error_make(ERROR_CONNECT_REFUSED, NULL);
	uint64_t now = stage.worker.loop.now;

	parent_server_failed(parents_of(&stage.worker), 0, false, now, now, NULL, &error);
	for (unsigned i = 0; i < 2; i++) {
		if (i == 0)
			get(0, AB, "far.test");
		else
			get_on(0, "else.test");
		expect_place(i, 2, 1080);
		answer(i, SPAN("\x05\0"));
		answer(i, SPAN("\x05\0\0\x01\0\0\0\0\0\0"));
		expect_got(&stage.servers[i], "GET / HTTP/1.1\r\n");
		answer(i, ok);
	}
	get_on(0, "far.test");
	assert_int_equal(stage.server_count, 2);
	answer(0, ok);
	/* The first choice is to be had again: no old connection of the second one is in its way. */
	parent_server_succeeded(parents_of(&stage.worker), 0, NULL);
	get_on(0, "far.test");
	expect_place(2, 1, 3128);
	answer(2, ok);
}

static void test_server_spoke_first(void **state)
{
	struct error error = error_make(ERROR_CONNECT_REFUSED, NULL);
	uint64_t now = stage.worker.loop.now;

	parent_server_failed(parents_of(&stage.worker), 0, false, now, now, NULL, &error);
	get(0, AB, "far.test");
	answer(0, SPAN("\x05\0"));
	answer(0, SPAN("\x05\0\0\x01\0\0\0\0\0\0HTTP/1.1 200 OK\r\n\r\n"));
	expect_got(&stage.clients[0], "HTTP/1.1 502 ");
}

/* The client goes while it is under way: at every step nothing is left. */
static void test_client_goes(void **state)
{
	for (unsigned step = 0; step < 4; step++) {
		unsigned server = stage.server_count;
		tunnel(0, ROW_D);
		if (step > 0)
			answer(server, SPAN("\x05\0"));
		if (step > 1)
			answer(server, SPAN("\x05\0\0\x01\0\0\0\0\0\0"));
		if (step > 2)
			answer(server, SPAN("\0"));
		stage_peer_close(&stage.clients[0]);
		stage_turns(&stage, 4);
		stage_pass(&stage, 3000);
		stage_turns(&stage, 4);
		assert_true(stage.servers[server].ended);
		assert_int_equal(exchange_count(&stage.worker), 0);
	}
}

static void test_every_allocation_fails(void **state)
{
	for (uint64_t every = 1; every < 60; every++) {
		unsigned server = stage.server_count;
		if (server + 4 >= STAGE_SERVERS) {
			stage_stop(&stage);
			stage_start(&stage);
			server = 0;
		}
		if (!stage_connect(&stage, 0, ROW_D))
			continue;
		memory_fail_every(&stage.memory, every);
		stage_say(&stage.clients[0], "CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n");
		stage_turns(&stage, 3);
		for (unsigned i = 0; i < 2 && stage.server_count > server; i++)
			answer(stage.server_count - 1, i ? SPAN("\x05\0\0\x01\0\0\0\0\0\0") : SPAN("\x05\0"));
		memory_fail_every(&stage.memory, 0);
		stage_peer_close(&stage.clients[0]);
		stage_turns(&stage, 4);
		stage_pass(&stage, 3000);
		stage_turns(&stage, 4);
		assert_int_equal(exchange_count(&stage.worker), 0);
	}
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_in_order),
		TEST(test_next_when_refused),
		TEST(test_growing_times),
		TEST(test_strikes),
		TEST(test_many_that_fail),
		TEST(test_frozen_parent),
		TEST(test_target_is_to_blame),
		TEST(test_when_all_are_set_aside),
		TEST(test_direct_before_what_is_set_aside),
		TEST(test_parent_after_direct),
		TEST(test_a_row),
		TEST(test_second_of_a_row_is_down),
		TEST(test_second_of_a_row_speaks_early),
		TEST(test_absolute_form),
		TEST(test_login_is_not_handed_on),
		TEST(test_parent_breaks_without_an_answer),
		TEST(test_post_is_not_sent_twice),
		TEST(test_idle_connection_was_closed),
		TEST(test_pools_through_socks),
		TEST(test_server_spoke_first),
		TEST(test_client_goes),
		TEST(test_every_allocation_fails),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
