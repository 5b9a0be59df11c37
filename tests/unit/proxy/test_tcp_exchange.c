/*
 * Connections of tcp listeners, on a stage: how a ClientHello is cut makes no difference, and each way to end leaves nothing behind.
 */
#include "stage_fixture.h"

/* A ClientHello for a.test. */
static const uint8_t hello[] = {
	0x16, 0x03, 0x01, 0x00, 0x3e, 0x01, 0x00, 0x00, 0x3a, 0x03, 0x03, '0',  '1',  '2',  '3',  '4',  '5',
	'6',  '7',  '8',  '9',  'a',  'b',  'c',  'd',  'e',  'f',  '0',  '1',  '2',  '3',  '4',  '5',  '6',
	'7',  '8',  '9',  'a',  'b',  'c',  'd',  'e',  'f',  0x00, 0x00, 0x02, 0x13, 0x01, 0x01, 0x00, 0x00,
	0x0f, 0x00, 0x00, 0x00, 0x0b, 0x00, 0x09, 0x00, 0x00, 0x06, 'a',  '.',  't',  'e',  's',  't',
};

static void assert_got(const struct stage_peer *peer, struct span bytes)
{
	assert_int_equal(peer->len, bytes.len);
	assert_memory_equal(peer->bytes, bytes.at, bytes.len);
}

/* At every byte, with and without something behind it. */
static void test_hello_at_every_cut(void **state)
{
	struct span all = span_make(hello, sizeof(hello));

	for (size_t cut = 1; cut < sizeof(hello); cut++) {
		stage_stop(&stage);
		stage_start(&stage);
		struct stage_peer *client = client_of(1, TCP_NAMES);
		stage_send(client, span_first(all, cut));
		stage_turns(&stage, 3);
		assert_int_equal(stage.server_count, 0);
		stage_send(client, span_from(all, cut));
		stage_turns(&stage, 4);
		assert_int_equal(stage.server_count, 1);
		assert_int_equal(server_at(0)->address.ip[3], 1);
		assert_got(server_at(0), all);
		say(server_at(0), "welcome");
		assert_got(client, SPAN("welcome"));
	}
}

static void test_hello_bytewise(void **state)
{
	struct stage_peer *client = client_of(1, TCP_NAMES);

	for (size_t i = 0; i < sizeof(hello); i++) {
		stage_send(client, span_make(hello + i, 1));
		stage_turn(&stage);
	}
	stage_turns(&stage, 4);
	assert_got(server_at(0), span_make(hello, sizeof(hello)));
}

static void test_second_server(void **state)
{
	struct stage_peer *client = client_of(1, TCP);

	stage.refuse_next = ECONNREFUSED;
	say(client, "hello");
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 1);
	assert_got(server_at(0), SPAN("hello"));
	assert_false(client->ended);
}

static void test_no_server(void **state)
{
	struct stage_peer *client = client_of(1, TCP_NAMES);

	stage.refuse_next = ECONNREFUSED;
	stage_send(client, span_make(hello, sizeof(hello)));
	stage_turns(&stage, 4);
	assert_true(client->ended);
	assert_int_equal(stage.server_count, 0);
	assert_int_equal(stage.gone, 1);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

static void test_time_for_hello(void **state)
{
	struct stage_peer *silent = client_of(1, TCP_NAMES), *slow = client_of(2, TCP_NAMES);

	stage_send(slow, span_make(hello, 30));
	stage_turns(&stage, 3);
	stage_pass(&stage, 9900);
	assert_false(silent->ended || slow->ended);
	stage_pass(&stage, 200);
	stage_turns(&stage, 2);
	assert_true(silent->ended && slow->ended);
	assert_int_equal(stage.gone, 2);
	assert_int_equal(conn_count(&stage.worker), 0);
}

/* Draining: who has said nothing goes, who has begun may go on, and so does what is connected. */
static void test_drain(void **state)
{
	struct stage_peer *silent = client_of(1, TCP_NAMES), *begun = client_of(2, TCP_NAMES),
			  *open = client_of(3, TCP);

	stage_send(begun, span_make(hello, 30));
	say(open, "x");
	stage.worker.draining = true;
	entrance_drain(&stage.worker);
	stage_turns(&stage, 3);
	assert_true(silent->ended);
	assert_false(begun->ended || open->ended);
	stage_send(begun, span_make(hello + 30, sizeof(hello) - 30));
	stage_turns(&stage, 4);
	assert_int_equal(stage.server_count, 2);
	assert_got(server_at(1), span_make(hello, sizeof(hello)));
	entrance_cut(&stage.worker);
	stage_turns(&stage, 3);
	assert_true(begun->ended && open->ended);
	assert_int_equal(stage.gone, 3);
	assert_int_equal(exchange_count(&stage.worker), 0);
	stage.worker.draining = false;
}

static void test_everybody_leaves(void **state)
{
	client_of(1, TCP_NAMES);
	stage_send(client_of(2, TCP_NAMES), span_make(hello, 30));
	stage_send(client_of(3, TCP_NAMES), span_make(hello, sizeof(hello)));
	say(client_of(4, TCP), "x");
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 2);
	everybody_leaves();
	assert_int_equal(stage.gone, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hello_at_every_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hello_bytewise, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_second_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time_for_hello, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_drain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_everybody_leaves, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
