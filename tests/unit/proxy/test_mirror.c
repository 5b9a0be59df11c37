/* Mirrors on a stage: the second group hears the same, and whatever it does or does not, the first exchange is as without it. */
#include "stage_fixture.h"

enum { MIRRORED }; /* listeners */
enum { MAIN, SHADOW, BUSY, GROUPS };

static const char mirror_yaml[] =
	"limits: {memory: 64 MiB, flow: 4 KiB}\n"
	"timeouts: {header: 5s, idle: 100s, body: 60s, connect: 2s, response: 70s, pool: 120s}\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:8080\n"
	"    forwarded: x_forwarded\n"
	"    routes:\n"
	"      - {path: /share, to: main, mirror: {to: shadow, percent: 30}}\n"
	"      - {path: /plain, to: main}\n"
	"      - {path: /host/, to: main, set_host: server, rewrite: {from: /host/, to: /there/},\n"
	"         request: {set: {X-Set: \"1\"}, remove: [X-Gone]}, mirror: {to: shadow}}\n"
	"      - {path: /busy, to: main, mirror: {to: busy}}\n"
	"      - {to: main, mirror: {to: shadow}}\n"
	"upstreams:\n"
	"  main: {servers: [\"10.9.0.1:80\"], timeouts: {response: 30s}}\n"
	"  shadow: {servers: [\"10.9.0.2:80\"], timeouts: {response: 5s}}\n"
	"  busy: {servers: [\"10.9.0.3:80\", \"10.9.0.4:80\"], retries: 1, retry_on: [503]}\n";

static int mirror_group_set_up(void **state)
{
	stage_configure(&stage, mirror_yaml);
	return 0;
}

static int mirror_tear_down(void **state)
{
	everybody_leaves();
	assert_int_equal(upstream_group(&stage.worker, SHADOW)->mirrors, 0);
	stage_stop(&stage);
	return 0;
}

/* The n-th connection to 10.9.0.`host`, from 0. */
static struct stage_peer *server_of(unsigned host, unsigned n)
{
	for (unsigned i = 0; i < stage.server_count; i++)
		if (stage.servers[i].address.ip[3] == host && n-- == 0)
			return &stage.servers[i];
	return NULL;
}

static unsigned connections_to(unsigned host)
{
	unsigned count = 0;

	while (server_of(host, count))
		count++;
	return count;
}

static struct stage_peer *first(void)
{
	struct stage_peer *server = server_of(1, 0);
	assert_non_null(server);
	return server;
}

static struct stage_peer *shadow(void)
{
	struct stage_peer *server = server_of(2, 0);
	assert_non_null(server);
	return server;
}

static void assert_same(void)
{
	assert_int_equal(first()->len, shadow()->len);
	assert_memory_equal(first()->bytes, shadow()->bytes, first()->len);
}

static void test_both_hear_it(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	say(client, GET("/a"));
	assert_has(first(), "GET /a HTTP/1.1\r\nHost: a.test\r\n");
	assert_has(first(), "X-Forwarded-For: 10.1.0.1\r\n");
	assert_same();
	say(shadow(), OK("not this", "8"));
	assert_int_equal(client->len, 0);
	say(first(), OK("this", "4"));
	assert_has(client, "\r\n\r\nthis");
	assert_false(has(client, "not this"));
	assert_int_equal(exchange_count(&stage.worker), 0);
	/* Its connection is kept, and used again. */
	say(client, GET("/b"));
	assert_int_equal(stage.server_count, 2);
	assert_has(shadow(), "GET /b");
}

/* What servers see, not what the client said. */
static void test_masked(void **state)
{
	say(client_of(1, MIRRORED), "GET /host/x HTTP/1.1\r\nHost: a.test\r\nX-Gone: 1\r\n\r\n");
	assert_has(first(), "GET /there/x HTTP/1.1\r\nHost: 10.9.0.1:80\r\n");
	assert_has(shadow(), "GET /there/x HTTP/1.1\r\nHost: 10.9.0.2:80\r\n");
	assert_has(shadow(), "X-Set: 1\r\n");
	assert_false(has(shadow(), "X-Gone"));
}

