/*
 * Whole exchanges while memory fails: each n-th allocation, for every n up to 200. Nothing crashes, nothing is left, and when memory
 * is back so is service.
 */
#include "stage_fixture.h"

enum { EVERY_MOST = 200 };

/* What may be said to a peer that may be gone. */
static void try(struct stage_peer *peer, const char *text)
{
	stage_say(peer, text);
	stage_turns(&stage, 3);
}

static void try_server(const char *text)
{
	if (stage.server_count)
		try(&stage.servers[stage.server_count - 1], text);
}

static void try_get(void)
{
	for (unsigned i = 0; i < 3; i++) {
		if (!stage_connect(&stage, 1, REVERSE))
			continue;
		try(&stage.clients[1], GET("/one") GET("/hello"));
		try_server("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
		try_server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
		try_server("0\r\nX-Trailer: 1\r\n\r\n");
	}
}

/* Entity tags that are sealed and opened, an answer of ours in place of an error. */
static void try_same(void)
{
	for (unsigned i = 0; i < 3; i++) {
		if (!stage_connect(&stage, 1, REVERSE))
			continue;
		try(&stage.clients[1],
		    "GET /same HTTP/1.1\r\nHost: a\r\nIf-Match: \"a\"\r\nIf-None-Match: \"b\", *\r\n\r\n");
		try_server("HTTP/1.1 200 OK\r\nETag: \"a\"\r\nX-b: 1\r\nContent-Length: 2\r\n\r\nok");
		try(&stage.clients[1], GET("/same") GET("/same"));
		try_server("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
		if (i)
			try_server("0\r\nETag: \"a\"\r\n\r\n");
		else
			stage_pass(&stage, 2000); /* longer than it waits for the rest */
		try_server("HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\na");
		if (stage.server_count)
			stage_peer_close(&stage.servers[stage.server_count - 1]);
		stage_turns(&stage, 3);
	}
}

static void try_post(void)
{
	static const char head[] = "POST /pair HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
	char body[6000];

	snprintf(body, sizeof(body), "1400\r\n%05120d\r\n", 7);
	for (unsigned i = 0; i < 3; i++) {
		if (!stage_connect(&stage, 1, REVERSE))
			continue;
		stage.refuse_next = i == 1 ? ECONNREFUSED : 0;
		try(&stage.clients[1], "POST /pair HT");
		stage_peer_close(&stage.clients[1]);
		if (!stage_connect(&stage, 1, REVERSE))
			continue;
		try(&stage.clients[1], head);
		try(&stage.clients[1], body);
		try(&stage.clients[1], body);
		try(&stage.clients[1], "0\r\nX-T: 1\r\n\r\n");
		try_server(OK("done", "4"));
	}
}

static void try_upgrade(void)
{
	for (unsigned i = 0; i < 3; i++) {
		if (!stage_connect(&stage, 1, REVERSE))
			continue;
		try(&stage.clients[1],
		    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nearly");
		try_server(
			"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nwelcome");
		try(&stage.clients[1], "ping");
		try_server("pong");
	}
}

static void try_forward(void)
{
	for (unsigned i = 0; i < 3; i++) {
		if (!stage_connect(&stage, 1, FORWARD))
			continue;
		try(&stage.clients[1], "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
		try_server(OK("abc", "3"));
		try(&stage.clients[1], "GET http://10.2.0.1/ HTTP/1.1\r\nHost: 10.2.0.1\r\n\r\n");
		try_server(OK("abc", "3"));
		try(&stage.clients[1], "GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	}
}

static void try_tunnel(void)
{
	static const char piece[9000];

	for (unsigned i = 0; i < 3; i++) {
		if (!stage_connect(&stage, 1, FORWARD))
			continue;
		try(&stage.clients[1], "CONNECT 10.2.0.2:443 HTTP/1.1\r\nHost: 10.2.0.2:443\r\n\r\nearly");
		for (unsigned j = 0; j < 4; j++) {
			stage_send(&stage.clients[1], span_make((const uint8_t *)piece, sizeof(piece)));
			try_server("back");
		}
	}
}

static void try_socks(void)
{
	static const struct span pieces[] = {
		/* by name, ahead */
		{(const uint8_t *)"\x05\x01\x00\x05\x01\x00\x03\x06"
				  "a.test\x01\xbb"
				  "early",
		 21},
		/* an address, refused by its server */
		{(const uint8_t *)"\x05\x01\x00\x05\x01\x00\x01\x0a\x02\x00\x01\x01\xbb", 13},
		/* version 4; an unknown command */
		{(const uint8_t *)"\x04\x01\x01\xbb\x0a\x02\x00\x01"
				  "ann\0",
		 12},
		{(const uint8_t *)"\x05\x01\x00\x05\x09", 5},
	};

	for (unsigned i = 0; i < 2 * ARRAY_LENGTH(pieces); i++) {
		struct span piece = pieces[i / 2];
		if (!stage_connect(&stage, 1, FORWARD))
			continue;
		stage.refuse_next = i / 2 == 1 ? ECONNREFUSED : 0;
		/* whole, then in two */
		stage_send(&stage.clients[1], span_first(piece, i % 2 ? 4 : piece.len));
		stage_turns(&stage, 3);
		if (i % 2)
			stage_send(&stage.clients[1], span_from(piece, 4));
		stage_turns(&stage, 3);
		try_server("back");
		try(&stage.clients[1], "there");
	}
	if (stage_connect(&stage, 1, FORWARD))
		try(&stage.clients[1], "\x05\x03");
	stage_pass(&stage, 20000);
}

/* A ClientHello for a.test. */
static const char hello[] = "\x16\x03\x01\0\x3e\x01\0\0\x3a\x03\x03"
			    "0123456789abcdef0123456789abcdef"
			    "\0\0\x02\x13\x01\x01\0\0\x0f\0\0\0\x0b\0\x09\0\0\x06"
			    "a.test";

static void try_tcp(void)
{
	static const char piece[9000];
	struct span all = span_make((const uint8_t *)hello, sizeof(hello) - 1);

	for (unsigned i = 0; i < 4; i++) {
		if (!stage_connect(&stage, 1, i % 2 ? TCP : TCP_NAMES))
			continue;
		stage.refuse_next = i == 1 ? ECONNREFUSED : 0;
		stage_send(&stage.clients[1], span_first(all, 20));
		stage_turns(&stage, 2);
		stage_send(&stage.clients[1], span_from(all, 20));
		stage_turns(&stage, 2);
		for (unsigned j = 0; j < 3; j++) {
			stage_send(&stage.clients[1], span_make((const uint8_t *)piece, sizeof(piece)));
			try_server("back");
		}
	}
	if (stage_connect(&stage, 1, TCP_NAMES))
		try(&stage.clients[1], "\x16\x03");
	stage_pass(&stage, 20000);
}

static void try_refusals(void)
{
	static const char *const requests[] = {
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n",
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(requests); i++) {
		if (!stage_connect(&stage, 1, REVERSE))
			continue;
		try(&stage.clients[1], requests[i]);
	}
	stage_pass(&stage, 8000);
}

static void all_allocations(void (*run)(void))
{
	for (unsigned every = 1; every <= EVERY_MOST; every++) {
		stage_start(&stage);
		memory_fail_every(&stage.memory, every);
		run();
		memory_fail_every(&stage.memory, 0);
		everybody_leaves();
		client_of(2, REVERSE);
		say(&stage.clients[2], GET("/hello"));
		assert_has(&stage.clients[2], "hello\n");
		stage_stop(&stage); /* looks that all has been given back */
	}
}

static void test_get(void **state)
{
	all_allocations(try_get);
}

static void test_same(void **state)
{
	all_allocations(try_same);
}

static void test_post(void **state)
{
	all_allocations(try_post);
}

static void test_upgrade(void **state)
{
	all_allocations(try_upgrade);
}

static void test_forward(void **state)
{
	all_allocations(try_forward);
}

static void test_tunnel(void **state)
{
	all_allocations(try_tunnel);
}

static void test_socks(void **state)
{
	all_allocations(try_socks);
}

static void test_tcp(void **state)
{
	all_allocations(try_tcp);
}

static void test_refusals(void **state)
{
	all_allocations(try_refusals);
}

/* The rooms of a worker themselves. */
static void test_groups(void **state)
{
	struct worker worker;
	struct memory memory;

	unsigned failed = 0;

	for (unsigned every = 1; every < 40; every++) {
		memory_init(&memory, 0);
		assert_true(worker_init(&worker, 0, &memory, NULL));
		memory_fail_every(&memory, every);
		struct fleet *fleet =
			fleet_new(&memory, stage.snapshot->plans, stage.snapshot->upstream_count, 1, NULL);
		bool good = fleet && upstream_room_init(&worker, fleet);
		memory_fail_every(&memory, 0);
		failed += !good;
		upstream_room_fini(&worker);
		worker_fini(&worker);
		fleet_free(fleet);
		assert_int_equal(atomic_load(&memory.used), 0);
	}
	assert_in_range(failed, 5, 30); /* at least: the fleet, seats, rosters, servers, the room, views */
}

/* Under pressure new work is refused, and what is there goes on. */
static void test_pressure(void **state)
{
	stage_start(&stage);
	struct stage_peer *old = client_of(1, REVERSE), *new = client_of(2, REVERSE);
	say(old, GET("/"));
	size_t most = stage.memory.limit - stage.memory.limit / 50 - atomic_load(&stage.memory.used);
	assert_true(memory_take(&stage.memory, most));
	say(new, GET("/"));
	assert_has(new, "HTTP/1.1 503 ");
	assert_has(new, "Retry-After: ");
	assert_true(new->ended);
	say(server_at(0), OK("abc", "3"));
	assert_has(old, "abc");
	memory_give(&stage.memory, most);
	stage_stop(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),     cmocka_unit_test(test_get),
		cmocka_unit_test(test_post),     cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_forward),  cmocka_unit_test(test_tunnel),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_socks),    cmocka_unit_test(test_groups),
		cmocka_unit_test(test_pressure),
	};
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
