/*
 * Random lives of many exchanges, with everything that ends them: answers whole and broken, clients and servers that leave in any state, timeouts, orders,
 * checks, rosters that change, memory that fails. No limit is ever passed, and at the end nothing is counted any more.
 */
#include "limits_fixture.h"

#include <stdlib.h>

static const char yaml[] =
	"limits: {memory: 64 MiB, flow: 4 KiB}\n"
	"timeouts: {response: 6s, pool: 9s, connect: 2s, handshake: 2s, body: 5s, header: 5s, idle: 5s, tunnel: 8s}\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:1\n"
	"    routes:\n"
	"      - {path: /hello, respond: {status: 200}}\n"
	"      - {path: /0, to: places}\n"
	"      - {path: /1, to: connections}\n"
	"      - {path: /2, to: both}\n"
	"      - {path: /3, to: streams}\n"
	"tcp: [{listen: 127.0.0.1:2, to: raw}]\n"
	"upstreams:\n"
	"  places:\n"
	"    servers: [{address: \"10.9.0.1:80\", max_connections: 1}, {address: \"10.9.0.2:80\", max_connections: 2}]\n"
	"    limits: {requests: 7, pending: 3, retries: 1}\n"
	"    retries: 2\n"
	"    retry_on: [5xx]\n"
	"    outliers: {failures: 4, eject: 2s}\n"
	"    timeouts: {queue: 3s, try: 2s}\n"
	"  connections:\n"
	"    servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"]\n"
	"    balance: least_conn\n"
	"    limits: {connections: 2, requests: 6, pending: 3, retries: 2}\n"
	"    timeouts: {queue: 3s, try: 2s}\n"
	"  both:\n"
	"    servers: [{address: \"10.9.0.1:80\", max_connections: 2}, {address: \"10.9.0.2:80\", backup: true, max_connections: 3}]\n"
	"    proxy_protocol: v1\n"
	"    panic: 50\n"
	"    limits: {connections: 2, requests: 100, pending: 5, retries: 1}\n"
	"    timeouts: {queue: 2s}\n"
	"  streams:\n"
	"    servers: [{address: \"10.9.0.1:80\", max_connections: 3}]\n"
	"    http: 2\n"
	"    streams: 2\n"
	"    limits: {connections: 1, requests: 100, pending: 100, retries: 1}\n"
	"    timeouts: {queue: 3s}\n"
	"  raw:\n"
	"    servers: [{address: \"10.9.0.1:80\", max_connections: 2}, {address: \"10.9.0.2:80\", max_connections: 2}]\n"
	"    limits: {connections: 3, requests: 100, pending: 4, retries: 1}\n"
	"    timeouts: {queue: 2s}\n";

enum { GROUPS = 5, STEPS = 400, LIVES = 60 };

static uint32_t state_now;

static uint32_t below(uint32_t bound)
{
	state_now = state_now * 1664525 + 1013904223;
	return (state_now >> 8) % bound;
}

static int group_set_up(void **state)
{
	stage_configure(&stage, yaml);
	return 0;
}

/* ---- what may happen ---- */