static void test_content_with_a_length(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	say(client, "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\n");
	say(client, "01234");
	say(client, "56789");
	assert_has(shadow(), "\r\n\r\n0123456789");
	assert_same();
	say(first(), OK("", "0"));
	say(shadow(), OK("", "0"));
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_false(shadow()->ended);
}

static void test_content_in_chunks(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	say(client, "POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
	say(client, "3\r\nabc\r\n");
	say(client, "4\r\ndefg\r\n0\r\nX-Sum: 1\r\nForwarded: for=1\r\n\r\n");
	assert_has(shadow(), "3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 1\r\n\r\n");
	assert_same();
}

/* The first one's answer, and the client, may be gone by the time that the mirror answers. */
static void test_outlives_the_exchange(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	say(client, "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
	say(first(), OK("this", "4"));
	assert_has(client, "this");
	stage_peer_close(client);
	stage_turns(&stage, 3);
	assert_int_equal(exchange_count(&stage.worker), 1);
	say(shadow(), "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
	assert_int_equal(exchange_count(&stage.worker), 1);
	say(shadow(), "def");
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_false(shadow()->ended);
}

/* Without the end of the request there is none to be had: the mirror must not take a part for the whole. */
static void test_the_client_breaks_off(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	say(client, "POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	stage_peer_close(client);
	stage_turns(&stage, 3);
	assert_true(shadow()->ended);
	assert_false(has(shadow(), "\r\n0\r\n"));
	assert_int_equal(exchange_count(&stage.worker), 0);
}

static void test_the_first_answers_early(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	say(client, "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\n01234");
	say(first(), "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
	stage_peer_close(first());
	assert_has(client, "HTTP/1.1 400 ");
	say(client, "56789");
	assert_true(shadow()->ended);
	assert_false(has(shadow(), "56789"));
}

/* ---- what the mirror does is nobody's matter ---- */

static void answer_first(struct stage_peer *client)
{
	say(first(), OK("this", "4"));
	assert_has(client, "HTTP/1.1 200 OK\r\n");
	assert_has(client, "\r\n\r\nthis");
	assert_false(client->ended);
}

static void test_it_refuses(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	stage.refuse_next = ECONNREFUSED; /* the mirror connects first */
	say(client, "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
	assert_int_equal(connections_to(2), 0);
	answer_first(client);
	assert_has(first(), "\r\n\r\nabc");
}

static void test_it_closes(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	say(client, "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n\r\nabc");
	stage_peer_close(shadow());
	stage_turns(&stage, 3);
	say(client, "def");
	assert_has(first(), "abcdef");
	answer_first(client);
	assert_int_equal(connections_to(2), 1);
}

static void test_it_talks_nonsense(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	say(client, GET("/a"));
	say(shadow(), "what?\r\n\r\n");
	assert_true(shadow()->ended);
	answer_first(client);
}

static void test_it_answers_early(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	say(client, "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n\r\nabc");
	say(shadow(), OK("early", "5"));
	say(client, "def");
	assert_has(first(), "abcdef");
	answer_first(client);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* It never reads: what it has not taken is bounded, and it is given up. The first one gets all. */
static void test_it_never_reads(void **state)
{
	enum { SIZE = 8 * 1024 * 1024 };
	static uint8_t piece[16 * 1024];
	struct stage_peer *client = client_of(1, MIRRORED);
	size_t sent = 0;

	for (size_t i = 0; i < sizeof(piece); i++)
		piece[i] = (uint8_t)('a' + i % 26);
	say(client, "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 8388608\r\n\r\n");
	shadow()->paused = true;
	size_t before = atomic_load(&stage.memory.used);
	for (unsigned turn = 0; turn < 20000 && sent < SIZE; turn++) {
		size_t at = sent % sizeof(piece);
		sent += stage_send(client, span_make(piece + at, sizeof(piece) - at));
		stage_turn(&stage);
		assert_true(atomic_load(&stage.memory.used) < before + 512 * 1024);
	}
	assert_int_equal(sent, SIZE);
	stage_turns(&stage, 50);
	const uint8_t *body = (const uint8_t *)strstr((char *)first()->bytes, "\r\n\r\n") + 4;
	assert_int_equal(first()->bytes + first()->len - body, SIZE);
	for (size_t i = 0; i < SIZE; i += sizeof(piece))
		assert_memory_equal(body + i, piece, sizeof(piece));
	answer_first(client);
	assert_int_equal(exchange_count(&stage.worker), 0);
	shadow()->paused = false;
	stage_turns(&stage, 200);
	assert_true(shadow()->ended);
	assert_true(shadow()->len < SIZE);
}

/* It takes all, and does not answer; or begins to, and drips. */
static void test_it_takes_too_long(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	say(client, GET("/a"));
	answer_first(client);
	stage_pass(&stage, 2500);
	say(shadow(), "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\na");
	stage_pass(&stage, 2400);
	say(shadow(), "b");
	assert_int_equal(exchange_count(&stage.worker), 1);
	stage_pass(&stage, 200);
	stage_turns(&stage, 2);
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_true(shadow()->ended);
}

/* An answer without end is not read for ever; a long one that ends leaves the connection as it was. */
static void test_it_answers_too_much(void **state)
{
	static char piece[64 * 1024];
	struct stage_peer *client = client_of(1, MIRRORED);
	size_t sent = 0;

	memset(piece, 'x', sizeof(piece));
	say(client, GET("/a"));
	say(shadow(), "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
	for (unsigned turn = 0; turn < 1000 && sent < 1048576; turn++) {
		sent += stage_send(shadow(),
				   span_make((uint8_t *)piece, size_min(sizeof(piece), 1048576 - sent)));
		stage_turn(&stage);
	}
	answer_first(client);
	assert_false(shadow()->ended);
	say(client, GET("/b"));
	assert_has(shadow(), "GET /b");
	say(shadow(), "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n");
	for (sent = 0; sent < 9999999 && !shadow()->ended; stage_turn(&stage))
		sent += stage_send(shadow(), span_make((uint8_t *)piece, sizeof(piece)));
	assert_true(sent < 2 * 1048576);
	say(first(), OK("this", "4"));
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* Its group has retries of its own. */
static void test_its_retries(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	say(client, "PUT /busy HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
	assert_non_null(server_of(3, 0));
	say(server_of(3, 0), "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
	assert_non_null(server_of(4, 0));
	assert_has(server_of(4, 0), "\r\n\r\nabc");
	say(server_of(4, 0), OK("", "0"));
	answer_first(client);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* ---- whether there is one ---- */

/* Whether the server has been asked anew; it answers. */
static bool answer_if_asked(struct stage_peer *server)
{
	if (server->len == 0)
		return false;
	server->len = 0;
	say(server, OK("", "0"));
	return true;
}

static void test_share(void **state)
{
	enum { ASKED = 2000 };
	struct stage_peer *client = client_of(1, MIRRORED);
	unsigned mirrored = 0;

	for (unsigned i = 0; i < ASKED; i++) {
		say(client, GET("/share"));
		assert_true(answer_if_asked(first()));
		mirrored += server_of(2, 0) && answer_if_asked(shadow());
		assert_true(client->len > 0);
		assert_int_equal(exchange_count(&stage.worker), 0);
		client->len = 0;
	}
	assert_in_range(mirrored, ASKED * 25 / 100, ASKED * 35 / 100); /* more than four standard deviations */
}

static void assert_not_mirrored(const char *request)
{
	struct stage_peer *client = client_of(1, MIRRORED);
	unsigned before = connections_to(2);

	say(client, request);
	assert_int_equal(connections_to(2), before);
	assert_int_equal(exchange_count(&stage.worker), 1);
	everybody_leaves();
}

static void test_none(void **state)
{
	struct upstream_group *group = upstream_group(&stage.worker, SHADOW);

	assert_not_mirrored(GET("/plain"));
	assert_not_mirrored("GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
	group->mirrors = 512;
	assert_not_mirrored(GET("/a"));
	group->mirrors = 0;
}

static void test_pressure(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);

	say(client, "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n\r\nabc");
	size_t most = stage.memory.limit / 10 * 9 - atomic_load(&stage.memory.used);
	assert_true(memory_take(&stage.memory, most));
	say(client, "def"); /* the one that is there is given up */
	assert_true(shadow()->ended);
	assert_has(first(), "abcdef");
	say(first(), OK("this", "4"));
	say(client, GET("/b")); /* and there is no new one */
	assert_int_equal(connections_to(2), 1);
	memory_give(&stage.memory, most);
	answer_first(client);
}

/* A mirror in a queue, or in front of a group that takes no more, is as harmless. */
static void test_its_group_is_full(void **state)
{
	struct stage_peer *client = client_of(1, MIRRORED);
	struct upstream_group *group = upstream_group(&stage.worker, SHADOW);

	upstream_group_refresh(group);
	atomic_store(&group->view->servers[0]->fleet->order, FLEET_MAINTENANCE);
	fleet_touch(group->fleet);
	say(client, "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n\r\nabc");
	say(client, "def");
	assert_int_equal(connections_to(2), 0);
	answer_first(client);
}

/* ---- memory that fails ---- */

static void try(struct stage_peer *peer, const char *text)
{
	stage_say(peer, text);
	stage_turns(&stage, 3);
}

static void try_mirror(void)
{
	static const char trailers[] = "4\r\ndefg\r\n0\r\nX-Sum: 1\r\n\r\n";

	for (unsigned i = 0; i < 3; i++) {
		if (!stage_connect(&stage, 1, MIRRORED))
			continue;
		try(&stage.clients[1],
		    "POST /busy HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
		try(&stage.clients[1], "3\r\nabc\r\n");
		try(&stage.clients[1], trailers);
		for (unsigned j = 0; j < stage.server_count; j++)
			try(&stage.servers[j], stage.servers[j].address.ip[3] == 3 ?
						       "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n" :
						       OK("abc", "3"));
	}
}

/* Each n-th allocation, for every n: nothing crashes, nothing is left, and when memory is back so is service. */
static void test_memory(void **state)
{
	for (unsigned every = 1; every <= 150; every++) {
		stage_start(&stage);
		memory_fail_every(&stage.memory, every);
		try_mirror();
		memory_fail_every(&stage.memory, 0);
		everybody_leaves();
		for (unsigned i = 0; i < GROUPS; i++)
			assert_int_equal(upstream_group(&stage.worker, i)->mirrors, 0);
		unsigned before = stage.server_count;
		say(client_of(2, MIRRORED), GET("/a"));
		assert_int_equal(stage.server_count, before + 2);
		everybody_leaves();
		stage_stop(&stage); /* looks that all has been given back */
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, mirror_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_both_hear_it),
		TEST(test_masked),
		TEST(test_content_with_a_length),
		TEST(test_content_in_chunks),
		TEST(test_outlives_the_exchange),
		TEST(test_the_client_breaks_off),
		TEST(test_the_first_answers_early),
		TEST(test_it_refuses),
		TEST(test_it_closes),
		TEST(test_it_talks_nonsense),
		TEST(test_it_answers_early),
		TEST(test_it_never_reads),
		TEST(test_it_takes_too_long),
		TEST(test_it_answers_too_much),
		TEST(test_its_retries),
		TEST(test_share),
		TEST(test_none),
		TEST(test_pressure),
		TEST(test_its_group_is_full),
		cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, mirror_group_set_up, group_tear_down);
}
