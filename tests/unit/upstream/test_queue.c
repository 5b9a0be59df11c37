/*
 * Waiting for a server with room: in which order, for how long, and what becomes of those that wait when servers come, go and fail. Whole exchanges
 * on the stage.
 */
#include "limits_fixture.h"

#include "upstream/pick.h"

static const char yaml[] =
	"timeouts: {response: 60s, pool: 60s}\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:1\n"
	"    routes: [{path: /hello, respond: {status: 200}}, {path: /one, to: one}, {path: /two, to: two}, {path: /none, to: none}, {path: /h2, to: h2}]\n"
	"upstreams:\n"
	"  one: {servers: [{address: \"10.9.0.1:80\", max_connections: 1}], limits: {pending: 4}, timeouts: {queue: 3s}}\n"
	"  two:\n"
	"    servers: [{address: \"10.9.0.1:80\", max_connections: 1}, {address: \"10.9.0.2:80\", max_connections: 1}]\n"
	"    outliers: {connects: 1, eject: 1s}\n"
	"    timeouts: {queue: 30s}\n"
	"  none: {servers: [{address: \"10.9.0.1:80\", max_connections: 1}], limits: {pending: 0}}\n"
	"  h2: {servers: [{address: \"10.9.0.1:80\", max_connections: 2}], http: 2, timeouts: {queue: 3s}}\n";

enum { ONE, TWO, NONE, H2, GROUPS };

static int group_set_up(void **state)
{
	stage_configure(&stage, yaml);
	return 0;
}

static void test_first_come_first_served(void **state)
{
	for (unsigned i = 0; i < 5; i++)
		ask(i, "/one");
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(gauge(ONE, FLEET_PENDING), 4);
	for (unsigned i = 0; i < 5; i++) {
		for (unsigned j = i; j < 5; j++)
			assert_silent(j);
		assert_int_equal(asked(0), i + 1);
		answer(0);
		assert_heard(i, "200 OK");
	}
	assert_int_equal(stage.server_count, 1);
	expect_nothing_left(GROUPS, false);
}

static void test_too_many_wait(void **state)
{
	for (unsigned i = 0; i < 6; i++)
		ask(i, "/one");
	assert_heard(5, "503 ");
	assert_heard(5, "Retry-After: ");
	assert_heard(5, "connection_limit_reached");
	assert_silent(4);
	ask(6, "/none");
	ask(7, "/none");
	assert_silent(6);
	assert_heard(7, "503 ");
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
	assert_heard(1, "Retry-After: ");
	assert_heard(1, "no server had room in time");
	assert_silent(0);
	answer(0);
	assert_heard(0, "200 OK");
	expect_nothing_left(GROUPS, false);
}

static void test_who_leaves_makes_room(void **state)
{
	for (unsigned i = 0; i < 5; i++) {
		if (i % 2)
			ask(i, "/one");
		else
			ask_hastily(i, "/one");
	}
	hang_up(2);
	assert_int_equal(gauge(ONE, FLEET_PENDING), 3);
	ask(5, "/one");
	assert_silent(5);
	hang_up(0); /* its place is given on, over a new connection */
	assert_int_equal(stage.server_count, 2);
	assert_int_equal(asked(1), 1);
	answer(1);
	assert_heard(1, "200 OK");
	answer(1);
	assert_heard(3, "200 OK");
	hang_up(4);
	assert_int_equal(stage.server_count, 3);
	answer(2);
	assert_heard(5, "200 OK");
	expect_nothing_left(GROUPS, false);
}

