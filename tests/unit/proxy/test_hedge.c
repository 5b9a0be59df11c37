/* Hedges on a stage whose servers speak HTTP/1: who wins, what becomes of the other one, and what each failure leads to. */
#include "stage_fixture.h"

enum { HEDGED };                     /* listeners */
enum { WEB, TRIES, LONE, PAY, TWO }; /* groups */

static const char hedge_yaml[] =
	"limits: {memory: 64 MiB, flow: 4 KiB}\n"
	"timeouts: {header: 5s, idle: 100s, body: 60s, connect: 2s, response: 70s, pool: 120s}\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:8080\n"
	"    routes:\n"
	"      - {path: /tries, to: tries}\n"
	"      - {path: /lone, to: lone}\n"
	"      - {path: /pay, to: pay}\n"
	"      - {path: /two, to: two}\n"
	"      - {to: web}\n"
	"upstreams:\n"
	"  web: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\", \"10.9.0.3:80\"], retries: 1, retry_on: [503],\n"
	"        hedge: {percentile: 90, minimum: 20ms}}\n"
	"  tries: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\", \"10.9.0.3:80\"], retries: 1, timeouts: {try: 50ms},\n"
	"          hedge: {percentile: 90, minimum: 20ms}}\n"
	"  lone: {servers: [\"10.9.0.1:80\"], hedge: {percentile: 90, minimum: 20ms}}\n"
	"  pay: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], retry_budget: {percent: 0, per_second: 0, burst: 1},\n"
	"        hedge: {percentile: 90, minimum: 20ms}}\n"
	"  two: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], retries: 2, hedge: {percentile: 90, minimum: 20ms}}\n";

static int hedge_group_set_up(void **state)
{
	stage_configure(&stage, hedge_yaml);
	return 0;
}

/* Servers usually answer within 10 ms. */
static void learn(unsigned group)
{
	for (unsigned i = 0; i < 100; i++)
		latency_digest_add(&upstream_group(&stage.worker, group)->latencies, 9000);
}

static int hedge_set_up(void **state)
{
	stage_start(&stage);
	for (unsigned i = WEB; i <= TWO; i++)
		learn(i);
	return 0;
}

static int hedge_tear_down(void **state)
{
	everybody_leaves();
	stage_stop(&stage);
	return 0;
}

static void anew(void)
{
	hedge_tear_down(NULL);
	hedge_set_up(NULL);
}

static void late(uint64_t ms)
{
	stage_pass(&stage, ms);
	stage_turns(&stage, 3);
}

/* The server that the connection went to, as the group knows it. */
static struct fleet_server *known(unsigned group, const struct stage_peer *peer)
{
	const struct upstream_view *view = upstream_group(&stage.worker, group)->view;

	for (unsigned i = 0; i < view->count; i++)
		if (address_equal(&view->servers[i]->fleet->address, &peer->address))
			return view->servers[i]->fleet;
	fail();
	return NULL;
}

static void assert_account(unsigned group, unsigned server, unsigned answers, unsigned failures)
{
	const struct fleet_server *fleet = known(group, server_at(server));

	assert_int_equal(fleet->counters[0].answers, answers);
	assert_int_equal(fleet->counters[0].failures, failures);
	assert_int_equal(fleet->counters[0].running, 0);
	assert_int_equal(fleet->in_flight, 0);
}

/* Asks, and waits until a second server has the request too. */
static struct stage_peer *ask_both(const char *request)
{
	struct stage_peer *client = client_of(1, HEDGED);
	unsigned before = stage.server_count;

	say(client, request);
	assert_int_equal(stage.server_count, before + 1);
	late(19);
	assert_int_equal(stage.server_count, before + 1);
	late(2);
	assert_int_equal(stage.server_count, before + 2);
	assert_false(address_equal(&server_at(before)->address, &server_at(before + 1)->address));
	assert_string_equal((char *)server_at(before)->bytes, (char *)server_at(before + 1)->bytes);
	return client;
}

#define BUSY "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"

