/*
 * Intercepted connections, on a stage: what they begin with decides, however it is cut; a lie gains nothing; and each way to end leaves nothing behind.
 */
#include "stage_fixture.h"

#include "proxy/intercept.h"

enum { NAMED, ORIGINAL, BY_NAME_ALONE };

static const char yaml[] =
	"limits: {memory: 64 MiB, flow: 4 KiB}\n"
	"timeouts: {handshake: 3s, header: 5s, idle: 10s, connect: 2s, tunnel: 20s, pool: 12s}\n"
	"forward:\n"
	"  - {listen: 127.0.0.1:3129, intercept: redirect, rules: [{allow: {addresses: [10.0.0.0/8]}}]}\n"
	"  - {listen: 127.0.0.1:3130, intercept: redirect, intercept_destination: original,\n"
	"     rules: [{allow: {addresses: [10.0.0.0/8]}}]}\n"
	"  - listen: 127.0.0.1:3131\n"
	"    intercept: redirect\n"
	"    rules: [{allow: {domains: [a.test], addresses: [10.0.0.0/8]}}]\n";

/* A ClientHello for a.test. */
static const uint8_t hello[] = {
	0x16, 0x03, 0x01, 0x00, 0x3e, 0x01, 0x00, 0x00, 0x3a, 0x03, 0x03, '0',  '1',  '2',  '3',  '4',  '5',
	'6',  '7',  '8',  '9',  'a',  'b',  'c',  'd',  'e',  'f',  '0',  '1',  '2',  '3',  '4',  '5',  '6',
	'7',  '8',  '9',  'a',  'b',  'c',  'd',  'e',  'f',  0x00, 0x00, 0x02, 0x13, 0x01, 0x01, 0x00, 0x00,
	0x0f, 0x00, 0x00, 0x00, 0x0b, 0x00, 0x09, 0x00, 0x00, 0x06, 'a',  '.',  't',  'e',  's',  't',
};

/* One without extensions, and so without a name. */
static const uint8_t nameless[] = {
	0x16, 0x03, 0x01, 0x00, 0x2d, 0x01, 0x00, 0x00, 0x29, 0x03, 0x03, '0',  '1',  '2',  '3',  '4',  '5',
	'6',  '7',  '8',  '9',  'a',  'b',  'c',  'd',  'e',  'f',  '0',  '1',  '2',  '3',  '4',  '5',  '6',
	'7',  '8',  '9',  'a',  'b',  'c',  'd',  'e',  'f',  0x00, 0x00, 0x02, 0x13, 0x01, 0x01, 0x00,
};

#define HELLO span_make(hello, sizeof(hello))
#define NAMELESS span_make(nameless, sizeof(nameless))

/* ---- instead of the system's: where a connection was on the way to ---- */

static struct address destination;

int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict len)
{
	union socket_address raw;

	if ((level != IPPROTO_IP && level != IPPROTO_IPV6) || option != 80)
		return (int)syscall(SYS_getsockopt, fd, level, option, value, len);
	if (destination.family == ADDRESS_NONE) {
		errno = ENOENT;
		return -1;
	}
	*len = address_to_socket(&destination, &raw);
	memcpy(value, &raw, *len);
	return 0;
}

static void on_the_way_to(uint8_t last, uint16_t port)
{
	destination = (struct address){.family = ADDRESS_V4, .ip = {10, 2, 0, last}, .port = port};
}

static int configure(void **state)
{
	stage_configure(&stage, yaml);
	return 0;
}

static void assert_got(const struct stage_peer *peer, struct span bytes)
{
	assert_int_equal(peer->len, bytes.len);
	assert_memory_equal(peer->bytes, bytes.at, bytes.len);
}

/* The `index`th connection of Guise goes there. */
static struct stage_peer *server_is(unsigned index, uint8_t last, uint16_t port)
{
	struct stage_peer *server = server_at(index);

	assert_int_equal(server->address.ip[3], last);
	assert_int_equal(server->address.port, port);
	return server;
}

/* ---- first bytes ---- */

