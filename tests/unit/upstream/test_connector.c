/* Connectors: names and literals, the judge in between, and that everything is told once, or never after a cancel. */
#include "../../support/stage.h"

#include "upstream/connector.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char yaml[] = "reverse: [{listen: \"127.0.0.1:2\", routes: [{respond: {status: 204}}]}]\n";

static struct stage stage;

struct asked {
	struct connector connector;
	struct conn *conn;
	struct error error;
	unsigned told, judged;
	struct address judged_address;
	bool refuse;
};

static int group_set_up(void **state)
{
	stage_configure(&stage, yaml);
	return 0;
}

static int group_tear_down(void **state)
{
	stage_discard(&stage);
	return 0;
}

static int set_up(void **state)
{
	stage_start(&stage);
	return 0;
}

static int tear_down(void **state)
{
	stage_stop(&stage);
	return 0;
}

static void on_connected(struct connector *connector, struct conn *conn, const struct error *error)
{
	struct asked *asked = CONTAINER_OF(connector, struct asked, connector);

	asked->told++;
	asked->conn = conn;
	asked->error = *error;
}

static unsigned filter(struct connector *connector, struct address *addresses, unsigned count,
		       struct error *error)
{
	struct asked *asked = CONTAINER_OF(connector, struct asked, connector);

	asked->judged++;
	asked->judged_address = addresses[0];
	if (!asked->refuse)
		return count;
	*error = error_make(ERROR_TARGET_PROHIBITED, "no");
	return 0;
}

static const struct connector_ops ops = {.filter = filter, .on_connected = on_connected};
static const struct connector_ops plain_ops = {.on_connected = on_connected};

static void start(struct asked *asked, const struct connector_ops *how, const char *literal, const char *name)
{
	struct address address = {.family = ADDRESS_NONE};

	if (literal)
		assert_true(address_parse(span_of(literal), &address));
	connector_start(&asked->connector, &stage.worker, how, &address, span_of(name), 8080, NULL, 1000);
	assert_int_equal(asked->told, 0); /* never before it returns */
}

static void finish(struct asked *asked)
{
	stage_turns(&stage, 3);
	if (asked->conn)
		conn_close(asked->conn);
	stage_turns(&stage, 2);
}

static void test_literal(void **state)
{
	struct asked asked = {0};

	start(&asked, &ops, "10.0.0.1:81", "");
	finish(&asked);
	assert_int_equal(asked.told, 1);
	assert_non_null(asked.conn);
	assert_int_equal(stage.servers[0].address.port, 81);
	assert_int_equal(asked.judged, 1);
	connector_cancel(&asked.connector); /* too late, and harmless */
}

static void test_name(void **state)
{
	struct asked asked = {0};

	start(&asked, &ops, NULL, "a.test");
	finish(&asked);
	assert_non_null(asked.conn);
	assert_int_equal(asked.judged_address.port, 8080);
	assert_memory_equal(asked.judged_address.ip, ((uint8_t[]){10, 2, 0, 3}), 4);
	assert_memory_equal(stage.servers[0].address.ip, asked.judged_address.ip, 4); /* what was judged */
}

static void test_judge_refuses(void **state)
{
	struct asked asked = {.refuse = true};

	start(&asked, &ops, NULL, "a.test");
	finish(&asked);
	assert_int_equal(asked.told, 1);
	assert_null(asked.conn);
	assert_int_equal(asked.error.code, ERROR_TARGET_PROHIBITED);
	assert_true(asked.error.unprocessed);
	assert_int_equal(stage.server_count, 0);
}

static void test_refused(void **state)
{
	struct asked asked = {0};

	stage.refuse_next = ECONNREFUSED;
	start(&asked, &plain_ops, "10.0.0.1:81", "");
	finish(&asked);
	assert_int_equal(asked.told, 1);
	assert_null(asked.conn);
	assert_int_equal(asked.error.code, ERROR_CONNECT_REFUSED);
	assert_true(asked.error.unprocessed);
}

static void test_names_that_are_none(void **state)
{
	static const char *const names[] = {"nowhere.invalid", "under_score..", "x.onion"};

	for (unsigned i = 0; i < ARRAY_LENGTH(names); i++) {
		struct asked asked = {0};
		start(&asked, &ops, NULL, names[i]);
		finish(&asked);
		assert_int_equal(asked.told, 1);
		assert_int_equal(asked.error.code, ERROR_DNS_FAILED);
		assert_int_equal(asked.judged, 0);
	}
}

/* There is no name server: an answer comes all the same. */
static void test_name_server_is_away(void **state)
{
	struct asked asked = {0};

	start(&asked, &ops, NULL, "example.org");
	for (unsigned i = 0; i < 100 && !asked.told; i++)
		stage_pass(&stage, 500);
	assert_int_equal(asked.told, 1);
	assert_true(asked.error.code == ERROR_DNS_FAILED || asked.error.code == ERROR_DNS_TIMEOUT);
}

static void test_cancel(void **state)
{
	static const char *const names[] = {"a.test", "example.org", "nowhere.invalid"};
	struct asked asked = {0};

	connector_cancel(&asked.connector); /* never started */
	for (unsigned i = 0; i < ARRAY_LENGTH(names); i++) {
		start(&asked, &ops, NULL, names[i]);
		connector_cancel(&asked.connector);
		connector_cancel(&asked.connector);
		for (unsigned j = 0; j < 10; j++)
			stage_pass(&stage, 500);
		assert_int_equal(asked.told, 0);
	}
	start(&asked, &ops, "10.0.0.1:81", "");
	connector_cancel(&asked.connector);
	stage_turns(&stage, 3);
	assert_int_equal(asked.told, 0);
	assert_int_equal(conn_count(&stage.worker), 0);
	/* and again, with the same one */
	start(&asked, &ops, "10.0.0.1:81", "");
	finish(&asked);
	assert_int_equal(asked.told, 1);
	assert_non_null(asked.conn);
}

static void test_no_memory(void **state)
{
	for (unsigned every = 1; every < 12; every++) {
		struct asked asked = {0};
		memory_fail_every(&stage.memory, every);
		start(&asked, &ops, every % 2 ? "10.0.0.1:81" : NULL, "a.test");
		stage_turns(&stage, 3);
		memory_fail_every(&stage.memory, 0);
		assert_int_equal(asked.told, 1);
		finish(&asked);
		assert_int_equal(conn_count(&stage.worker), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_literal),
		TEST(test_name),
		TEST(test_judge_refuses),
		TEST(test_refused),
		TEST(test_names_that_are_none),
		TEST(test_name_server_is_away),
		TEST(test_cancel),
		TEST(test_no_memory),
	};
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