static void test_hedge_wins(void **state)
{
	struct stage_peer *client = ask_both(GET("/a"));

	say(server_at(1), OK("second", "6"));
	assert_has(client, "HTTP/1.1 200 OK\r\n");
	assert_has(client, "\r\n\r\nsecond");
	assert_true(server_at(0)->ended);
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_account(WEB, 0, 0, 0);
	assert_account(WEB, 1, 1, 0);
	/* Both connections of the client and of the winner go on. */
	say(client, GET("/b"));
	say(client, "");
	assert_false(client->ended);
	assert_false(server_at(1)->ended);
}

static void test_first_wins(void **state)
{
	struct stage_peer *client = ask_both(GET("/a"));

	say(server_at(0), OK("first", "5"));
	assert_has(client, "\r\n\r\nfirst");
	assert_true(server_at(1)->ended);
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_account(WEB, 0, 1, 0);
	assert_account(WEB, 1, 0, 0);
}

static void test_first_fails(void **state)
{
	struct stage_peer *client = ask_both(GET("/a"));

	stage_peer_close(server_at(0));
	stage_turns(&stage, 3);
	assert_int_equal(client->len, 0);
	assert_int_equal(stage.server_count, 2);
	say(server_at(1), OK("second", "6"));
	assert_has(client, "second");
	assert_account(WEB, 0, 0, 1);
	assert_account(WEB, 1, 1, 0);
}

static void test_hedge_fails(void **state)
{
	struct stage_peer *client = ask_both(GET("/a"));

	stage_peer_close(server_at(1));
	stage_turns(&stage, 3);
	assert_int_equal(client->len, 0);
	assert_int_equal(stage.server_count, 2);
	late(500); /* it is not done again */
	assert_int_equal(stage.server_count, 2);
	say(server_at(0), OK("first", "5"));
	assert_has(client, "first");
	assert_account(WEB, 0, 1, 0);
	assert_account(WEB, 1, 0, 1);
}

/* In either order: a retry asks the third server. */
static void test_both_fail(void **state)
{
	for (unsigned first = 0; first < 2; first++) {
		struct stage_peer *client = ask_both(GET("/a"));
		unsigned one = stage.server_count - 2;
		stage_peer_close(server_at(one + first));
		stage_turns(&stage, 3);
		stage_peer_close(server_at(one + 1 - first));
		stage_turns(&stage, 3);
		assert_int_equal(stage.server_count, one + 3);
		assert_false(address_equal(&server_at(one + 2)->address, &server_at(one)->address));
		assert_false(address_equal(&server_at(one + 2)->address, &server_at(one + 1)->address));
		say(server_at(one + 2), OK("third", "5"));
		assert_has(client, "third");
		anew();
	}
}

static void test_nobody_is_asked_twice(void **state)
{
	for (unsigned first = 0; first < 2; first++) {
		struct stage_peer *client = ask_both(GET("/two"));
		stage_peer_close(server_at(first));
		stage_turns(&stage, 3);
		stage_peer_close(server_at(1 - first));
		stage_turns(&stage, 3);
		assert_has(client, "HTTP/1.1 502 ");
		assert_int_equal(stage.server_count, 2);
		anew();
	}
}

static void test_all_fail(void **state)
{
	struct stage_peer *client = ask_both(GET("/a"));

	for (unsigned i = 0; i < 3; i++) {
		stage_peer_close(server_at(i));
		stage_turns(&stage, 3);
	}
	assert_has(client, "HTTP/1.1 502 ");
	assert_int_equal(stage.server_count, 3);
}

/* A status of retry_on does not win while there is another hope. */
static void test_first_is_busy(void **state)
{
	struct stage_peer *client = ask_both(GET("/a"));

	say(server_at(0), BUSY);
	assert_int_equal(client->len, 0);
	assert_true(server_at(0)->ended);
	say(server_at(1), OK("second", "6"));
	assert_has(client, "second");
	assert_account(WEB, 0, 1, 0);
	assert_account(WEB, 1, 1, 0);
}

static void test_hedge_is_busy(void **state)
{
	struct stage_peer *client = ask_both(GET("/a"));

	say(server_at(1), BUSY);
	assert_int_equal(client->len, 0);
	assert_true(server_at(1)->ended);
	say(server_at(0), OK("first", "5"));
	assert_has(client, "first");
	assert_account(WEB, 0, 1, 0);
	assert_account(WEB, 1, 1, 0);
}