static void test_guesses(void **state)
{
	static const struct {
		const char *bytes;
		enum intercept_guess guess;
	} cases[] = {
		{"\x16", INTERCEPT_IS_TLS},
		{"\x16\x03\x01", INTERCEPT_IS_TLS},
		{"G", INTERCEPT_IS_UNCLEAR},
		{"GET", INTERCEPT_IS_UNCLEAR},
		{"GET ", INTERCEPT_IS_UNCLEAR},
		{"GET /", INTERCEPT_IS_HTTP},
		{"brew /pot", INTERCEPT_IS_HTTP},
		{"OPTIONS *", INTERCEPT_IS_HTTP},
		{"GET ht", INTERCEPT_IS_UNCLEAR},
		{"GET http://a", INTERCEPT_IS_HTTP},
		{"GET HTTP://a", INTERCEPT_IS_HTTP},
		{"GET hat", INTERCEPT_IS_OTHER},
		{"GET https://a", INTERCEPT_IS_OTHER},
		{"CONNECT a.test:443", INTERCEPT_IS_OTHER},
		{"PRI * HTTP/2.0", INTERCEPT_IS_OTHER},
		{"PRIOR /x", INTERCEPT_IS_HTTP},
		{"SSH-2.0-x", INTERCEPT_IS_OTHER},
		{"EHLO mail.example", INTERCEPT_IS_OTHER},
		{"PING\r\n", INTERCEPT_IS_OTHER},
		{"\r\nGET /", INTERCEPT_IS_OTHER},
		{"\x05\x01", INTERCEPT_IS_OTHER}, /* SOCKS is nothing here */
		{" GET /", INTERCEPT_IS_OTHER},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZ", INTERCEPT_IS_OTHER},
		{"ABCDEFGHIJKLMNOPQRSTUVW", INTERCEPT_IS_UNCLEAR},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		assert_int_equal(intercept_guess(span_of(cases[i].bytes)), cases[i].guess);
}

/* At every byte: the name is looked up, the port is the one that was on the way to. */
static void test_hello_at_every_cut(void **state)
{
	for (size_t cut = 1; cut <= sizeof(hello); cut++) {
		stage_stop(&stage);
		stage_start(&stage);
		on_the_way_to(9, 8443);
		struct stage_peer *client = client_of(1, NAMED);
		stage_send(client, span_first(HELLO, cut));
		stage_turns(&stage, 4);
		assert_int_equal(stage.server_count, cut == sizeof(hello));
		stage_send(client, span_from(HELLO, cut));
		stage_turns(&stage, 4);
		assert_got(server_is(0, 3, 8443), HELLO);
		say(server_at(0), "welcome");
		assert_got(client, SPAN("welcome"));
		say(client, "thanks");
		assert_int_equal(server_at(0)->len, sizeof(hello) + 6);
	}
}

static void test_request_at_every_cut(void **state)
{
	static const char request[] = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";

	for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
		stage_stop(&stage);
		stage_start(&stage);
		on_the_way_to(9, 8080);
		struct stage_peer *client = client_of(1, NAMED);
		stage_send(client, span_make(request, cut));
		stage_turns(&stage, 4);
		assert_int_equal(stage.server_count, 0);
		say(client, request + cut);
		stage_turns(&stage, 4);
		assert_has(server_is(0, 3, 8080), "GET /x HTTP/1.1\r\n");
		assert_has(server_at(0), "Host: a.test\r\n");
		say(server_at(0), OK("yes", "3"));
		assert_has(client, "HTTP/1.1 200 OK");
		assert_has(client, "yes");
	}
}

static void test_others_go_where_they_went(void **state)
{
	on_the_way_to(9, 22);
	struct stage_peer *client = client_of(1, NAMED);

	say(client, "SSH-2.0-x\r\n");
	stage_turns(&stage, 3);
	assert_got(server_is(0, 9, 22), SPAN("SSH-2.0-x\r\n"));
	on_the_way_to(8, 443);
	client = client_of(2, NAMED);
	stage_send(client, NAMELESS);
	stage_turns(&stage, 4);
	assert_got(server_is(1, 8, 443), NAMELESS);
	on_the_way_to(7, 80);
	client = client_of(3, NAMED);
	say(client, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	stage_turns(&stage, 3);
	assert_got(server_is(2, 7, 80), SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
}

static void test_servers_may_speak_first(void **state)
{
	on_the_way_to(9, 25);
	struct stage_peer *client = client_of(1, NAMED);

	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 0);
	stage_pass(&stage, 1100);
	stage_turns(&stage, 3);
	say(server_is(0, 9, 25), "220 mail\r\n");
	assert_got(client, SPAN("220 mail\r\n"));
}

/* On the ports of HTTP who says nothing has nothing to say: it gets no tunnel that nobody has looked into. */
static void test_silence_opens_nothing(void **state)
{
	on_the_way_to(9, 443);
	struct stage_peer *client = client_of(1, NAMED);

	stage_pass(&stage, 9000);
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 0);
	assert_false(client->ended);
	stage_pass(&stage, 1500);
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 0);
	assert_true(client->ended);
	assert_int_equal(stage.gone, 1);
}