/* The server is done when it has answered, however slowly the client reads. */
static void test_a_slow_reader_holds_no_place(void **state)
{
	static char body[200 * 1000];

	assert_true(stage_connect(&stage, 0, 0));
	stage.clients[0].paused = true;
	say(&stage.clients[0], "GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
	ask(1, "/one");
	memset(body, 'x', sizeof(body));
	say(&stage.servers[0], "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");
	for (size_t sent = 0, rounds = 0; sent < sizeof(body) && rounds < 1000; rounds++) {
		sent += stage_send(&stage.servers[0], span_make(body + sent, sizeof(body) - sent));
		stage_turns(&stage, 3);
		if (rounds > 20)
			stage.clients[0].paused = false;
	}
	stage.clients[0].paused = true;
	stage_turns(&stage, 5);
	assert_int_equal(asked(0), 2);
	answer(0);
	assert_heard(1, "200 OK");
	stage.clients[0].paused = false;
	stage_turns(&stage, 20);
	assert_heard(0, "200 OK");
	expect_nothing_left(GROUPS, false);
}

/* All servers go down: nobody waits for what cannot come. */
static void test_all_down(void **state)
{
	for (unsigned i = 0; i < 8; i++)
		ask(i, "/two");
	assert_int_equal(gauge(TWO, FLEET_PENDING), 6);
	atomic_store(&fleet_server_at(TWO, 0)->health, FLEET_DOWN);
	fleet_alarm(fleet_at(TWO));
	stage_turns(&stage, 3);
	assert_silent(2);
	atomic_store(&fleet_server_at(TWO, 1)->health, FLEET_DOWN);
	fleet_alarm(fleet_at(TWO));
	stage_turns(&stage, 3);
	for (unsigned i = 2; i < 8; i++) {
		assert_heard(i, "503 ");
		assert_heard(i, "Retry-After: ");
		assert_heard(i, "destination_unavailable");
	}
	assert_int_equal(gauge(TWO, FLEET_PENDING), 0);
}

/* The same by order, and for who only touches. */
static void test_all_ordered_away(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		ask(i, "/two");
	for (unsigned i = 0; i < 2; i++)
		assert_true(fleet_order_set(fleet_at(TWO), fleet_server_at(TWO, i), FLEET_MAINTENANCE,
					    &stage.worker));
	stage_turns(&stage, 3);
	assert_heard(2, "503 ");
	assert_heard(3, "503 ");
	answer(0); /* what runs is not touched */
	answer(1);
	assert_heard(0, "200 OK");
	assert_heard(1, "200 OK");
	expect_nothing_left(GROUPS, false);
}

/* A server that comes up takes those that wait, at once. */
static void test_one_comes_up(void **state)
{
	atomic_store(&fleet_server_at(TWO, 1)->health, FLEET_DOWN);
	fleet_touch(fleet_at(TWO));
	for (unsigned i = 0; i < 3; i++)
		ask(i, "/two");
	assert_int_equal(stage.server_count, 1);
	atomic_store(&fleet_server_at(TWO, 1)->health, FLEET_UP);
	fleet_touch(fleet_at(TWO));
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 2);
	assert_int_equal(asked(1), 1);
	assert_int_equal(gauge(TWO, FLEET_PENDING), 1);
}

/* And one that comes back by itself, when nobody else asks. */
static void test_one_comes_back(void **state)
{
	stage.refuse_next = ECONNREFUSED;
	ask(0, "/two"); /* tried at one, which is left out, then at the other */
	ask(1, "/two");
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(gauge(TWO, FLEET_PENDING), 1);
	stage_pass(&stage, 999);
	stage_turns(&stage, 2);
	assert_int_equal(stage.server_count, 1);
	stage_pass(&stage, 1);
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 2);
	assert_int_equal(gauge(TWO, FLEET_PENDING), 0);
}

/* A roster with a server more, and one with more places. */
static void test_a_new_roster_has_room(void **state)
{
	struct fleet_group *group = fleet_at(ONE);
	struct fleet_server *server;
	struct roster *roster = roster_new(&stage.memory, 2);

	for (unsigned i = 0; i < 5; i++)
		ask(i, "/one");
	assert_non_null(roster);
	server = fleet_server_get(group, &(struct fleet_identity){.written = SPAN("10.9.0.1:80"), .most = 3});
	assert_non_null(server);
	roster_add(roster, server, 1, 0);
	fleet_server_release(server);
	server = fleet_server_get(group, &(struct fleet_identity){.written = SPAN("10.9.0.7:80"), .most = 1});
	assert_non_null(server);
	roster_add(roster, server, 1, 0);
	fleet_server_release(server);
	fleet_publish(group, roster);
	stage_turns(&stage, 4);
	assert_int_equal(stage.server_count, 5);
	assert_int_equal(gauge(ONE, FLEET_PENDING), 0);
	for (unsigned i = 0; i < 5; i++)
		answer(i);
	for (unsigned i = 0; i < 5; i++)
		assert_heard(i, "200 OK");
	expect_nothing_left(GROUPS, false);
}

