/* Connections that servers authenticate (NTLM, Negotiate), on a stage: they are one client connection's, on both faces, over both versions. */
#include "h2_fixture.h"

#include "exchange/pin.h"
#include "upstream/group.h"

enum { FACE_FORWARD, FACE_REVERSE };

static const char pinning_yaml[] =
	"limits: {memory: 64 MiB, flow: 4 KiB}\n"
	"timeouts: {header: 5s, idle: 100s, body: 60s, connect: 2s, response: 70s, pool: 50s}\n"
	"forward:\n"
	"  - {listen: 127.0.0.1:3128, http2: clear, rules: [{allow: {addresses: [10.0.0.0/8]}}]}\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:8080\n"
	"    http2: clear\n"
	"    routes:\n"
	"      - {path: /pair, to: pair}\n"
	"      - {path: /two, to: two}\n"
	"      - {path: /few, to: few}\n"
	"      - {path: /copied, to: web, mirror: {to: pair}}\n"
	"      - {to: web}\n"
	"upstreams:\n"
	"  web: {servers: [\"10.9.0.1:80\"]}\n"
	"  pair: {servers: [\"10.9.0.2:80\", \"10.9.0.3:80\"], retries: 1, retry_on: [5xx]}\n"
	"  few: {servers: [\"10.9.0.5:80\"], limits: {connections: 2}}\n"
	"  two: {servers: [\"10.9.0.4:80\"], http: \"2\"}\n";

#define LOGIN "Authorization: NTLM TlRM\r\n"
#define ASKS "WWW-Authenticate: Basic realm=\"a, NTLM\", Negotiate, NTLM\r\n"
#define NO(more) "HTTP/1.1 401 Unauthorized\r\n" more "Content-Length: 0\r\n\r\n"
#define YES(more) "HTTP/1.1 200 OK\r\n" more "Content-Length: 0\r\n\r\n"

static int pinning_group_set_up(void **state)
{
	stage_configure(&stage, pinning_yaml);
	return 0;
}

static struct upstream_group *group(size_t index)
{
	return upstream_group(&stage.worker, index);
}

/* Of this client, to the one origin or to the route of the path, with more fields. */
static void get(unsigned who, unsigned face, const char *path, const char *more)
{
	char text[512];

	if (face == FACE_FORWARD)
		snprintf(text, sizeof(text), "GET http://10.2.0.1%s HTTP/1.1\r\nHost: 10.2.0.1\r\n%s\r\n",
			 path, more);
	else
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a.test\r\n%s\r\n", path, more);
	tell(&stage.clients[who], text);
}

static unsigned asked_of(unsigned server)
{
	return times(server_at(server), "GET ");
}

/* ---- both faces, HTTP/1.1 ---- */

/* One client's connection logs in; neither another one of the same client, nor another client, is ever given what it has authenticated. */
static void log_in_on(unsigned face)
{
	for (unsigned who = 0; who < 2; who++)
		(void)client_of(who, face);
	get(0, face, "/", "");
	tell(server_at(0), NO(ASKS));
	assert_has(&stage.clients[0], "401");
	get(0, face, "/", LOGIN);
	assert_int_equal(stage.server_count, 1);
	tell(server_at(0), NO("WWW-Authenticate: NTLM TlRMmore\r\n"));
	get(0, face, "/", LOGIN);
	tell(server_at(0), YES(""));
	get(0, face, "/", ""); /* goes by what it is */
	tell(server_at(0), YES(""));
	assert_int_equal(asked_of(0), 4);
	get(1, face, "/", "");
	assert_int_equal(stage.server_count, 2);
	tell(server_at(1), YES(""));
	get(0, face, "/", "");
	assert_int_equal(asked_of(0), 5);
	tell(server_at(0), YES(""));
	/* That one is nobody's but the pool's. */
	assert_int_equal(asked_of(1), 1);
	stage_peer_close(&stage.clients[0]);
	go();
	assert_true(server_at(0)->ended);
	assert_false(server_at(1)->ended);
}

static void test_log_in_forward(void **state)
{
	log_in_on(FACE_FORWARD);
}

static void test_log_in_reverse(void **state)
{
	log_in_on(FACE_REVERSE);
}