/* Then it is as with any try: one more, and what that one says is passed on. */
static void test_both_are_busy(void **state)
{
	for (unsigned first = 0; first < 2; first++) {
		struct stage_peer *client = ask_both(GET("/a"));
		say(server_at(first), BUSY);
		say(server_at(1 - first), BUSY);
		assert_int_equal(client->len, 0);
		assert_int_equal(stage.server_count, 3);
		say(server_at(2), BUSY);
		assert_has(client, "HTTP/1.1 503 ");
		assert_has(client, "busy");
		anew();
	}
}

/* What the first one says before the end is the client's; the hedge's is nobody's. */
static void test_interim(void **state)
{
	struct stage_peer *client = ask_both(GET("/a"));

	say(server_at(1), "HTTP/1.1 103 Early Hints\r\nLink: </second>\r\n\r\n");
	assert_int_equal(client->len, 0);
	say(server_at(0), "HTTP/1.1 103 Early Hints\r\nLink: </first>\r\n\r\n");
	assert_has(client, "</first>");
	say(server_at(1), OK("second", "6"));
	assert_has(client, "\r\n\r\nsecond");
	assert_false(has(client, "</second>"));
}

/* The client resets its connection: something that it has not read makes that of a close. */
static void client_goes(unsigned told_by)
{
	if (told_by == 0)
		say(server_at(0), "HTTP/1.1 103 Early Hints\r\nLink: </first>\r\n\r\n");
	stage_peer_close(&stage.clients[1]);
	stage_turns(&stage, 3);
	assert_int_equal(exchange_count(&stage.worker), 0);
	for (unsigned i = 0; i < stage.server_count; i++) {
		assert_true(server_at(i)->fd < 0 || server_at(i)->ended);
		assert_int_equal(known(WEB, server_at(i))->counters[0].running, 0);
	}
	stage_pass(&stage, 1000);
	anew();
}

static void test_client_goes(void **state)
{
	struct stage_peer *client = client_of(1, HEDGED);

	client->paused = true;
	say(client, GET("/armed"));
	client_goes(0);

	ask_both(GET("/beside"))->paused = true;
	client_goes(0);

	ask_both(GET("/leads"))->paused = true;
	say(server_at(0), "HTTP/1.1 103 Early Hints\r\nLink: </first>\r\n\r\n");
	stage_peer_close(server_at(0));
	stage_turns(&stage, 3);
	client_goes(1);

	ask_both(GET("/answered"))->paused = true;
	say(server_at(1), "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsec");
	client_goes(1);
}

