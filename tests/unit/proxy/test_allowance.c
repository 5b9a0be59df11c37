/* Allowances of whole exchanges: what passes in how much time, who shares with whom, what is refused, and what ends. */
#include "stage_fixture.h"

enum { SLOW, SHARED, FEW, PATIENT, TWO, QUOTA, UPLOAD };

enum { RATE = 64 * 1024, DEPTH = RATE / 8, BULK = 4 * 1024 * 1024 };

#define RULES "rules: [{allow: {addresses: [10.0.0.0/8]}}]"
#define LISTENER(port, name) "  - {listen: \"127.0.0.1:" port "\", allowance: " name ", " RULES "}\n"

static const char allowances_yaml[] =
	"timeouts: {tunnel: 1000s, total: 1000s, body: 1000s}\n"
	"forward:\n" LISTENER("3001", "slow") LISTENER("3002", "shared") LISTENER("3003", "few")
		LISTENER("3004", "patient") LISTENER("3005", "two") LISTENER("3006", "quota")
			LISTENER("3007", "upload") "allowances:\n"
						   "  slow: {by: address, bandwidth: 64 KiB}\n"
						   "  shared: {by: all, download: 64 KiB}\n"
						   "  few: {requests: 2, per: 10s}\n"
						   "  patient: {requests: 10, burst: 1, delay: 250ms}\n"
						   "  two: {connections: 2}\n"
						   "  quota: {quota: 100000, period: day}\n"
						   "  upload: {upload: 64 KiB}\n";

static uint8_t bulk[BULK];

static int allowances_set_up(void **state)
{
	for (size_t i = 0; i < BULK; i++)
		bulk[i] = (uint8_t)(i * 7 + i / 251);
	stage_configure(&stage, allowances_yaml);
	return 0;
}

/* What was used in the test before is not to matter. */
static int begin(void **state)
{
	allowances_free(stage.allowances);
	stage.allowances = allowances_new(&stage.outside, &stage.snapshot->settings.allowances, NULL);
	assert_non_null(stage.allowances);
	for (size_t i = 0; i < stage.snapshot->listener_count; i++)
		stage.listeners[i].allowances = stage.allowances;
	return set_up(state);
}

#define ASK(path) "GET http://10.2.0.1" path " HTTP/1.1\r\nHost: 10.2.0.1\r\n\r\n"
#define CONNECT "CONNECT 10.2.0.2:443 HTTP/1.1\r\nHost: 10.2.0.2:443\r\n\r\n"

/* One step of time; each source has always more than fits. */
static void step(uint64_t ms, struct stage_peer *const *sources, size_t *sent, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		sent[i] += stage_send(sources[i], span_make(bulk + sent[i], size_min(BULK - sent[i], 50000)));
	stage_pass(&stage, ms);
	stage_turns(&stage, 2);
}

static struct stage_peer *tunnel_of(unsigned who, unsigned listener, size_t *head)
{
	struct stage_peer *client = client_of(who, listener);

	say(client, CONNECT);
	assert_has(client, "HTTP/1.1 200 ");
	*head = client->len;
	return client;
}

/* ---- bandwidth ---- */

/* At each ms no more than was earned, and in the end all of it. */
static void check_rate(struct stage_peer *to, size_t before, struct stage_peer *from)
{
	size_t sent = 0, got = 0;
	const unsigned seconds = 8;

	for (unsigned ms = 0; ms < seconds * 1000; ms += 5) {
		step(5, &from, &sent, 1);
		got = to->len - before;
		assert_true(got <= DEPTH + (size_t)RATE * (ms + 5) / 1000);
	}
	assert_true(got + RATE / 16 >= (size_t)RATE * seconds);
	assert_memory_equal(to->bytes + before, bulk, got);
}

static void test_download_has_its_rate(void **state)
{
	struct stage_peer *client = client_of(1, SLOW);

	say(client, ASK("/"));
	say(server_at(0), "HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n");
	check_rate(client, client->len, server_at(0));
	everybody_leaves();
}

static void test_upload_has_its_rate(void **state)
{
	struct stage_peer *client = client_of(1, UPLOAD);

	say(client, "POST http://10.2.0.1/ HTTP/1.1\r\nHost: 10.2.0.1\r\nContent-Length: 4194304\r\n\r\n");
	check_rate(server_at(0), server_at(0)->len, client);
	everybody_leaves();
}