static void test_half_a_hello_is_not_waited_for(void **state)
{
	on_the_way_to(9, 993);
	struct stage_peer *client = client_of(1, NAMED);

	stage_send(client, span_first(HELLO, 20));
	stage_turns(&stage, 3);
	stage_pass(&stage, 3100);
	stage_turns(&stage, 3);
	assert_true(client->ended);
	assert_int_equal(stage.server_count, 0);
	client = client_of(2, NAMED);
	stage_send(client, span_first(HELLO, 20));
	stage_turns(&stage, 2);
	stage_peer_close(client);
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 0);
	assert_int_equal(stage.gone, 2);
}

/* ---- who lies ---- */

static const uint8_t denied[] = {21, 3, 3, 0, 2, 2, 49};
static const uint8_t failed[] = {21, 3, 3, 0, 2, 2, 80};

/* What is allowed by name is connected to by that name, wherever the client was on the way to. */
static void test_a_name_leads_to_its_owner(void **state)
{
	on_the_way_to(66, 443);
	struct stage_peer *client = client_of(1, BY_NAME_ALONE);

	stage_send(client, HELLO);
	stage_turns(&stage, 4);
	(void)server_is(0, 3, 443);
	on_the_way_to(66, 80);
	client = client_of(2, BY_NAME_ALONE);
	say(client, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	stage_turns(&stage, 3);
	(void)server_is(1, 3, 80);
	client = client_of(3, BY_NAME_ALONE);
	say(client, "GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
	assert_has(client, "HTTP/1.1 403 ");
	client = client_of(4, BY_NAME_ALONE);
	stage_send(client, NAMELESS);
	stage_turns(&stage, 4);
	assert_got(client, span_make(denied, sizeof(denied)));
	assert_true(client->ended);
	client = client_of(5, BY_NAME_ALONE);
	say(client, "SSH-2.0-x\r\n");
	assert_true(client->ended);
	assert_int_equal(client->len, 0);
	assert_int_equal(stage.server_count, 2);
}

/* Where the address counts, the name must stand for it. */
static void test_the_original_address_must_be_the_names(void **state)
{
	on_the_way_to(3, 443);
	struct stage_peer *client = client_of(1, ORIGINAL);

	stage_send(client, HELLO);
	stage_turns(&stage, 4);
	assert_got(server_is(0, 3, 443), HELLO);
	on_the_way_to(66, 443);
	client = client_of(2, ORIGINAL);
	stage_send(client, HELLO);
	stage_turns(&stage, 4);
	assert_got(client, span_make(failed, sizeof(failed)));
	on_the_way_to(66, 80);
	client = client_of(3, ORIGINAL);
	say(client, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	stage_turns(&stage, 3);
	assert_has(client, "HTTP/1.1 421 ");
	assert_int_equal(stage.server_count, 1);
	on_the_way_to(3, 80);
	client = client_of(4, ORIGINAL);
	say(client, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	stage_turns(&stage, 3);
	(void)server_is(1, 3, 80);
}

static void test_addresses_that_are_not_public(void **state)
{
	destination = (struct address){.family = ADDRESS_V4, .ip = {127, 0, 0, 1}, .port = 22};
	struct stage_peer *client = client_of(1, NAMED);

	say(client, "SSH-2.0-x\r\n");
	assert_true(client->ended);
	client = client_of(2, NAMED);
	say(client, "GET / HTTP/1.1\r\nHost: inside.test\r\n\r\n");
	stage_turns(&stage, 3);
	assert_has(client, "HTTP/1.1 403 ");
	assert_int_equal(stage.server_count, 0);
}

static void test_requests_that_are_not_for_a_server(void **state)
{
	static const struct {
		const char *request, *answer;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: a.test:8080\r\n\r\n", "HTTP/1.1 400 "},
		{"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", "HTTP/1.1 400 "},
		{"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
	};

	on_the_way_to(9, 80);
	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct stage_peer *client = client_of(1, NAMED);
		say(client, cases[i].request);
		assert_has(client, cases[i].answer);
	}
	assert_int_equal(stage.server_count, 0);
	/* Behind a good request too. */
	struct stage_peer *client = client_of(2, NAMED);
	say(client, "GET / HTTP/1.1\r\nHost: a.test:80\r\n\r\n");
	say(server_is(0, 3, 80), OK("yes", "3"));
	say(client, "CONNECT b.test:80 HTTP/1.1\r\nHost: b.test:80\r\n\r\n");
	assert_has(client, "yes");
	assert_has(client, "HTTP/1.1 400 ");
	assert_int_equal(stage.server_count, 1);
	/* HTTP/1.0 may leave Host out. */
	client = client_of(3, NAMED);
	say(client, "GET /old HTTP/1.0\r\n\r\n");
	stage_turns(&stage, 3);
	assert_has(server_is(1, 9, 80), "GET /old HTTP/1.1\r\n");
	assert_has(server_at(1), "Host: 10.2.0.9:80\r\n");
}

/* ---- who was not sent here ---- */

static void test_connections_to_the_port_itself(void **state)
{
	static const struct address own[] = {{.family = ADDRESS_V4, .ip = {127, 0, 0, 1}, .port = 3129}};

	stage.own = (struct guard_own){.listeners = own, .listener_count = 1};
	for (unsigned unknown = 0; unknown < 2; unknown++) {
		destination = unknown ? (struct address){0} : own[0];
		struct stage_peer *client = client_of(1, NAMED);
		say(client, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
		assert_has(client, "HTTP/1.1 400 ");
		assert_has(client, unknown ? "on the way to is not known" : "it leads nowhere");
		client = client_of(2, NAMED);
		stage_send(client, HELLO);
		stage_turns(&stage, 4);
		assert_got(client, span_make(failed, sizeof(failed)));
		client = client_of(3, NAMED);
		say(client, "SSH-2.0-x\r\n");
		assert_true(client->ended);
	}
	assert_int_equal(stage.server_count, 0);
	stage.own = (struct guard_own){0};
}

static void test_servers_that_cannot_be_reached(void **state)
{
	on_the_way_to(9, 443);
	stage.refuse_next = ECONNREFUSED;
	struct stage_peer *client = client_of(1, NAMED);

	stage_send(client, HELLO);
	stage_turns(&stage, 4);
	assert_got(client, span_make(failed, sizeof(failed)));
	assert_true(client->ended);
	assert_int_equal(stage.gone, 1);
}

static void test_no_memory(void **state)
{
	for (unsigned every = 1; every < 40; every++) {
		stage_stop(&stage);
		stage_start(&stage);
		on_the_way_to(9, 443);
		memory_fail_every(&stage.memory, every);
		if (stage_connect(&stage, 1, NAMED)) {
			stage_send(&stage.clients[1], HELLO);
			stage_turns(&stage, 4);
		}
		if (stage_connect(&stage, 2, NAMED)) {
			stage_say(&stage.clients[2], "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
			stage_turns(&stage, 4);
		}
		memory_fail_every(&stage.memory, 0);
		everybody_leaves();
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guesses),
		TEST(test_hello_at_every_cut),
		TEST(test_request_at_every_cut),
		TEST(test_others_go_where_they_went),
		TEST(test_servers_may_speak_first),
		TEST(test_silence_opens_nothing),
		TEST(test_half_a_hello_is_not_waited_for),
		TEST(test_a_name_leads_to_its_owner),
		TEST(test_the_original_address_must_be_the_names),
		TEST(test_addresses_that_are_not_public),
		TEST(test_requests_that_are_not_for_a_server),
		TEST(test_connections_to_the_port_itself),
		TEST(test_servers_that_cannot_be_reached),
		TEST(test_no_memory),
	};
	return cmocka_run_group_tests(tests, configure, group_tear_down);
}