/* ---- waiting without exchanges ---- */

struct waiter {
	struct upstream_wait wait;
	struct upstream_query query;
	struct upstream_ticket ticket;
	unsigned looks;
	bool none;
};

static bool waiter_on_room(struct upstream_wait *wait)
{
	struct waiter *waiter = CONTAINER_OF(wait, struct waiter, wait);

	waiter->looks++;
	switch (upstream_pick(wait->group, &waiter->query, &waiter->ticket)) {
	case UPSTREAM_FULL:
		return false;
	case UPSTREAM_NONE:
		waiter->none = true;
		break;
	case UPSTREAM_PICKED:
		break;
	}
	upstream_wait_cancel(wait);
	return true;
}

static void waiter_on_late(struct upstream_wait *wait)
{
	CONTAINER_OF(wait, struct waiter, wait)->none = true;
}

static const struct upstream_wait_ops waiter_ops = {.on_room = waiter_on_room, .on_late = waiter_on_late};

/* One that has tried the server with room does not hold up those behind it. */
static void test_the_choosy_are_passed(void **state)
{
	static struct waiter choosy, plain[3];
	struct upstream_group *group = upstream_group(&stage.worker, TWO);
	struct upstream_ticket first = {0}, second = {0};
	struct upstream_query any = {0};

	memset(&choosy, 0, sizeof(choosy));
	memset(plain, 0, sizeof(plain));
	assert_int_equal(upstream_pick(group, &any, &first), UPSTREAM_PICKED);
	assert_int_equal(upstream_pick(group, &any, &second), UPSTREAM_PICKED);
	struct upstream_server *tried[] = {first.server};
	choosy.query = (struct upstream_query){.tried = tried, .tried_count = 1};
	assert_true(upstream_wait_start(&choosy.wait, group, &waiter_ops, true));
	for (unsigned i = 0; i < 3; i++)
		assert_true(upstream_wait_start(&plain[i].wait, group, &waiter_ops, false));
	stage_turns(&stage, 2);
	upstream_release(&first);
	stage_turns(&stage, 2);
	assert_null(choosy.ticket.server);
	assert_ptr_equal(plain[0].ticket.server, tried[0]);
	assert_null(plain[1].ticket.server);
	upstream_release(&second);
	stage_turns(&stage, 2);
	assert_non_null(choosy.ticket.server);
	assert_ptr_not_equal(choosy.ticket.server, tried[0]);
	assert_null(plain[1].ticket.server);
	upstream_release(&choosy.ticket);
	upstream_release(&plain[0].ticket);
	stage_turns(&stage, 2);
	assert_non_null(plain[1].ticket.server);
	assert_non_null(plain[2].ticket.server);
	upstream_release(&plain[1].ticket);
	upstream_release(&plain[2].ticket);
	expect_nothing_left(GROUPS, false);
}

/* What is full for one is full for all: the others are not even asked. */
static void test_the_rest_is_not_asked(void **state)
{
	static struct waiter waiters[3];
	struct upstream_group *group = upstream_group(&stage.worker, ONE);
	struct upstream_ticket held = {0};

	memset(waiters, 0, sizeof(waiters));
	assert_int_equal(upstream_pick(group, &waiters[0].query, &held), UPSTREAM_PICKED);
	for (unsigned i = 0; i < 3; i++)
		assert_true(upstream_wait_start(&waiters[i].wait, group, &waiter_ops, false));
	stage_turns(&stage, 2);
	assert_int_equal(waiters[0].looks, 1);
	assert_int_equal(waiters[1].looks, 0);
	stage_pass(&stage, 3000);
	assert_true(waiters[0].none && waiters[1].none && waiters[2].none);
	upstream_release(&held);
	expect_nothing_left(GROUPS, false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_first_come_first_served),
		TEST(test_too_many_wait),
		TEST(test_late),
		TEST(test_who_leaves_makes_room),
		TEST(test_a_slow_reader_holds_no_place),
		TEST(test_all_down),
		TEST(test_all_ordered_away),
		TEST(test_one_comes_up),
		TEST(test_one_comes_back),
		TEST(test_a_new_roster_has_room),
		TEST(test_the_choosy_are_passed),
		TEST(test_the_rest_is_not_asked),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