static void test_tunnel_has_its_rate(void **state)
{
	size_t head;
	struct stage_peer *client = tunnel_of(1, SLOW, &head);

	check_rate(client, head, server_at(0));
	everybody_leaves();
}

/* A step of seconds: what was not taken in time is not made up for beyond the depth. */
static void test_a_pause_earns_the_depth_alone(void **state)
{
	size_t head, sent = 0;
	struct stage_peer *client = tunnel_of(1, SLOW, &head), *server = server_at(0);

	for (unsigned i = 0; i < 50; i++) {
		stage_pass(&stage, 2000);
		size_t before = client->len;
		sent += stage_send(server, span_make(bulk + sent, 50000));
		stage_turns(&stage, 5);
		assert_true(client->len - before <= DEPTH);
		for (unsigned j = 0; j < 1000 && client->len < head + sent; j++)
			stage_pass(&stage, 1);
		assert_int_equal(client->len, head + sent);
	}
	everybody_leaves();
}

static void test_small_things_pass_at_once(void **state)
{
	size_t head;
	struct stage_peer *client = tunnel_of(1, SLOW, &head);

	say(client, "ping");
	assert_has(server_at(0), "ping");
	say(server_at(0), "pong");
	assert_has(client, "\r\n\r\npong");
	everybody_leaves();
}

static void test_connections_share_evenly(void **state)
{
	enum { CLIENTS = 4 };
	struct stage_peer *sources[CLIENTS], *clients[CLIENTS];
	size_t heads[CLIENTS], sent[CLIENTS] = {0}, sum = 0;
	const unsigned seconds = 8;

	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i] = tunnel_of(i, SHARED, &heads[i]);
		sources[i] = server_at(i);
	}
	for (unsigned ms = 0; ms < seconds * 1000; ms += 5)
		step(5, sources, sent, CLIENTS);
	for (unsigned i = 0; i < CLIENTS; i++) {
		size_t got = clients[i]->len - heads[i];
		sum += got;
		assert_true(got + RATE / 8 >= (size_t)RATE * seconds / CLIENTS);
		assert_true(got <= (size_t)RATE * seconds / CLIENTS + DEPTH);
	}
	assert_true(sum <= DEPTH + (size_t)RATE * seconds);
	everybody_leaves();
}

/* Beside bulk of the same allowance a line gets through in the time of a few portions. */
static void test_nobody_starves(void **state)
{
	size_t heads[2], sent = 0;
	struct stage_peer *bulky = tunnel_of(1, SHARED, &heads[0]), *quiet = tunnel_of(2, SHARED, &heads[1]);
	struct stage_peer *source = server_at(0);
	unsigned waited = 0;

	for (unsigned i = 0; i < 200; i++)
		step(5, &source, &sent, 1);
	assert_true(bulky->len > heads[0]);
	stage_say(server_at(1), "a line");
	for (; waited < 1000 && !has(quiet, "a line"); waited += 5)
		step(5, &source, &sent, 1);
	assert_true(waited <= 200);
	everybody_leaves();
}

/* Many short exchanges are no way around it: what one leaves unpaid the next waits for. */
static void test_short_exchanges_pay_too(void **state)
{
	struct stage_peer *client = client_of(1, SHARED);
	uint64_t began = stage.worker.loop.now;
	size_t total = 0;

	for (unsigned i = 0; i < 40; i++) {
		size_t before = client->len;
		say(client, ASK("/"));
		say(server_at(0), "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n");
		assert_int_equal(stage_send(server_at(0), span_make(bulk, 10000)), 10000);
		for (unsigned j = 0; j < 1000 && client->len < before + 10000; j++)
			stage_pass(&stage, 1);
		stage_turns(&stage, 3);
		total += 10000;
		assert_true(total <= DEPTH + (stage.worker.loop.now - began) * RATE / 1000);
	}
	assert_int_equal(stage.server_count, 1); /* as ever, the connection is kept */
	assert_true((stage.worker.loop.now - began) * RATE / 1000 <= total + total / 20);
	everybody_leaves();
}