/* Credentials go out on a new connection, whatever is idle; with Negotiate they may be all that is said. */
static void credentials_on(unsigned face)
{
	for (unsigned who = 0; who < 3; who++)
		(void)client_of(who, face);
	get(0, face, "/", "");
	tell(server_at(0), YES(""));
	get(1, face, "/", "authorization: negotiate YII=\r\n");
	assert_int_equal(stage.server_count, 2);
	tell(server_at(1), YES("WWW-Authenticate: Negotiate oYG=\r\n"));
	/* Who comes next gets what is idle there for all clients; of origins that is nothing. */
	get(2, face, "/", "");
	assert_int_equal(asked_of(0), face == FACE_REVERSE ? 2 : 1);
	assert_int_equal(stage.server_count, face == FACE_REVERSE ? 2 : 3);
	assert_int_equal(asked_of(1), 1);
	get(1, face, "/", "");
	assert_int_equal(asked_of(1), 2);
	tell(server_at(1), YES(""));
}

static void test_credentials_forward(void **state)
{
	credentials_on(FACE_FORWARD);
}

static void test_credentials_reverse(void **state)
{
	credentials_on(FACE_REVERSE);
}

/* What else stands in Authorization, or in a challenge, changes nothing. */
static void test_other_schemes_share(void **state)
{
	static const char *const fields[] = {"Authorization: Basic YTpi\r\n", "Authorization: Bearer NTLM\r\n",
					     "Authorization: NTLMv3 a\r\n", "X-Authorization: NTLM a\r\n"};

	for (unsigned who = 0; who < 4; who++) {
		(void)client_of(who, FACE_REVERSE);
		get(who, FACE_REVERSE, "/", fields[who]);
		tell(server_at(0), NO("WWW-Authenticate: Basic realm=\"Negotiate\", Digest NTLM=1\r\n"));
	}
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(asked_of(0), 4);
}

/* ---- ends ---- */

/* The server ends what it has authenticated: so does the client's connection, and the client begins anew. */
static void test_ends_with_the_server(void **state)
{
	(void)client_of(0, FACE_REVERSE);
	get(0, FACE_REVERSE, "/", LOGIN);
	tell(server_at(0), NO(ASKS));
	assert_false(stage.clients[0].ended);
	stage_peer_close(server_at(0));
	go();
	assert_true(stage.clients[0].ended);
	/* and with the answer, where that says so */
	(void)client_of(1, FACE_FORWARD);
	get(1, FACE_FORWARD, "/", LOGIN);
	tell(server_at(1), NO(ASKS "Connection: close\r\n"));
	assert_has(&stage.clients[1], "401");
	assert_true(stage.clients[1].ended);
}

/* It ended as it was asked: the client sees that, and nobody asks again on its behalf. */
static void stale_on(unsigned face)
{
	(void)client_of(0, face);
	get(0, face, "/pair", LOGIN);
	tell(server_at(0), YES(""));
	server_at(0)->paused = true;
	get(0, face, "/pair", "");
	stage_peer_close(server_at(0));
	go();
	assert_true(stage.clients[0].ended);
	assert_int_equal(times(&stage.clients[0], "HTTP/1.1"), 1);
	assert_int_equal(stage.server_count, 1);
}

static void test_stale_forward(void **state)
{
	stale_on(FACE_FORWARD);
}

static void test_stale_reverse(void **state)
{
	stale_on(FACE_REVERSE);
}

/* A client that goes while its exchange runs. */
static void test_client_goes_while_it_waits(void **state)
{
	(void)client_of(0, FACE_REVERSE);
	get(0, FACE_REVERSE, "/", LOGIN);
	h1_server_cut(&stage.worker);
	go();
	assert_true(server_at(0)->ended);
	assert_int_equal(group(0)->view->servers[0]->pool.open, 0);
}

static void test_idle_time(void **state)
{
	(void)client_of(0, FACE_REVERSE);
	get(0, FACE_REVERSE, "/", LOGIN);
	tell(server_at(0), YES(""));
	pass(50001); /* timeouts.pool */
	assert_true(server_at(0)->ended);
	assert_true(stage.clients[0].ended);
}

static void test_drain(void **state)
{
	(void)client_of(0, FACE_FORWARD);
	get(0, FACE_FORWARD, "/", LOGIN);
	stage.worker.draining = true;
	tell(server_at(0), YES(""));
	assert_has(&stage.clients[0], "Connection: close");
	assert_true(server_at(0)->ended);
}

/* ---- one try, at one server ---- */

