/*
 * Waiting for a session of HTTP/2 by prior knowledge: who joins which connection, who is served when it is there, who is told when it fails.
 */
#include "acquire_fixture.h"

static void test_many_on_one_connection(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		ask(i, "clear");
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(requests(0), 0); /* how many there may be is not known */
	settings(0, 100);
	assert_int_equal(requests(0), 4);
	expect_pool(CLEAR, 1, 0);
	ask(4, "clear"); /* and those to come */
	assert_int_equal(requests(0), 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_false(heard(i, "200"));
		respond(0, 1 + 2 * i);
		expect_status(i, "200");
	}
	expect_pool(CLEAR, 1, 1);
	assert_int_equal(stage.server_count, 1);
}

static void test_streams_are_bounded(void **state)
{
	for (unsigned i = 0; i < 5; i++)
		ask(i, "two");
	assert_int_equal(stage.server_count, 3);
	assert_int_equal(attempts(TWO), 3);
	for (unsigned i = 0; i < 3; i++)
		settings(i, 100);
	assert_int_equal(requests(0) + requests(1) + requests(2), 5);
	assert_int_equal(requests(0), 2);
	ask(5, "two"); /* there is room on the third one */
	assert_int_equal(stage.server_count, 3);
	assert_int_equal(requests(0) + requests(1) + requests(2), 6);
	ask(6, "two");
	assert_int_equal(stage.server_count, 4);
	assert_int_equal(attempts(TWO), 1);
}

static void test_server_allows_one(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		ask(i, "clear");
	assert_int_equal(stage.server_count, 1);
	settings(0, 1);
	assert_int_equal(requests(0), 1);
	assert_int_equal(stage.server_count, 3); /* one each, since it is known now */
	settings(1, 1);
	settings(2, 1);
	assert_int_equal(requests(1), 1);
	assert_int_equal(requests(2), 1);
	ask(3, "clear");
	ask(4, "clear");
	assert_int_equal(stage.server_count, 5);
	respond(0, 1);
	ask(5, "clear");
	assert_int_equal(requests(0), 2);
	assert_int_equal(stage.server_count, 5);
}

/* It would be asked for ever. */
static void test_server_allows_none(void **state)
{
	ask(0, "clear");
	ask(1, "clear");
	for (unsigned i = 0; i < stage.server_count && i < 60; i++)
		settings(i, 0);
	assert_in_range(stage.server_count, 2, 20);
	expect_status(0, "502");
	expect_status(1, "502");
	assert_true(heard(0, "too few streams"));
	assert_int_equal(attempts(CLEAR), 0);
}