static void test_the_end_of_a_tunnel_waits_for_its_bytes(void **state)
{
	size_t head;
	struct stage_peer *client = tunnel_of(1, SLOW, &head), *server = server_at(0);

	assert_int_equal(stage_send(server, span_make(bulk, 100000)), 100000);
	shutdown(server->fd, SHUT_WR);
	stage_turns(&stage, 10);
	assert_true(client->len - head < 100000);
	assert_false(client->ended);
	for (unsigned i = 0; i < 1700 && !client->ended; i++)
		stage_pass(&stage, 1);
	assert_true(client->ended);
	assert_false(client->reset);
	assert_int_equal(client->len - head, 100000);
	assert_memory_equal(client->bytes + head, bulk, 100000);
	everybody_leaves();
}

static void test_whoever_leaves_while_bytes_are_held(void **state)
{
	size_t head;
	struct stage_peer *client = tunnel_of(1, SLOW, &head);

	assert_int_equal(stage_send(server_at(0), span_make(bulk, 100000)), 100000);
	stage_turns(&stage, 5);
	stage_peer_close(client);
	everybody_leaves();
}

/* ---- requests ---- */

static void test_too_many_requests(void **state)
{
	struct stage_peer *client = client_of(1, FEW);

	for (unsigned i = 0; i < 2; i++) {
		say(client, ASK("/"));
		say(server_at(0), OK("", "0"));
	}
	say(client, ASK("/third"));
	assert_has(client, "HTTP/1.1 429 Too Many Requests\r\n");
	assert_has(client, "Retry-After: 5\r\n");
	assert_has(client, "error=http_request_denied");
	assert_has(client, "too many requests in too short a time");
	assert_false(client->ended); /* the connection is good for more */
	assert_false(has(server_at(0), "/third"));
	/* another client has its own */
	struct stage_peer *other = client_of(2, FEW);
	say(other, ASK("/other"));
	assert_has(server_at(1), "/other");
	stage_pass(&stage, 5000);
	say(client, ASK("/again"));
	assert_has(server_at(0), "/again");
	/* tunnels are requests too */
	client = client_of(1, FEW);
	say(client, CONNECT);
	assert_has(client, "HTTP/1.1 429 ");
	everybody_leaves();
}

static void test_requests_are_held_back(void **state)
{
	struct stage_peer *clients[4];

	for (unsigned i = 0; i < 4;
	     i++) { /* of the same address: each replaces the connection before, not its request */
		assert_true(stage_connect(&stage, i, PATIENT));
		clients[i] = &stage.clients[i];
	}
	for (unsigned i = 0; i < 4; i++)
		say(clients[i], ASK("/"));
	assert_int_equal(stage.server_count, 4); /* each client its own allowance */
	for (unsigned i = 0; i < 4; i++)
		say(server_at(i), OK("", "0"));
	say(clients[0], ASK("/late"));
	assert_int_equal(times(server_at(0), "GET /"), 1);
	stage_pass(&stage, 50);
	assert_int_equal(times(server_at(0), "GET /"), 1);
	stage_pass(&stage, 60);
	stage_turns(&stage, 3);
	assert_has(server_at(0), "GET /late");
	everybody_leaves();
}

static void test_whoever_leaves_while_held_back(void **state)
{
	struct stage_peer *client = client_of(1, PATIENT);

	say(client, ASK("/"));
	say(server_at(0), OK("", "0"));
	say(client, ASK("/late"));
	assert_int_equal(exchange_count(&stage.worker), 1);
	stage_peer_close(client);
	stage_turns(&stage, 3);
	everybody_leaves();
}

/* ---- connections ---- */

static void test_connections(void **state)
{
	size_t head;
	struct stage_peer *one = tunnel_of(1, TWO, &head);
	int kept = one->fd;

	one->fd = -1; /* the test keeps it, and makes more of the same address */
	struct stage_peer *two = tunnel_of(1, TWO, &head);
	int other = two->fd;
	two->fd = -1;
	struct stage_peer *three = client_of(1, TWO);
	say(three, ASK("/"));
	assert_has(three, "HTTP/1.1 429 ");
	assert_has(three, "Retry-After: 1\r\n");
	assert_has(three, "too many requests or tunnels at a time");
	struct stage_peer *elsewhere = tunnel_of(2, TWO, &head);
	assert_false(elsewhere->ended);
	close(kept);
	stage_peer_close(server_at(0)); /* a tunnel is one until both its ends have ended */
	stage_turns(&stage, 5);
	say(three, ASK("/now"));
	assert_has(server_at(3), "/now");
	close(other);
	everybody_leaves();
}