/* A response that breaks off does so for the client too. */
static void test_truncated(void **state)
{
	struct stage_peer *client = ask_both(GET("/a"));

	say(server_at(1), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	assert_has(client, "abc");
	stage_peer_close(server_at(1));
	stage_turns(&stage, 3);
	assert_true(client->ended);
	assert_false(has(client, "\r\n0\r\n"));
	assert_int_equal(exchange_count(&stage.worker), 0);
}

static void test_trailers(void **state)
{
	struct stage_peer *client =
		ask_both("GET /a HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n");

	say(server_at(1),
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n");
	assert_has(client, "\r\n0\r\nX-Sum: 7\r\n\r\n");
	assert_int_equal(exchange_count(&stage.worker), 0);
}

static void test_bodiless(void **state)
{
	struct stage_peer *client = ask_both("HEAD /a HTTP/1.1\r\nHost: a.test\r\n\r\n");

	say(server_at(1), "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
	assert_has(client, "Content-Length: 1000\r\n");
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_false(client->ended);
	assert_false(server_at(1)->ended);
}

/* A reader that takes nothing holds the server up; what is between them is bounded; and all of it arrives. */
static void test_slow_reader(void **state)
{
	enum { SIZE = 4 * 1024 * 1024 };
	static uint8_t piece[16 * 1024];
	struct stage_peer *client = ask_both(GET("/a"));
	size_t sent = 0, stuck = 0;

	for (size_t i = 0; i < sizeof(piece); i++)
		piece[i] = (uint8_t)('a' + i % 26);
	client->paused = true;
	say(server_at(1), "HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n");
	assert_true(server_at(0)->ended); /* the head decides */
	size_t before = atomic_load(&stage.memory.used);
	for (unsigned idle = 0; idle < 20; idle++) {
		size_t most = size_min(sizeof(piece) - sent % sizeof(piece), SIZE - sent);
		size_t step = stage_send(server_at(1), span_make(piece + sent % sizeof(piece), most));
		sent += step;
		idle = step ? 0 : idle;
		stage_turn(&stage);
	}
	assert_true(sent < SIZE / 2);
	assert_true(atomic_load(&stage.memory.used) < before + 256 * 1024);
	client->paused = false;
	for (unsigned turn = 0; turn < 20000 && sent < SIZE && stuck < 100; turn++) {
		size_t most = size_min(sizeof(piece) - sent % sizeof(piece), SIZE - sent);
		size_t step = stage_send(server_at(1), span_make(piece + sent % sizeof(piece), most));
		sent += step;
		stuck = step ? 0 : stuck + 1;
		stage_turn(&stage);
	}
	assert_int_equal(sent, SIZE);
	stage_turns(&stage, 50);
	const uint8_t *body = (const uint8_t *)strstr((char *)client->bytes, "\r\n\r\n") + 4;
	assert_int_equal(client->bytes + client->len - body, SIZE);
	for (size_t i = 0; i < SIZE; i += sizeof(piece))
		assert_memory_equal(body + i, piece, sizeof(piece));
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_false(client->ended);
}

/* timeouts.try ends the first one: the hedge has its own time, and then a retry follows. */
static void test_try_is_late(void **state)
{
	struct stage_peer *client = ask_both(GET("/tries"));

	late(30); /* 51 ms since the first, 30 since the second */
	assert_true(server_at(0)->ended);
	assert_false(server_at(1)->ended);
	assert_account(TRIES, 0, 0, 1);
	late(21);
	assert_true(server_at(1)->ended);
	assert_int_equal(stage.server_count, 3);
	say(server_at(2), OK("third", "5"));
	assert_has(client, "third");
	assert_account(TRIES, 1, 0, 1);
}

static void goes_down(unsigned group, unsigned server)
{
	atomic_store(&known(group, server_at(server))->health, FLEET_DOWN);
	fleet_alarm(upstream_group(&stage.worker, group)->fleet);
	stage_turns(&stage, 3);
}

static void test_server_goes_down(void **state)
{
	for (unsigned down = 0; down < 2; down++) {
		struct stage_peer *client = ask_both(GET("/a"));
		goes_down(WEB, down);
		assert_true(server_at(down)->ended);
		assert_false(server_at(1 - down)->ended);
		assert_int_equal(stage.server_count, 2);
		say(server_at(1 - down), OK("other", "5"));
		assert_has(client, "other");
		anew();
	}
}

/* A hedge on a connection that had been idle, and ends now: when it is the try, it gets a fresh one like any try. */
static void test_reused_connection(void **state)
{
	struct stage_peer *client = client_of(1, HEDGED);

	for (unsigned i = 0; i < 3; i++) {
		say(client, GET("/warm"));
		say(server_at(i), OK("warm", "4"));
	}
	assert_int_equal(stage.server_count, 3);
	say(client, GET("/again"));
	late(21);
	assert_has(server_at(0), "/again");
	assert_has(server_at(1), "/again");
	stage_peer_close(server_at(0));
	stage_turns(&stage, 3);
	/* That was the first one, on a reused connection: it has a fresh one now, and the hedge goes on. */
	assert_int_equal(stage.server_count, 4);
	assert_has(server_at(3), "/again");
	stage_peer_close(server_at(3));
	stage_turns(&stage, 3);
	/* Now the hedge leads. */
	assert_int_equal(stage.server_count, 4);
	stage_peer_close(server_at(1));
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 5);
	assert_true(address_equal(&server_at(4)->address, &server_at(1)->address));
	say(server_at(4), OK("fresh", "5"));
	assert_has(client, "fresh");
}

/* ---- when there is none ---- */

static void assert_no_hedge(const char *request)
{
	unsigned before = stage.server_count;
	struct stage_peer *client = client_of(2, HEDGED);

	say(client, request);
	assert_int_equal(stage.server_count, before + 1);
	late(200);
	assert_int_equal(stage.server_count, before + 1);
	say(server_at(before), OK("only", "4"));
	assert_has(client, "only");
	stage_peer_close(server_at(before));
	stage_turns(&stage, 2);
}

static void test_none(void **state)
{
	assert_no_hedge("POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
	assert_no_hedge("PUT /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx");
	assert_no_hedge("DELETE /a HTTP/1.1\r\nHost: a.test\r\n\r\n"); /* idempotent, not safe */
	assert_no_hedge("GET /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx");
	assert_no_hedge("GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
	assert_no_hedge(GET("/lone"));
	upstream_group(&stage.worker, WEB)->latencies = (struct latency_digest){0};
	assert_no_hedge(GET("/a"));
}

/* Hedges are paid for from the budget of retries. */
static void test_budget(void **state)
{
	ask_both(GET("/pay"));
	say(server_at(1), OK("once", "4"));
	assert_no_hedge(GET("/pay"));
}

static void test_pressure(void **state)
{
	struct stage_peer *client = client_of(1, HEDGED);

	say(client, GET("/a"));
	size_t most = stage.memory.limit / 10 * 9 - atomic_load(&stage.memory.used);
	assert_true(memory_take(&stage.memory, most));
	late(100);
	assert_int_equal(stage.server_count, 1);
	memory_give(&stage.memory, most);
	say(server_at(0), OK("first", "5"));
	assert_has(client, "first");
}

/* Of answers that are not waited for it is known that they take long: what is usual does not sink with each hedge. */
static void test_what_is_usual(void **state)
{
	struct latency_digest *digest = &upstream_group(&stage.worker, WEB)->latencies;
	uint32_t before = digest->total;

	ask_both(GET("/a"));
	say(server_at(1), OK("second", "6"));
	assert_int_equal(digest->total, before + 2);
	assert_true(latency_digest_at(digest, 100) >= 20000);
	assert_int_equal(digest->counts[0], 1); /* the hedge's own time counts from its own beginning */
}

/* ---- memory that fails ---- */

static void try(struct stage_peer *peer, const char *text)
{
	stage_say(peer, text);
	stage_turns(&stage, 3);
}

static void try_hedge(unsigned fails)
{
	if (!stage_connect(&stage, 1, HEDGED))
		return;
	unsigned before = stage.server_count;
	try(&stage.clients[1], GET("/a"));
	late(21);
	if (stage.server_count < before + 2)
		return;
	if (fails)
		stage_peer_close(server_at(before + fails - 1));
	stage_turns(&stage, 2);
	try(server_at(before + 1),
	    "HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	try(server_at(before + 1), "0\r\nX-Sum: 1\r\n\r\n");
	try(server_at(before), OK("abc", "3"));
}

/* Each n-th allocation, for every n: nothing crashes, nothing is left, and when memory is back so is service. */
static void test_memory(void **state)
{
	for (unsigned every = 1; every <= 150; every++) {
		hedge_set_up(state);
		memory_fail_every(&stage.memory, every);
		for (unsigned i = 0; i < 6; i++)
			try_hedge(i % 3);
		memory_fail_every(&stage.memory, 0);
		everybody_leaves();
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(
				upstream_group(&stage.worker, WEB)->view->servers[i]->fleet->in_flight, 0);
		struct stage_peer *client = ask_both(GET("/a"));
		say(server_at(stage.server_count - 1), OK("second", "6"));
		assert_has(client, "second");
		hedge_tear_down(state); /* looks that all has been given back */
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, hedge_set_up, hedge_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hedge_wins),        TEST(test_first_wins),    TEST(test_first_fails),
		TEST(test_hedge_fails),       TEST(test_both_fail),     TEST(test_nobody_is_asked_twice),
		TEST(test_all_fail),          TEST(test_first_is_busy), TEST(test_hedge_is_busy),
		TEST(test_both_are_busy),     TEST(test_interim),       TEST(test_client_goes),
		TEST(test_truncated),         TEST(test_trailers),      TEST(test_bodiless),
		TEST(test_slow_reader),       TEST(test_try_is_late),   TEST(test_server_goes_down),
		TEST(test_reused_connection), TEST(test_none),          TEST(test_budget),
		TEST(test_pressure),          TEST(test_what_is_usual), cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, hedge_group_set_up, group_tear_down);
}