static void a_client_asks(void)
{
	static const struct {
		const char *method, *rest;
	} requests[] = {
		{"GET", ""},
		{"POST", "Content-Length: 5\r\n"},
		{"PUT", "Content-Length: 50\r\n"},
		{"GET", "Connection: Upgrade\r\nUpgrade: x\r\n"},
	};
	char text[128];
	unsigned who = below(STAGE_CLIENTS);
	bool raw = below(6) == 0;

	if (!stage_connect(&stage, who, raw))
		return;
	stage.clients[who].paused = below(2) && !raw;
	if (stage.clients[who].paused)
		stage_say(&stage.clients[who], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	stage_turns(&stage, 2);
	unsigned which = below(ARRAY_LENGTH(requests));
	(void)snprintf(text, sizeof(text), "%s /%u HTTP/1.1\r\nHost: a\r\n%s\r\n%s", requests[which].method,
		       below(4), requests[which].rest, which ? "hello" : "");
	stage_say(&stage.clients[who], text);
}

static void a_client_acts(void)
{
	struct stage_peer *client = &stage.clients[below(STAGE_CLIENTS)];

	switch (below(3)) {
	case 0:
		client->paused = false;
		break;
	case 1:
		stage_say(client, "lo, who waits for more than this, and more, and more, and more, and more");
		break;
	case 2:
		stage_peer_close(client);
		break;
	}
}

static void a_server_acts(void)
{
	static const char *const words[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf",
		"HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 2",
		"nonsense\r\n\r\n",
	};
	static const uint8_t frames[] = {0, 0, 0, 4, 0, 0, 0, 0, 0,                 /* SETTINGS */
					 0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88,           /* 200 on stream 1 */
					 0, 0, 4, 3, 0, 0, 0, 0, 3, 0,    0, 0, 7}; /* REFUSED_STREAM on 3 */
	if (stage.server_count == 0)
		return;
	unsigned recent = below(size_max(stage.server_count, 1));
	struct stage_peer *server = &stage.servers[below(2) ? recent : stage.server_count - 1];
	unsigned what = below(14);

	if (what < ARRAY_LENGTH(words))
		stage_say(server, words[what]);
	else if (what < 11)
		stage_send(server, span_make(frames, sizeof(frames)));
	else if (what == 11)
		stage_peer_close(server);
}

static void the_operator_acts(void)
{
	unsigned at = below(GROUPS);
	struct fleet_group *group = fleet_at(at);
	struct upstream_group *view = upstream_group(&stage.worker, at);

	if (view->view->count == 0)
		return;
	struct fleet_server *server = view->view->servers[below(view->view->count)]->fleet;
	switch (below(5)) {
	case 0:
		fleet_order_set(group, server, (enum fleet_order)below(3), &stage.worker);
		break;
	case 1:
		atomic_store(&server->health, 1 + below(2));
		fleet_alarm(group);
		break;
	case 2:
		fleet_weight_set(group, server, below(257), &stage.worker);
		break;
	default:
		fleet_order_set(group, server, FLEET_READY, &stage.worker);
		atomic_store(&server->health, FLEET_UP);
		fleet_alarm(group);
	}
}

/* Servers come and go. */
static void the_roster_changes(void)
{
	struct fleet_group *group = fleet_at(below(GROUPS));
	struct roster *roster = roster_new(&stage.memory, 3);
	unsigned count = below(4);

	if (!roster)
		return;
	for (unsigned i = 0; i < count; i++) {
		char text[32];
		(void)snprintf(text, sizeof(text), "10.9.0.%u:80", 1 + below(4));
		struct fleet_server *server = fleet_server_get(
			group, &(struct fleet_identity){.written = span_of(text), .most = 1 + below(2)});
		if (!server)
			continue;
		roster_add(roster, server, 1, below(2));
		fleet_server_release(server);
	}
	roster_sort(roster);
	fleet_publish(group, roster);
}

static void something_happens(void)
{
	uint32_t what = below(20);

	if (below(30) == 0)
		stage.refuse_next = ECONNREFUSED;
	if (what < 6)
		a_client_asks();
	else if (what < 9)
		a_client_acts();
	else if (what < 15)
		a_server_acts();
	else if (what < 17)
		stage_pass(&stage, below(1500));
	else if (what < 18)
		the_operator_acts();
	else if (below(3) == 0)
		the_roster_changes();
	else
		stage_turns(&stage, 3);
	if (below(3))
		stage_turn(&stage);
}

/* ---- what always holds ---- */

static void expect_limits(void)
{
	for (unsigned i = 0; i < GROUPS; i++) {
		const struct fleet_group *group = fleet_at(i);
		const struct upstream_view *view = upstream_group(&stage.worker, i)->view;
		for (unsigned j = 0; j < FLEET_GAUGES; j++)
			assert_true(gauge(i, (enum fleet_gauge)j) <= group->most[j]);
		for (unsigned j = 0; j < view->count; j++) {
			const struct fleet_server *server = view->servers[j]->fleet;
			assert_true(!server->most || atomic_load(&server->in_flight) <= server->most);
			assert_true(atomic_load(&server->counters[0].running) < 1000);
		}
	}
}

static void expect_an_end(void)
{
	memory_fail_every(&stage.memory, 0);
	for (unsigned i = 0; i < STAGE_CLIENTS; i++)
		stage_peer_close(&stage.clients[i]);
	for (unsigned i = 0; i < stage.server_count; i++)
		stage_peer_close(&stage.servers[i]);
	for (unsigned i = 0; i < 40; i++) {
		stage.refuse_next = ECONNREFUSED;
		stage_pass(&stage, 2000);
		stage_turns(&stage, 2);
	}
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_int_equal(conn_count(&stage.worker), 0);
	expect_nothing_left(GROUPS, true);
	for (unsigned i = 0; i < GROUPS; i++)
		assert_true(list_empty(&upstream_group(&stage.worker, i)->leaving));
}

static void live(uint32_t seed, bool with_memory)
{
	state_now = seed;
	stage_start(&stage);
	for (unsigned step = 0; step < STEPS && stage.server_count < STAGE_SERVERS - 4; step++) {
		if (!with_memory && step % 20 == 0)
			memory_fail_every(&stage.memory, below(60));
		something_happens();
		expect_limits();
	}
	expect_an_end();
	stage_stop(&stage);
}

static void test_lives(void **state)
{
	for (uint32_t seed = 1; seed <= LIVES; seed++)
		live(seed, true);
}

static void test_lives_without_memory(void **state)
{
	for (uint32_t seed = 1001; seed <= 1000 + LIVES; seed++)
		live(seed, false);
}

/* The worker drains and ends in the middle of it all: stage_stop checks that nothing is left. */
static void test_lives_that_are_cut(void **state)
{
	for (uint32_t seed = 2001; seed <= 2000 + LIVES; seed++) {
		state_now = seed;
		stage_start(&stage);
		for (unsigned step = 0; step < 60; step++)
			something_happens();
		stage.worker.draining = true;
		entrance_drain(&stage.worker);
		upstream_drain(&stage.worker);
		stage_turns(&stage, 2);
		stage_stop(&stage);
		stage.worker.draining = false;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_lives_without_memory),
		cmocka_unit_test(test_lives_that_are_cut),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