/* ---- quotas ---- */

static void test_quota(void **state)
{
	struct stage_peer *client = client_of(1, QUOTA);

	say(client, ASK("/"));
	say(server_at(0), "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
	assert_int_equal(stage_send(server_at(0), span_make(bulk, 100000)), 100000);
	stage_turns(&stage, 10);
	assert_true(client->len > 100000); /* as much as there may be */
	client = client_of(1, QUOTA);
	say(client, ASK("/more"));
	assert_has(client, "HTTP/1.1 429 ");
	assert_has(client, "the quota is used up");
	assert_has(client, "Retry-After: ");
	everybody_leaves();
}

static void test_quota_breaks_off(void **state)
{
	struct stage_peer *client = client_of(1, QUOTA);

	say(client, ASK("/"));
	say(server_at(0), "HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n");
	size_t sent = 0;
	struct stage_peer *server = server_at(0);
	for (unsigned i = 0; i < 100 && !client->ended; i++)
		step(1, &server, &sent, 1);
	assert_true(client->ended); /* and it cannot be taken for all of it */
	assert_true(client->len >= 100000 && client->len < 300000);
	assert_int_equal(exchange_count(&stage.worker), 0);
	everybody_leaves();
}

static void test_quota_of_an_upload_is_said(void **state)
{
	struct stage_peer *client = client_of(1, QUOTA);
	size_t sent = 0;

	say(client, "POST http://10.2.0.1/ HTTP/1.1\r\nHost: 10.2.0.1\r\nContent-Length: 4194304\r\n\r\n");
	for (unsigned i = 0; i < 100 && !has(client, "429"); i++)
		step(1, &client, &sent, 1);
	assert_has(client, "HTTP/1.1 429 ");
	assert_true(server_at(0)->ended);
	everybody_leaves();
}

static void test_quota_of_a_tunnel(void **state)
{
	size_t head, sent = 0;
	struct stage_peer *client = tunnel_of(1, QUOTA, &head), *server = server_at(0);

	for (unsigned i = 0; i < 100 && !client->ended; i++)
		step(1, &server, &sent, 1);
	assert_true(client->ended && server->ended);
	client = client_of(1, QUOTA);
	say(client, CONNECT);
	assert_has(client, "HTTP/1.1 429 ");
	everybody_leaves();
}

/* ---- memory ---- */

static void test_no_memory(void **state)
{
	for (unsigned every = 1; every < 40; every++) {
		struct stage_peer *client = client_of(1, SLOW);
		memory_fail_every(&stage.memory, every);
		memory_fail_every(&stage.outside, every);
		stage_say(client, ASK("/"));
		stage_turns(&stage, 3);
		if (stage.server_count) {
			stage_say(server_at(stage.server_count - 1), OK("body", "4"));
			stage_turns(&stage, 3);
		}
		memory_fail_every(&stage.memory, 0);
		memory_fail_every(&stage.outside, 0);
		everybody_leaves();
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_download_has_its_rate),
		TEST(test_upload_has_its_rate),
		TEST(test_tunnel_has_its_rate),
		TEST(test_a_pause_earns_the_depth_alone),
		TEST(test_small_things_pass_at_once),
		TEST(test_connections_share_evenly),
		TEST(test_nobody_starves),
		TEST(test_short_exchanges_pay_too),
		TEST(test_the_end_of_a_tunnel_waits_for_its_bytes),
		TEST(test_whoever_leaves_while_bytes_are_held),
		TEST(test_too_many_requests),
		TEST(test_requests_are_held_back),
		TEST(test_whoever_leaves_while_held_back),
		TEST(test_connections),
		TEST(test_quota),
		TEST(test_quota_breaks_off),
		TEST(test_quota_of_an_upload_is_said),
		TEST(test_quota_of_a_tunnel),
		TEST(test_no_memory),
	};
	return cmocka_run_group_tests_name("allowance", tests, allowances_set_up, group_tear_down);
}
