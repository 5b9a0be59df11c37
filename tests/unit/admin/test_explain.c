/*
 * Explanations on a stage: they leave nothing behind and touch nothing, and say when memory fails. The end-to-end tests hold what they say
 * to what happens.
 */
#include "../../support/stage.h"

#include "admin/explain.h"
#include "upstream/pick.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { REVERSE, ADMIN, EVERY_MOST = 120 };

static const char configuration[] =
	"reverse:\n"
	"  - listen: 127.0.0.1:8080\n"
	"    routes:\n"
	"      - {path: /hello, respond: {status: 200, body: hello}}\n"
	"      - {path: /away, redirect: \"https://{host}{uri}\"}\n"
	"      - {path: \"~^/item/(.*)$\", to: web, rewrite: {from: \"~^/item/(.*)$\", to: /$1}}\n"
	"      - {fields: {x-turn: \"1\"}, to: turns}\n"
	"      - {host: web.test, to: web, request: {set: {X-Uri: \"{uri}\"}}}\n"
	"upstreams:\n"
	"  web: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], balance: maglev, hash: path}\n"
	"  turns: {servers: [\"10.9.0.3:80\", \"10.9.0.4:80\"]}\n"
	"admin: 127.0.0.1:9900\n";

static struct stage stage;

static int start(void **state)
{
	stage_start(&stage);
	return 0;
}

static int end(void **state)
{
	stage_stop(&stage);
	return 0;
}

static const char *const urls[] = {
	"http://web.test:8080/",       "http://web.test:8080/hello",   "http://web.test:8080/away?x",
	"http://web.test:8080/item/7", "http://nobody.test:8080/nope", "http://web.test:8080/%zz",
};

static bool explain(const char *url, struct arena *arena, struct span *text)
{
	struct explain_ask ask = {.url = span_of(url)};
	struct explain_wrong wrong;
	struct json json;

	json_start(&json, arena);
	if (!explain_write(&stage.admin, &stage.worker, &ask, &json, &wrong)) {
		assert_true(wrong.status == 503 && wrong.text.len > 0);
		return false;
	}
	*text = json_end(&json);
	return text->at;
}

static void test_nothing_is_touched(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
		struct arena arena;
		struct span text;
		arena_init(&arena, &stage.outside, NULL, NULL, 0);
		assert_true(explain(urls[i], &arena, &text));
		json_t *all = json_loadb((const char *)text.at, text.len, 0, NULL);
		assert_non_null(json_object_get(all, "outcome"));
		json_decref(all);
		stage_turns(&stage, 2);
		assert_int_equal(exchange_count(&stage.worker), 0);
		arena_fini(&arena);
	}
	assert_int_equal(stage.server_count, 0);
	for (size_t i = 0; i < fleet_count(stage.fleet); i++) {
		struct roster *roster = fleet_roster(fleet_group_at(stage.fleet, i));
		for (unsigned j = 0; j < roster->count; j++)
			assert_int_equal(atomic_load(&roster->members[j].server->counters[0].requests), 0);
		roster_release(roster);
	}
}

/* Turns are not used up by questions: requests get what they would have got without. */
static void test_no_turn_is_taken(void **state)
{
	struct upstream_group *group = upstream_group(&stage.worker, 1);
	struct upstream_query query = {0};
	unsigned picked[2] = {0};

	for (unsigned i = 0; i < 100; i++) {
		struct upstream_ticket ticket = {0};
		assert_int_equal(upstream_pick(group, &query, &ticket), UPSTREAM_PICKED);
		picked[ticket.server->index]++;
		upstream_release(&ticket);
		if (i % 3 == 0) {
			struct explain_ask ask = {.url = SPAN("http://any.test:8080/"),
						  .headers = {SPAN("X-Turn: 1")},
						  .header_count = 1};
			struct explain_wrong wrong;
			struct arena arena;
			struct json json;
			arena_init(&arena, &stage.outside, NULL, NULL, 0);
			json_start(&json, &arena);
			assert_true(explain_write(&stage.admin, &stage.worker, &ask, &json, &wrong));
			arena_fini(&arena);
		}
	}
	assert_int_equal(picked[0], 50);
	stage_turns(&stage, 2);
}

static void test_memory(void **state)
{
	unsigned answers = 0, failures = 0;

	for (uint64_t every = 1; every <= EVERY_MOST; every++)
		for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
			struct arena arena;
			struct span text;
			arena_init(&arena, &stage.memory, NULL, NULL, 0);
			memory_fail_every(&stage.memory, every);
			bool good = explain(urls[i], &arena, &text);
			memory_fail_every(&stage.memory, 0);
			answers += good;
			failures += !good;
			stage_turns(&stage, 2);
			arena_fini(&arena);
			assert_int_equal(exchange_count(&stage.worker), 0);
		}
	assert_true(answers > 0 && failures > 0);
}

/* The interface itself, while memory fails. */
static void test_interface_without_memory(void **state)
{
	for (uint64_t every = 1; every <= EVERY_MOST; every++) {
		memory_fail_every(&stage.memory, every);
		if (stage_connect(&stage, 1, ADMIN)) {
			stage_say(&stage.clients[1],
				  "GET /upstreams HTTP/1.1\r\nHost: localhost\r\n\r\n"
				  "POST /upstreams/web/servers/10.9.0.1:80 HTTP/1.1\r\nHost: localhost\r\n"
				  "Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"weight\": 3}"
				  "GET /explain?url=http%3A%2F%2Fweb.test:8080%2F HTTP/1.1\r\nHost: localhost\r\n\r\n");
			stage_turns(&stage, 6);
		}
		memory_fail_every(&stage.memory, 0);
		stage_peer_close(&stage.clients[1]);
		stage_turns(&stage, 3);
	}
	assert_true(stage_connect(&stage, 1, ADMIN));
	stage_say(&stage.clients[1], "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	stage_turns(&stage, 4);
	assert_true(span_starts_with(stage_got(&stage.clients[1]), SPAN("HTTP/1.1 200 ")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_is_touched, start, end),
		cmocka_unit_test_setup_teardown(test_no_turn_is_taken, start, end),
		cmocka_unit_test_setup_teardown(test_memory, start, end),
		cmocka_unit_test_setup_teardown(test_interface_without_memory, start, end),
	};

	stage_configure(&stage, configuration);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	stage_discard(&stage);
	return failed;
}
