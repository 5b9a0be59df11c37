/* Upstream connections at rest: what pools and origins count, keep and let go. */
#include "../../support/stage.h"

#include "upstream/room_internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char yaml[] = "timeouts: {pool: 10s}\n"
			   "forward: [{listen: \"127.0.0.1:1\", rules: [{allow: {addresses: [10.0.0.0/8]}}]}]\n"
			   "reverse: [{listen: \"127.0.0.1:2\", routes: [{to: web}]}]\n"
			   "upstreams: {web: {servers: [\"10.9.0.1:80\"], keepalive: 2}}\n";

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

static struct session_pool *web(void)
{
	return &upstream_group(&stage.worker, 0)->view->servers[0]->pool;
}

static struct map *origins(void)
{
	return &upstream_room(&stage.worker)->origins.map;
}

static void say(struct stage_peer *peer, const char *text)
{
	stage_say(peer, text);
	stage_turns(&stage, 3);
}

/* A request of its own client that is on its way. */
static void ask(unsigned who, bool forward)
{
	assert_true(stage_connect(&stage, who, !forward));
	say(&stage.clients[who], forward ? "GET http://10.2.0.1/ HTTP/1.1\r\nHost: 10.2.0.1\r\n\r\n" :
					   "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void answer(unsigned server, const char *more)
{
	char text[256];

	snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%sContent-Length: 0\r\n\r\n", more);
	say(&stage.servers[server], text);
}

static void expect_pool(const struct session_pool *pool, unsigned open, unsigned idle)
{
	assert_int_equal(pool->open, open);
	assert_int_equal(pool->idle_count, idle);
}

static void test_keeps_so_many(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		ask(i, false);
	assert_int_equal(stage.server_count, 4);
	expect_pool(web(), 4, 0);
	answer(0, "");
	answer(1, "");
	expect_pool(web(), 4, 2);
	answer(2, ""); /* one too many to be kept */
	expect_pool(web(), 3, 2);
	assert_true(stage.servers[2].ended);
	answer(3, "Connection: close\r\n");
	expect_pool(web(), 2, 2);
}

static void test_takes_the_last_one_first(void **state)
{
	ask(0, false);
	ask(1, false);
	answer(0, "");
	answer(1, "");
	size_t before = stage.servers[1].len;
	ask(2, false);
	assert_true(stage.servers[1].len > before);
	expect_pool(web(), 2, 1);
}

static void test_servers_that_go(void **state)
{
	ask(0, false);
	ask(1, false);
	answer(0, "");
	stage_peer_close(&stage.servers[0]); /* idle */
	stage_turns(&stage, 2);
	expect_pool(web(), 1, 0);
	stage_peer_close(&stage.servers[1]); /* busy */
	stage_turns(&stage, 2);
	expect_pool(web(), 0, 0);
}

static void test_clients_that_go(void **state)
{
	ask(0, false);
	stage_peer_close(&stage.clients[0]);
	h1_server_cut(&stage.worker);
	stage_turns(&stage, 2);
	expect_pool(web(), 0, 0);
	assert_true(stage.servers[0].ended);
}

static void test_idle_time(void **state)
{
	ask(0, false);
	answer(0, "");
	expect_pool(web(), 1, 1);
	stage_pass(&stage, 10001);
	expect_pool(web(), 0, 0);
}

static void test_upgrade_leaves_the_pool(void **state)
{
	assert_true(stage_connect(&stage, 0, 1));
	say(&stage.clients[0], "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
	expect_pool(web(), 1, 0);
	say(&stage.servers[0], "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
	expect_pool(web(), 0, 0);
	stage_peer_close(&stage.clients[0]);
	stage_peer_close(&stage.servers[0]);
	stage_turns(&stage, 3);
	expect_pool(web(), 0, 0);
	assert_int_equal(conn_count(&stage.worker), 0);
}

static void test_drain(void **state)
{
	ask(0, false);
	ask(1, false);
	ask(2, true);
	ask(3, true);
	answer(0, "");
	answer(2, "");
	stage.worker.draining = true;
	upstream_drain(&stage.worker);
	stage_turns(&stage, 2);
	expect_pool(web(), 1, 0);
	assert_int_equal(origins()->count, 1);
	answer(1, "");
	answer(3, "");
	expect_pool(web(), 0, 0);
	assert_int_equal(origins()->count, 0);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* An origin is there as long as it has a connection. */
static void test_origins_come_and_go(void **state)
{
	ask(0, true);
	ask(1, true);
	assert_int_equal(origins()->count, 2);
	answer(0, "");
	answer(1, "Connection: close\r\n");
	assert_int_equal(origins()->count, 1);
	stage_peer_close(&stage.servers[0]);
	stage_turns(&stage, 2);
	assert_int_equal(origins()->count, 0);
	stage.refuse_next = ECONNREFUSED;
	ask(2, true);
	assert_int_equal(origins()->count, 0);
}

static struct idle_shares *shares(void)
{
	return &upstream_room(&stage.worker)->origins.idle;
}

/* Idle connections of all clients together: where nobody has more than another, the one at rest for longest goes, and its origin with it. */
static void test_origins_at_rest_are_bounded(void **state)
{
	shares()->most = 2;
	for (unsigned i = 0; i < 3; i++)
		ask(i, true);
	answer(0, "");
	answer(1, "");
	assert_int_equal(origins()->count, 3);
	answer(2, "");
	assert_int_equal(origins()->count, 2);
	assert_true(stage.servers[0].ended);
	assert_false(stage.servers[1].ended);
	say(&stage.clients[1], "GET http://10.2.0.1/ HTTP/1.1\r\nHost: 10.2.0.1\r\n\r\n");
	assert_int_equal(shares()->count, 1);
	stage_peer_close(&stage.servers[2]);
	stage_turns(&stage, 2);
	assert_int_equal(shares()->count, 0);
}

/* A client asks for this port of the same server. */
static void ask_port(unsigned who, unsigned port)
{
	char text[128];

	snprintf(text, sizeof(text), "GET http://10.2.0.1:%u/ HTTP/1.1\r\nHost: 10.2.0.1:%u\r\n\r\n", port,
		 port);
	say(&stage.clients[who], text);
	answer(stage.server_count - 1, "");
}

/* Who opens much loses what it has opened itself, and nobody else anything. */
static void test_many_idle_ones_of_one_client_cost_the_others_nothing(void **state)
{
	shares()->most = 8;
	ask(1, true);
	answer(0, "");
	ask(2, true);
	answer(1, "");
	assert_true(stage_connect(&stage, 3, 0));
	for (unsigned i = 0; i < 20; i++)
		ask_port(3, 8000 + i);
	assert_int_equal(shares()->count, 8);
	assert_false(stage.servers[0].ended);
	assert_false(stage.servers[1].ended);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(stage.servers[2 + i].ended, i < 14);
	/* The others get theirs, until there is as much for each. */
	for (unsigned i = 0; i < 5; i++)
		ask_port(1, 8000 + i);
	assert_int_equal(shares()->count, 8);
	assert_false(stage.servers[1].ended);
	assert_int_equal(shares()->highest, 4);
	assert_int_equal(upstream_room(&stage.worker)->origins.partitions.count, 3);
}

static void test_worker_ends_with_connections_at_rest(void **state)
{
	ask(0, false);
	ask(1, true);
	answer(0, "");
	answer(1, "");
	assert_int_equal(origins()->count, 1); /* and tear_down looks that nothing is left */
}

static struct session *take_of(const struct address *client, struct span host, uint16_t port)
{
	struct origin_place place = {
		.client = client, .host = host, .port = port, .via = PARENT_NONE, .exit = RULE_NONE};

	return origin_take(&stage.worker, &place, NULL, false);
}

/* Keys tell apart whatever must not share. */
static void test_keys_of_origins(void **state)
{
	struct address one = {.family = ADDRESS_V4, .ip = {10, 1, 0, 1}, .port = 5};
	struct address two = {.family = ADDRESS_V4, .ip = {10, 1, 0, 2}, .port = 5};
	char name[300];

	assert_true(stage_connect(&stage, 1, 0));
	say(&stage.clients[1], "GET http://a.test:8080/ HTTP/1.1\r\nHost: a.test:8080\r\n\r\n");
	answer(0, "");
	assert_null(take_of(&two, SPAN("a.test"), 8080));
	assert_null(take_of(&one, SPAN("a.test"), 8081));
	assert_null(take_of(&one, SPAN("b.test"), 8080));
	assert_null(take_of(&one, SPAN("a.tes"), 8080));
	memset(name, 'a', sizeof(name));
	assert_null(take_of(&one, span_make((uint8_t *)name, sizeof(name)), 8080));
	struct origin_place place = {
		.client = &one, .host = SPAN("a.test"), .port = 8080, .via = PARENT_NONE, .exit = RULE_NONE};
	struct origin_place others[4] = {place, place, place, place};
	others[0].user = SPAN("ann");
	others[1].via = 0;
	others[2].exit = 0;
	others[3].trust = (const struct tls_trust *)&place;
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
		assert_null(origin_take(&stage.worker, &others[i], NULL, false));
	one.port = 6; /* of no account */
	struct session *session = take_of(&one, SPAN("a.test"), 8080);
	assert_non_null(session);
	assert_null(take_of(&one, SPAN("a.test"), 8080)); /* taken */
	session_discard(session);
	assert_int_equal(origins()->count, 0);
	stage_turns(&stage, 2);
	assert_true(stage.servers[0].ended);
}

static struct origin_place place_of(const struct address *client, struct span user, const void *accounts)
{
	return (struct origin_place){.client = client,
				     .user = user,
				     .accounts = accounts,
				     .host = SPAN("10.2.0.1"),
				     .port = 80,
				     .via = PARENT_NONE,
				     .exit = RULE_NONE};
}

/* Opens a connection for one and takes it for the other, who is the same client, or is not. */
static void expect_shared(struct origin_place one, struct origin_place other, bool shared)
{
	static const struct h1_client_settings settings = {.idle = 1000};
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	struct address peer = {.family = ADDRESS_V4, .ip = {10, 2, 0, 1}, .port = 80};
	struct conn *conn = conn_open(&stage.worker, ends[0], &peer, NULL, NULL);
	assert_non_null(conn);
	struct session *session = origin_adopt(&stage.worker, &one, conn, &settings);
	assert_non_null(session);
	session->owner_ops->on_ready(session);
	struct session *taken = origin_take(&stage.worker, &other, NULL, false);
	assert_ptr_equal(taken, shared ? session : NULL);
	session_discard(session);
	stage_turns(&stage, 2);
	assert_int_equal(origins()->count, 0);
	assert_int_equal(upstream_room(&stage.worker)->origins.partitions.count, 0);
	close(ends[1]);
}

/* A client is a user wherever from, else an address, of IPv6 the /64. */
static void test_who_is_a_client(void **state)
{
	struct address v4 = {.family = ADDRESS_V4, .ip = {10, 1, 0, 1}, .port = 5};
	struct address v4_other = {.family = ADDRESS_V4, .ip = {10, 1, 0, 2}, .port = 5};
	struct address mapped = {.family = ADDRESS_V6, .ip = {[10] = 0xff, 0xff, 10, 1, 0, 1}};
	struct address v6 = {.family = ADDRESS_V6, .ip = {0x20, 1, 0xd, 0xb8, [7] = 1, [15] = 1}};
	struct address v6_near = {.family = ADDRESS_V6, .ip = {0x20, 1, 0xd, 0xb8, [7] = 1, [8] = 9, [15] = 7}};
	struct address v6_far = {.family = ADDRESS_V6, .ip = {0x20, 1, 0xd, 0xb8, [7] = 2, [15] = 1}};
	struct span none = {0}, ann = SPAN("ann"), bob = SPAN("bob");
	int here, there; /* accounts: only which they are counts */

	expect_shared(place_of(&v4, none, NULL), place_of(&v4, none, NULL), true);
	expect_shared(place_of(&v4, none, NULL), place_of(&mapped, none, NULL), true);
	expect_shared(place_of(&v4, none, NULL), place_of(&v4, none, &here), true);
	expect_shared(place_of(&v4, none, NULL), place_of(&v4_other, none, NULL), false);
	expect_shared(place_of(&v6, none, NULL), place_of(&v6_near, none, NULL), true);
	expect_shared(place_of(&v6, none, NULL), place_of(&v6_far, none, NULL), false);
	expect_shared(place_of(&v4, ann, &here), place_of(&v6_far, ann, &here), true);
	expect_shared(place_of(&v4, ann, &here), place_of(&v4, ann, &there), false);
	expect_shared(place_of(&v4, ann, &here), place_of(&v4, bob, &here), false);
	expect_shared(place_of(&v4, ann, &here), place_of(&v4, none, &here), false);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_keeps_so_many),
		TEST(test_takes_the_last_one_first),
		TEST(test_servers_that_go),
		TEST(test_clients_that_go),
		TEST(test_idle_time),
		TEST(test_upgrade_leaves_the_pool),
		TEST(test_drain),
		TEST(test_origins_come_and_go),
		TEST(test_origins_at_rest_are_bounded),
		TEST(test_many_idle_ones_of_one_client_cost_the_others_nothing),
		TEST(test_who_is_a_client),
		TEST(test_worker_ends_with_connections_at_rest),
		TEST(test_keys_of_origins),
	};
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