/* The server that knows the client gets its requests, whoever's turn it is. */
static void test_stays_with_its_server(void **state)
{
	(void)client_of(0, FACE_REVERSE);
	(void)client_of(1, FACE_REVERSE);
	get(0, FACE_REVERSE, "/pair", LOGIN);
	tell(server_at(0), YES(""));
	for (unsigned i = 0; i < 4; i++) {
		get(0, FACE_REVERSE, "/pair", "");
		tell(server_at(0), YES(""));
	}
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(asked_of(0), 5);
	get(1, FACE_REVERSE, "/pair", "");
	assert_int_equal(stage.server_count, 2);
	tell(server_at(1), YES(""));
}

/* A status that another server would be tried for. */
static void test_no_other_try(void **state)
{
	(void)client_of(0, FACE_REVERSE);
	get(0, FACE_REVERSE, "/pair", LOGIN);
	tell(server_at(0), "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
	assert_has(&stage.clients[0], "503");
	get(0, FACE_REVERSE, "/pair", "");
	tell(server_at(0), "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(times(&stage.clients[0], "503"), 2);
	assert_int_equal(stage.server_count, 1);
	/* and a break */
	(void)client_of(1, FACE_REVERSE);
	get(1, FACE_REVERSE, "/pair", LOGIN);
	stage_peer_close(server_at(1));
	go();
	assert_has(&stage.clients[1], "502");
	assert_int_equal(stage.server_count, 2);
}

static void test_no_mirror(void **state)
{
	(void)client_of(0, FACE_REVERSE);
	get(0, FACE_REVERSE, "/copied", LOGIN);
	assert_int_equal(stage.server_count, 1);
	tell(server_at(0), YES(""));
	get(0, FACE_REVERSE, "/copied", "");
	tell(server_at(0), YES(""));
	assert_int_equal(stage.server_count, 1);
	(void)client_of(1, FACE_REVERSE);
	get(1, FACE_REVERSE, "/copied", "");
	assert_int_equal(stage.server_count, 3);
}

/* A mirror that is asked to log in has its connection for that one answer. */
static void test_mirror_is_challenged(void **state)
{
	(void)client_of(0, FACE_REVERSE);
	get(0, FACE_REVERSE, "/copied", "");
	assert_int_equal(stage.server_count, 2);
	unsigned copy = server_at(0)->address.ip[3] == 1 ? 1 : 0;
	tell(server_at(copy), NO(ASKS));
	assert_true(server_at(copy)->ended);
	tell(server_at(1 - copy), YES(""));
	assert_has(&stage.clients[0], "200");
}

/* So many places at a time: the one that was not used for longest goes. */
static void test_bounded(void **state)
{
	(void)client_of(0, FACE_FORWARD);
	for (unsigned i = 0; i < PINS_MOST + 2; i++) {
		char text[256];
		snprintf(text, sizeof(text),
			 "GET http://10.2.0.%u/ HTTP/1.1\r\nHost: 10.2.0.%u\r\n" LOGIN "\r\n", i + 1, i + 1);
		tell(&stage.clients[0], text);
		tell(server_at(i), YES(""));
	}
	for (unsigned i = 0; i < PINS_MOST + 2; i++)
		assert_int_equal(server_at(i)->ended, i < 2);
	assert_false(stage.clients[0].ended);
}

/* A group that may have no more connections takes one back from who has it for itself and does nothing with it. */
static void test_idle_one_is_taken_back(void **state)
{
	for (unsigned who = 0; who < 3; who++)
		(void)client_of(who, FACE_REVERSE);
	get(0, FACE_REVERSE, "/few", LOGIN);
	get(1, FACE_REVERSE, "/few", LOGIN);
	assert_int_equal(stage.server_count, 2);
	tell(server_at(1), YES(""));
	tell(server_at(0), YES(""));
	get(2, FACE_REVERSE, "/few", "");
	assert_int_equal(stage.server_count, 3);
	assert_true(server_at(1)->ended); /* the one that was idle for longer */
	assert_true(stage.clients[1].ended);
	assert_false(stage.clients[0].ended);
	tell(server_at(2), YES(""));
	assert_has(&stage.clients[2], "200");
}

/* ---- HTTP/2 ---- */

#define H2_LOGIN "authorization NTLM TlRM\n"
#define ABSOLUTE ":method GET\n:scheme http\n:authority 10.2.0.1\n:path /\n"

/* Streams of one connection are one client's: one at a time goes by what it has authenticated, and others by a connection that knows nobody. */
static void h2_streams_on(unsigned face)
{
	const char *plain = face == FACE_FORWARD ? ABSOLUTE : HEAD_OF("GET", "/");
	const char *login = face == FACE_FORWARD ? ABSOLUTE H2_LOGIN : HEAD_OF("GET", "/") H2_LOGIN;
	struct h2_peer *client = h2_client(0, face), *other = h2_client(1, face);
	int32_t first = ask(client, login, NULL);

	tell(server_at(0), YES(""));
	assert_seen(client, first, ":status: 200");
	int32_t second = ask(client, plain, NULL), third = ask(client, plain, NULL);
	assert_int_equal(asked_of(0), 2);
	assert_int_equal(stage.server_count, 2);
	tell(server_at(0), YES(""));
	tell(server_at(1), YES(""));
	assert_seen(client, second, ":status: 200");
	assert_seen(client, third, ":status: 200");
	int32_t fourth = ask(other, plain, NULL);
	assert_int_equal(asked_of(0), 2);
	tell(server_at(face == FACE_FORWARD ? 2 : 1), YES(""));
	assert_seen(other, fourth, ":status: 200");
	stage_peer_close(&stage.clients[0]);
	go();
	assert_true(server_at(0)->ended);
}

static void test_h2_streams_forward(void **state)
{
	h2_streams_on(FACE_FORWARD);
}

static void test_h2_streams_reverse(void **state)
{
	h2_streams_on(FACE_REVERSE);
}

/* Servers of HTTP/2: what carries credentials is a connection of its own, and so is one that asks for them. */
static void test_h2_servers(void **state)
{
	struct h2_peer *client = h2_client(0, FACE_REVERSE), *other = h2_client(1, FACE_REVERSE);
	int32_t plain = ask(other, HEAD_OF("GET", "/two"), NULL);
	struct h2_peer *shared = h2_server(0);

	int32_t login = ask(client, HEAD_OF("GET", "/two") H2_LOGIN, NULL);
	assert_int_equal(stage.server_count, 2);
	struct h2_peer *own = h2_server(1);
	assert_seen(own, 1, "authorization: NTLM");
	int32_t beside = ask(other, HEAD_OF("GET", "/two"), NULL);
	assert_seen(shared, 3, ":method: GET");
	answer(own, 1, ":status 200\n", NULL);
	assert_seen(client, login, ":status: 200");
	int32_t next = ask(client, HEAD_OF("GET", "/two"), NULL);
	assert_seen(own, 3, ":method: GET");
	answer(own, 3, ":status 200\n", NULL);
	assert_seen(client, next, ":status: 200");
	/* Two run on the shared one, which now asks: both go on, a third one goes elsewhere. */
	answer(shared, 1, ":status 401\nwww-authenticate Negotiate\n", NULL);
	assert_seen(other, plain, ":status: 401");
	int32_t after = ask(other, HEAD_OF("GET", "/two"), NULL);
	assert_int_equal(stage.server_count, 3);
	struct h2_peer *fresh = h2_server(2);
	answer(fresh, 1, ":status 200\n", NULL);
	assert_seen(other, after, ":status: 200");
	answer(shared, 3, ":status 200\n", NULL);
	assert_seen(other, beside, ":status: 200");
	assert_int_equal(shared->goaways, 1);
	stage_peer_close(&stage.clients[0]);
	go();
	assert_int_equal(own->goaways, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, h2_set_up, h2_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_log_in_forward),
		TEST(test_log_in_reverse),
		TEST(test_credentials_forward),
		TEST(test_credentials_reverse),
		TEST(test_other_schemes_share),
		TEST(test_ends_with_the_server),
		TEST(test_stale_forward),
		TEST(test_stale_reverse),
		TEST(test_client_goes_while_it_waits),
		TEST(test_idle_time),
		TEST(test_drain),
		TEST(test_stays_with_its_server),
		TEST(test_no_other_try),
		TEST(test_no_mirror),
		TEST(test_mirror_is_challenged),
		TEST(test_bounded),
		TEST(test_idle_one_is_taken_back),
		TEST(test_h2_streams_forward),
		TEST(test_h2_streams_reverse),
		TEST(test_h2_servers),
	};

	return cmocka_run_group_tests(tests, pinning_group_set_up, group_tear_down);
}