static void test_failures_reach_all(void **state)
{
	stage.refuse_next = ECONNREFUSED;
	assert_true(stage_connect(&stage, 0, 0) && stage_connect(&stage, 1, 0));
	stage_say(&stage.clients[0], "GET /clear HTTP/1.1\r\nHost: a\r\n\r\n");
	stage_say(&stage.clients[1], "GET /clear HTTP/1.1\r\nHost: a\r\n\r\n");
	stage_turns(&stage, 3);
	expect_status(0, "503");
	expect_status(1, "503");
	assert_int_equal(stage.server_count, 0);

	ask(2, "clear");
	ask(3, "clear");
	stage_peer_close(&stage.servers[0]); /* before SETTINGS */
	stage_turns(&stage, 3);
	expect_status(2, "502");
	expect_status(3, "502");
	assert_true(heard(2, "before its HTTP/2 settings"));

	ask(4, "clear");
	ask(5, "clear");
	tell_text(1, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
	expect_status(4, "502");
	expect_status(5, "502");
	assert_int_equal(attempts(CLEAR), 0);
	expect_pool(CLEAR, 0, 0);
}

static void test_settings_in_time(void **state)
{
	ask(0, "clear");
	stage_pass(&stage, 2000);
	ask(1, "clear");
	stage_pass(&stage, 999);
	assert_int_equal(stage.clients[0].len, 0);
	stage_pass(&stage, 20);
	stage_turns(&stage, 2);
	expect_status(0, "504");
	expect_status(1, "504");
	stage_turns(&stage, 2);
	assert_true(stage.servers[0].ended);
	assert_int_equal(attempts(CLEAR), 0);
}

/* Whoever began it may go: it is of use to others, now or later. */
static void test_clients_that_go(void **state)
{
	ask_to_leave(0, "clear");
	ask(1, "clear");
	ask(2, "clear");
	leave(0);
	settings(0, 100);
	assert_int_equal(requests(0), 2);
	respond(0, 1);
	respond(0, 3);
	expect_status(1, "200");
	expect_status(2, "200");

	ask_to_leave(3, "two");
	leave(3);
	assert_int_equal(attempts(TWO), 1);
	settings(1, 100);
	assert_int_equal(requests(1), 0);
	expect_pool(TWO, 1, 1);
	ask(4, "two");
	assert_int_equal(requests(1), 1);
	assert_int_equal(stage.server_count, 2);
	respond(1, 1);
	expect_status(4, "200");
	stage_pass(&stage, 20100); /* timeouts.pool */
	stage_turns(&stage, 3);
	expect_pool(TWO, 0, 0);
}

/* A connection that nobody ever used does not stay for ever. */
static void test_unused_connections_end(void **state)
{
	ask_to_leave(0, "two");
	leave(0);
	settings(0, 100);
	expect_pool(TWO, 1, 1);
	stage_pass(&stage, 20100);
	stage_turns(&stage, 3);
	expect_pool(TWO, 0, 0);
	assert_true(stage.servers[0].ended);
}

static void test_draining(void **state)
{
	ask(0, "clear");
	ask_to_leave(1, "two");
	leave(1);
	stage.worker.draining = true;
	upstream_drain(&stage.worker);
	assert_int_equal(attempts(TWO), 0); /* nobody waits */
	assert_int_equal(attempts(CLEAR), 1);
	settings(0, 100);
	respond(0, 1);
	expect_status(0, "200");
	expect_pool(CLEAR, 0, 0);
	stage_turns(&stage, 3);
	assert_true(stage.servers[0].ended);
}

/* GOAWAY: what the server has not seen goes to a new connection, what it has is answered on the old one. */
static void test_goaway(void **state)
{
	ask(0, "two");
	settings(0, 100);
	respond(0, 1);
	ask(1, "two");
	ask(2, "two");
	assert_int_equal(requests(0), 3);
	frame(0, 7, 0, 0, (struct span){(const uint8_t *)"\0\0\0\3\0\0\0\0", 8});
	expect_pool(TWO, 0, 0);
	assert_int_equal(stage.server_count, 2);
	settings(1, 100);
	assert_int_equal(requests(1), 1);
	respond(0, 3);
	respond(1, 1);
	expect_status(1, "200");
	expect_status(2, "200");
	stage_turns(&stage, 3);
	assert_true(stage.servers[0].ended);
}

/* REFUSED_STREAM on a fresh connection to the only server: it is asked again. */
static void test_refused_stream(void **state)
{
	ask(0, "two");
	settings(0, 100);
	assert_int_equal(requests(0), 1);
	frame(0, 3, 0, 1, (struct span){(const uint8_t *)"\0\0\0\7", 4});
	assert_int_equal(requests(0), 2);
	respond(0, 3);
	expect_status(0, "200");
	assert_int_equal(stage.server_count, 1);
}

/* One of those that wait lets another go while all are told. */
static void test_cancel_inside(void **state)
{
	struct asked first = {0}, second = {0}, third = {0};

	first.other = &second;
	assert_true(start(&first, CLEAR, ACQUIRE_SESSION));
	assert_true(start(&second, CLEAR, ACQUIRE_SESSION));
	assert_true(start(&third, CLEAR, ACQUIRE_SESSION));
	stage.refuse_next = ECONNREFUSED;
	stage_turns(&stage, 3);
	if (!first.told) { /* the connect came before it was refused */
		stage_peer_close(&stage.servers[0]);
		stage_turns(&stage, 3);
	}
	assert_int_equal(first.told, 1);
	assert_int_equal(second.told, 0);
	assert_int_equal(third.told, 1);

	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
	first.other = &second;
	stage.refuse_next = 0;
	unsigned server = stage.server_count;
	assert_true(start(&first, CLEAR, ACQUIRE_SESSION));
	assert_true(start(&second, CLEAR, ACQUIRE_SESSION));
	stage_turns(&stage, 2);
	settings(server, 100);
	assert_int_equal(first.told, 1);
	assert_non_null(first.session);
	assert_int_equal(second.told, 0);
	expect_pool(CLEAR, 0, 0); /* nobody opened it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_many_on_one_connection),
		TEST(test_streams_are_bounded),
		TEST(test_server_allows_one),
		TEST(test_server_allows_none),
		TEST(test_failures_reach_all),
		TEST(test_settings_in_time),
		TEST(test_clients_that_go),
		TEST(test_unused_connections_end),
		TEST(test_draining),
		TEST(test_goaway),
		TEST(test_refused_stream),
		TEST(test_cancel_inside),
	};
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
