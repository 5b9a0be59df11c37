/* Connections over TLS and behind PROXY headers: what was agreed on, and cancelling at each step. */
#include "acquire_fixture.h"

/* ---- TLS ---- */

static void test_agreed_on_http2(void **state)
{
	alpn = "h2";
	assert_int_equal(server_of(AUTO)->speaks, UPSTREAM_SPEAKS_UNKNOWN);
	for (unsigned i = 0; i < 3; i++)
		ask(i, "auto");
	assert_int_equal(stage.server_count, 1);
	secure(0, 0);
	assert_int_equal(requests(0), 0);
	settings(0, 100);
	assert_int_equal(requests(0), 3);
	assert_int_equal(server_of(AUTO)->speaks, UPSTREAM_SPEAKS_HTTP2);
	for (unsigned i = 0; i < 3; i++)
		respond(0, 1 + 2 * i);
	expect_status(2, "200");
	expect_pool(AUTO, 1, 1);
}

/* A server that turns out to speak HTTP/1.1 makes nobody wait for another. */
static void test_agreed_on_http1(void **state)
{
	for (unsigned round = 0; round < 2; round++) {
		unsigned first = stage.server_count;
		alpn = round ? "http/1.1" : NULL;
		server_of(AUTO)->speaks = round ? UPSTREAM_SPEAKS_HTTP2 : UPSTREAM_SPEAKS_UNKNOWN;
		for (unsigned i = 0; i < 3; i++)
			ask(i, "auto");
		assert_int_equal(stage.server_count, first + 1);
		secure(first, 0);
		assert_true(said(first, "GET /auto HTTP/1.1\r\n"));
		assert_int_equal(server_of(AUTO)->speaks, UPSTREAM_SPEAKS_HTTP1);
		assert_int_equal(stage.server_count, first + 3); /* at once */
		ask(3, "auto");
		assert_int_equal(stage.server_count, first + 4); /* who comes now waits for nobody */
		for (unsigned i = 0; i < 4; i++) {
			secure(first + i, 0);
			tell_text(first + i,
				  "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
		}
		for (unsigned i = 0; i < 4; i++)
			expect_status(i, "200");
		expect_pool(AUTO, 0, 0);
	}
}

/* It went on for others, of whom there are none, and it is for one. */
static void test_agreed_on_http1_for_nobody(void **state)
{
	ask_to_leave(0, "auto");
	leave(0);
	assert_int_equal(attempts(AUTO), 1);
	secure(0, 0);
	assert_int_equal(attempts(AUTO), 0);
	expect_pool(AUTO, 0, 0);
	assert_true(stage.servers[0].ended);
}

static void test_not_agreed(void **state)
{
	ask(0, "only");
	ask(1, "only");
	secure(0, 0);
	expect_status(0, "502");
	expect_status(1, "502");
	assert_true(heard(0, "did not agree to HTTP/2"));
	expect_pool(ONLY, 0, 0);
}

static void test_handshake_fails(void **state)
{
	ask(0, "auto");
	ask(1, "auto");
	tell_text(0, "HTTP/1.1 400 Bad Request\r\n\r\n");
	expect_status(0, "502");
	expect_status(1, "502");
	ask(2, "auto");
	stage_pass(&stage, 3010);
	stage_turns(&stage, 3);
	expect_status(2, "504");
	ask(3, "auto");
	stage_peer_close(&stage.servers[2]);
	stage_turns(&stage, 3);
	expect_status(3, "502");
	assert_int_equal(attempts(AUTO), 0);
}

/* A server of HTTP/2 is asked for upgrades in HTTP/1.1, which says nothing of what else it speaks. */
static void test_upgrade(void **state)
{
	alpn = "h2";
	ask(0, "auto");
	secure(0, 0);
	settings(0, 100);
	respond(0, 1);
	alpn = "http/1.1";
	assert_true(stage_connect(&stage, 1, 0));
	stage_say(&stage.clients[1],
		  "GET /auto HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
	stage_turns(&stage, 2);
	assert_int_equal(stage.server_count, 2);
	secure(1, 0);
	assert_true(said(1, "Upgrade: websocket"));
	assert_int_equal(server_of(AUTO)->speaks, UPSTREAM_SPEAKS_HTTP2);
	tell_text(1, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
	expect_status(1, "101");
	expect_pool(AUTO, 1, 1);
}

/* ---- PROXY protocol ---- */

static void test_header_first(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		ask(i + 1, "v1");
		assert_int_equal(stage.server_count, i + 1); /* no connection is used again */
		char header[64];
		snprintf(header, sizeof(header), "PROXY TCP4 10.1.0.%u ", i + 1);
		assert_true(span_starts_with(stage_got(&stage.servers[i]), span_of(header)));
		assert_true(said(i, "\r\nGET /v1 HTTP/1.1\r\n"));
		tell_text(i, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		expect_status(i + 1, "200");
		stage_turns(&stage, 2);
		assert_true(stage.servers[i].ended);
		expect_pool(V1, 0, 0);
	}
}

static void test_header_before_tls(void **state)
{
	static const uint8_t signature[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11";

	alpn = "http/1.1"; /* nothing else is offered */
	ask(1, "v2");
	ask(2, "v2");
	assert_int_equal(stage.server_count, 2);
	stage_turns(&stage, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(stage.servers[i].len > 28 + 100);
		assert_memory_equal(stage.servers[i].bytes, signature, 14);
		assert_int_equal(stage.servers[i].bytes[16 + 3], i + 1); /* 10.1.0.i */
		assert_int_equal(stage.servers[i].bytes[28], 22);        /* a handshake record */
		secure(i, 28);
		assert_true(said(i, "GET /v2 HTTP/1.1\r\n"));
		tell_text(i, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		expect_status(i + 1, "200");
	}
	expect_pool(V2, 0, 0);
}

/* ---- without a client ---- */

static void test_bare_connections(void **state)
{
	struct asked plain = {0}, tls = {0}, header = {0};

	assert_true(start(&plain, CLEAR, ACQUIRE_CONN));
	alpn = "x"; /* whoever offers anything is refused */
	assert_true(start(&tls, AUTO, ACQUIRE_CONN));
	assert_true(start(&header, V1, ACQUIRE_CONN));
	stage_turns(&stage, 2);
	assert_int_equal(stage.server_count, 3);
	assert_non_null(plain.conn);
	assert_true(conn_is_plain(plain.conn));
	assert_null(tls.conn);
	secure(1, 0);
	assert_non_null(tls.conn);
	assert_non_null(tls_conn_info(tls.conn));
	assert_int_equal(tls_conn_info(tls.conn)->alpn.len, 0);
	assert_int_equal(server_of(AUTO)->speaks, UPSTREAM_SPEAKS_UNKNOWN);
	assert_non_null(header.conn);
	assert_true(said(2, "PROXY TCP4 10.1.0.9 10.1.0.9 99 99\r\n"));
	assert_int_equal(plain.told + tls.told + header.told, 3);
	conn_close(plain.conn);
	conn_close(tls.conn);
	conn_close(header.conn);
}

/* At each step of each kind. */
static void test_cancel(void **state)
{
	static const struct {
		unsigned group;
		enum acquire_kind kind;
		size_t header;
	} cases[] = {{CLEAR, ACQUIRE_SESSION, 0}, {CLEAR, ACQUIRE_CONN, 0}, {AUTO, ACQUIRE_SESSION, 0},
		     {AUTO, ACQUIRE_HTTP1, 0},    {AUTO, ACQUIRE_CONN, 0},  {ONLY, ACQUIRE_SESSION, 0},
		     {V1, ACQUIRE_SESSION, 0},    {V2, ACQUIRE_SESSION, 28}};

	acquire_cancel(&(struct acquire){0});
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		for (unsigned turns = 0; turns < 5; turns++) {
			struct asked asked = {0};
			unsigned server = stage.server_count;
			alpn = cases[i].group == ONLY ? "h2" : NULL;
			assert_true(start(&asked, cases[i].group, cases[i].kind));
			for (unsigned j = 0; j < turns; j++) {
				stage_turn(&stage);
				if (stage.server_count > server &&
				    upstream_group(&stage.worker, cases[i].group)->settings->tls.place.line)
					end_pump(server, cases[i].header);
			}
			unsigned told = asked.told;
			acquire_cancel(&asked.acquire);
			acquire_cancel(&asked.acquire);
			stage_turns(&stage, 5);
			assert_int_equal(asked.told, told);
			if (asked.conn)
				conn_close(asked.conn);
			upstream_drain(&stage.worker);
			assert_int_equal(attempts(cases[i].group), 0);
			expect_pool(cases[i].group, 0, 0);
		}
	}
	stage_pass(&stage, 40000);
	stage_turns(&stage, 2);
	assert_int_equal(conn_count(&stage.worker), 0);
}

/* Each allocation of all that happens fails once. */
static void test_no_memory(void **state)
{
	static const unsigned groups[] = {CLEAR, AUTO, V1, V2};

	for (size_t i = 0; i < ARRAY_LENGTH(groups); i++) {
		unsigned failed = 0;
		for (unsigned every = 1; every < 24; every++) {
			struct asked asked = {0};
			unsigned server = stage.server_count % STAGE_SERVERS;
			if (stage.server_count == STAGE_SERVERS) {
				tear_down(NULL);
				set_up(NULL);
				server = 0;
			}
			alpn = NULL;
			memory_fail_every(&stage.memory, every);
			bool good = start(&asked, groups[i], groups[i] == V2 ? ACQUIRE_CONN : ACQUIRE_SESSION);
			for (unsigned j = 0; good && j < 6; j++) {
				stage_turn(&stage);
				if (groups[i] != CLEAR && groups[i] != V1 && stage.server_count > server)
					end_pump(server, groups[i] == V2 ? 28 : 0);
			}
			memory_fail_every(&stage.memory, 0);
			if (groups[i] == CLEAR && good && !asked.told && stage.server_count > server)
				settings(server, 100);
			stage_turns(&stage, 4);
			stage_pass(&stage, 4000);
			assert_int_equal(asked.told, good);
			failed += !good || error_is(&asked.error);
			if (asked.conn)
				conn_close(asked.conn);
		}
		assert_in_range(failed, 1, 22);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_agreed_on_http2),
		TEST(test_agreed_on_http1),
		TEST(test_agreed_on_http1_for_nobody),
		TEST(test_not_agreed),
		TEST(test_handshake_fails),
		TEST(test_upgrade),
		TEST(test_header_first),
		TEST(test_header_before_tls),
		TEST(test_bare_connections),
		TEST(test_cancel),
		TEST(test_no_memory),
	};
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
