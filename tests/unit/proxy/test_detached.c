/*
 * Tunnels that have left their exchange: the exchange is over while they go on; they end, are ended and are logged as if it were not; and they cost
 * no more than is promised.
 */
#include "stage_fixture.h"

#include "core/log.h"
#include "proxy/detached.h"

#include <jansson.h>
#include <sys/mman.h>

#define CONNECT "CONNECT 10.2.0.2:443 HTTP/1.1\r\nHost: 10.2.0.2:443\r\n\r\n"

static int file;
static struct log *writer;

static int set_up_logged(void **state)
{
	file = memfd_create("access", 0);
	writer = log_start(file, -1, LOG_INFO);
	stage.log = log_ring_new(writer, 1024 * 1024);
	assert_non_null(stage.log);
	stage_start(&stage);
	return 0;
}

/* Ends the worker; the only line that there may be, for the caller. */
static json_t *the_line(void)
{
	json_error_t error;
	static char text[8192];

	stage_stop(&stage);
	log_stop(writer);
	stage.log = NULL;
	ssize_t len = pread(file, text, sizeof(text) - 1, 0);
	assert_true(len > 0);
	text[len] = 0;
	json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!line)
		fail_msg("not one line: %s", text);
	return line;
}

static int tear_down_logged(void **state)
{
	stage_stop(&stage);
	if (stage.log)
		log_stop(writer);
	stage.log = NULL;
	close(file);
	return 0;
}

static const char *text_of(const json_t *line, const char *key)
{
	const char *text = json_string_value(json_object_get(line, key));
	return text ? text : "";
}

static struct stage_peer *open_tunnel(void)
{
	struct stage_peer *client = client_of(1, FORWARD);

	say(client, CONNECT);
	assert_has(client, "HTTP/1.1 200 ");
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_int_equal(detached_count(&stage.worker), 1);
	return client;
}

static void assert_logged(const char *error)
{
	json_t *line = the_line();

	assert_string_equal(text_of(line, "method"), "CONNECT");
	assert_string_equal(text_of(line, "target"), "10.2.0.2:443");
	assert_string_equal(text_of(line, "client"), "10.1.0.1");
	assert_string_equal(text_of(line, "server"), "10.2.0.2:443");
	assert_string_equal(text_of(line, "protocol"), "HTTP/1.1");
	assert_int_equal(json_integer_value(json_object_get(line, "status")), 200);
	assert_int_equal(json_integer_value(json_object_get(line, "in")), 4);
	assert_int_equal(json_integer_value(json_object_get(line, "out")), 7);
	assert_string_equal(text_of(line, "error"), error);
	json_decref(line);
}

static struct stage_peer *open_and_talk(void)
{
	struct stage_peer *client = open_tunnel();

	say(client, "ping");
	say(server_at(0), "welcome");
	assert_has(client, "welcome");
	return client;
}

static void test_ends_and_is_logged(void **state)
{
	struct stage_peer *client = open_and_talk();

	stage_peer_close(client);
	stage_peer_close(server_at(0));
	stage_turns(&stage, 3);
	assert_int_equal(detached_count(&stage.worker), 0);
	assert_int_equal(conn_count(&stage.worker), 0);
	assert_int_equal(stage.gone, 1);
	assert_logged("");
}

static void test_silence_ends_it(void **state)
{
	struct stage_peer *client = open_and_talk();

	for (unsigned i = 0; i < 6; i++)
		stage_pass(&stage, 5001);
	assert_true(client->ended && server_at(0)->ended);
	assert_int_equal(stage.gone, 1);
	assert_logged("the tunnel was idle for too long");
}

/* Of several, the one that is silent for too long, and no other. */
static void test_each_has_its_own_time(void **state)
{
	struct stage_peer *silent = open_tunnel(), *busy = client_of(2, FORWARD);

	say(busy, CONNECT);
	for (unsigned i = 0; i < 6; i++) {
		stage_pass(&stage, 5001);
		say(busy, "x");
	}
	assert_true(silent->ended);
	assert_false(busy->ended);
	assert_int_equal(detached_count(&stage.worker), 1);
}

static void test_is_cut(void **state)
{
	struct stage_peer *client = open_and_talk();

	stage.worker.draining = true;
	entrance_drain(&stage.worker);
	stage_turns(&stage, 2);
	assert_int_equal(detached_count(&stage.worker), 1); /* as long as it wants to, until the deadline */
	entrance_cut(&stage.worker);
	stage_turns(&stage, 2);
	assert_true(client->ended && server_at(0)->ended);
	assert_int_equal(detached_count(&stage.worker), 0);
	assert_logged("shutting down");
}

/* Without memory for a record the exchange stays with its tunnel, which goes on all the same. */
static void test_memory_that_fails(void **state)
{
	unsigned stayed = 0, left = 0;

	for (unsigned every = 1; every <= 40; every++) {
		struct stage_peer *client = client_of(1, FORWARD);
		memory_fail_every(&stage.memory, every);
		stage_say(client, CONNECT);
		stage_turns(&stage, 3);
		memory_fail_every(&stage.memory, 0);
		if (!has(client, "HTTP/1.1 200 ")) {
			stage_turns(&stage, 3);
			continue;
		}
		size_t last = stage.server_count - 1;
		stayed += exchange_count(&stage.worker) > 0;
		left += detached_count(&stage.worker) > 0;
		if (!client->ended) {
			say(client, "ping");
			assert_has(server_at((unsigned)last), "ping");
			say(server_at((unsigned)last), "pong");
			assert_has(client, "pong");
		}
		everybody_leaves();
	}
	assert_true(stayed > 0 && left > 0);
}

/* What is promised to who holds many: less than 1 KiB for each silent tunnel, the allocator's share included. */
static void test_costs_little(void **state)
{
	enum { EACH_ALLOCATION = 16 };

	open_tunnel();
	uint64_t one = atomic_load(&stage.memory.used);
	for (unsigned i = 2; i < STAGE_CLIENTS; i++)
		say(client_of(i, FORWARD), CONNECT);
	uint64_t each = (atomic_load(&stage.memory.used) - one) / (STAGE_CLIENTS - 2);
	assert_int_equal(detached_count(&stage.worker), STAGE_CLIENTS - 1);
	assert_in_range(each + 4 * EACH_ALLOCATION, 1, 1024);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_LOGGED(name) cmocka_unit_test_setup_teardown(name, set_up_logged, tear_down_logged)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_LOGGED(test_ends_and_is_logged), TEST_LOGGED(test_silence_ends_it),
		TEST(test_each_has_its_own_time),     TEST_LOGGED(test_is_cut),
		TEST(test_memory_that_fails),         TEST(test_costs_little),
	};
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
