/* Active checks over socket pairs, with a clock of the test's own: when they are made, and what follows from them. */
#include "../../support/stage.h"

#include "upstream/health.h"
#include "upstream/health_probe.h"
#include "upstream/orders.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { INTERVAL = 1000, TIMEOUT = 300, RISE = 2, FALL = 3, OTHERS = 1, PLAIN = 2, SLOW = 3, FULL = 4 };

static const char yaml[] =
	"reverse:\n"
	"  - {listen: 127.0.0.1:8080, routes: [{to: web}]}\n"
	"upstreams:\n"
	"  web:\n"
	"    servers: [\"10.9.0.1:80\"]\n"
	"    health: {interval: 1s, timeout: 300ms, jitter: 0, rise: 2, fall: 3, body: ready}\n"
	"  others:\n"
	"    servers: [\"10.9.1.1:80\"]\n"
	"    health: {interval: 1s, timeout: 300ms, jitter: 50, kind: tcp}\n"
	"  plain:\n"
	"    servers: [\"10.9.2.1:80\"]\n"
	"  slow:\n"
	"    servers: [\"10.9.3.1:80\"]\n"
	"    health: {interval: 1s, timeout: 2500ms, jitter: 0}\n";

static const char well[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready";
static const char unwell[] = "HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nready";

static struct stage stage;
static struct health *health;

static void on_look(void *owner, size_t group)
{
	health_look(health, group);
}

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
	health = health_start(&stage.worker);
	assert_non_null(health);
	upstream_on_look(&stage.worker, on_look, NULL);
	return 0;
}

static int tear_down(void **state)
{
	health_stop(health);
	stage_stop(&stage);
	return 0;
}

/* ---- words ---- */

static struct fleet_server *server_of(size_t group)
{
	return upstream_group(&stage.worker, group)->view->servers[0]->fleet;
}

static enum fleet_health health_of(size_t group)
{
	return (enum fleet_health)atomic_load(&server_of(group)->health);
}

static uint64_t version_of(size_t group)
{
	return fleet_version(fleet_group_at(stage.fleet, group));
}

/* Whether this connection of Guise is to a server of that group, going by its address. */
static bool is_of(const struct stage_peer *peer, size_t group)
{
	return peer->address.ip[2] == group;
}

/* The newest connection to the group, if it came after the first `from` ones; NULL: there is none. */
static struct stage_peer *newest(size_t group, unsigned from)
{
	for (unsigned i = stage.server_count; i > from; i--)
		if (is_of(&stage.servers[i - 1], group))
			return &stage.servers[i - 1];
	return NULL;
}

/* Slots of connections that are over are used again. */
static void forget_connections(void)
{
	for (unsigned i = 0; i < stage.server_count; i++) {
		stage_peer_close(&stage.servers[i]);
		free(stage.servers[i].bytes);
	}
	stage.server_count = 0;
	stage_turns(&stage, 2);
}

/* Passes time until a check of the group begins; how long that took, ms. */
static unsigned until_check(size_t group, struct stage_peer **peer)
{
	unsigned from = stage.server_count;

	for (unsigned ms = 1; ms <= 4 * INTERVAL; ms++) {
		if (stage.server_count > STAGE_SERVERS - 8) {
			forget_connections();
			from = 0;
		}
		stage_pass(&stage, 1);
		stage_turn(&stage);
		*peer = newest(group, from);
		if (*peer)
			return ms;
	}
	fail_msg("no check came");
	return 0;
}

/* One whole check of the group, answered so. */
static void checked(size_t group, const char *answer)
{
	struct stage_peer *peer;

	until_check(group, &peer);
	assert_true(stage_say(peer, answer) > 0);
	stage_turns(&stage, 3);
	assert_true(peer->ended);
}

static void checks(size_t group, const char *answer, unsigned count)
{
	while (count-- > 0)
		checked(group, answer);
}

/* ---- what follows ---- */

static void test_what_is_asked(void **state)
{
	struct stage_peer *peer;

	until_check(0, &peer);
	assert_string_equal((char *)peer->bytes,
			    "GET / HTTP/1.1\r\nHost: 10.9.0.1:80\r\nUser-Agent: guise-health\r\n\r\n");
}

static void test_first_good_word_is_believed(void **state)
{
	assert_int_equal(health_of(0), FLEET_UNCHECKED);
	checked(0, well);
	assert_int_equal(health_of(0), FLEET_UP);
	assert_int_equal(atomic_load(&server_of(0)->well_since), 0); /* no slow start at the beginning */
}

static void test_fall_and_rise(void **state)
{
	checked(0, well);
	for (unsigned failed = 1; failed < FALL; failed++) {
		checked(0, unwell);
		assert_int_equal(health_of(0), FLEET_UP);
	}
	checked(0, well); /* in a row, not in all */
	uint64_t version = version_of(0);
	checks(0, unwell, FALL - 1);
	assert_int_equal(health_of(0), FLEET_UP);
	assert_int_equal(version_of(0), version);
	checked(0, unwell);
	assert_int_equal(health_of(0), FLEET_DOWN);
	assert_true(version_of(0) > version);
	assert_false(fleet_server_is_well(server_of(0), stage.worker.loop.now));

	atomic_store(&server_of(0)->ejected_until, stage.worker.loop.now + 100 * INTERVAL);
	atomic_store(&server_of(0)->ejections, 4);
	atomic_store(&server_of(0)->errors, 3);
	checks(0, well, RISE - 1);
	assert_int_equal(health_of(0), FLEET_DOWN);
	version = version_of(0);
	checked(0, well);
	assert_int_equal(health_of(0), FLEET_UP);
	assert_true(version_of(0) > version);
	assert_true(fleet_server_is_well(server_of(0), stage.worker.loop.now));
	assert_int_equal(atomic_load(&server_of(0)->well_since), stage.worker.loop.now);
	assert_int_equal(atomic_load(&server_of(0)->ejections), 0);
	assert_int_equal(atomic_load(&server_of(0)->errors), 0);
}

static void test_unchecked_server_falls_as_slowly(void **state)
{
	checks(0, unwell, FALL - 1);
	assert_int_equal(health_of(0), FLEET_UNCHECKED);
	assert_true(fleet_server_is_well(server_of(0), stage.worker.loop.now));
	checked(0, unwell);
	assert_int_equal(health_of(0), FLEET_DOWN);
}

static void test_nobody_is_there(void **state)
{
	struct stage_peer *peer;

	for (unsigned failed = 0; failed < FALL; failed++) {
		/* Checks of other groups come between: each connect to this one is refused by its own. */
		until_check(0, &peer);
		stage_peer_close(peer);
		stage_turns(&stage, 3);
	}
	assert_int_equal(health_of(0), FLEET_DOWN);
}

static void test_content(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nread",
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nready",
		"HTTP/1.1 204 No Content\r\n\r\n",
	};

	checked(0, well);
	for (unsigned i = 0; i < ARRAY_LENGTH(answers); i++) {
		struct stage_peer *peer;
		until_check(0, &peer);
		stage_say(peer, answers[i]);
		stage_turns(&stage, 2);
		stage_peer_close(peer);
		stage_turns(&stage, 3);
	}
	assert_int_equal(health_of(0), FLEET_DOWN);
}

/* ---- when ---- */

static void test_first_check_is_soon(void **state)
{
	struct stage_peer *peer;

	assert_in_range(until_check(0, &peer), 1, INTERVAL + 1);
}

static void test_interval(void **state)
{
	struct stage_peer *peer;

	checked(0, well);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(until_check(0, &peer), INTERVAL);
		stage_say(peer, well);
		stage_turns(&stage, 3);
	}
}

/* Never longer than an interval, and not always the same. */
static void test_jitter(void **state)
{
	unsigned least = UINT32_MAX, most = 0;
	struct stage_peer *peer;

	until_check(OTHERS, &peer);
	for (unsigned i = 0; i < 60; i++) {
		unsigned ms = until_check(OTHERS, &peer);
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
		assert_true(peer->ended);
		assert_int_equal(peer->len, 0);
	}
	assert_in_range(least, INTERVAL / 2, INTERVAL / 2 + 150);
	assert_in_range(most, INTERVAL - 150, INTERVAL);
	assert_int_equal(health_of(OTHERS), FLEET_UP);
}

static void test_timeout(void **state)
{
	static const char *const answers[] = {NULL, "HTTP/1.1 200 OK\r\nContent-",
					      "HTTP/1.1 200 OK\r\n\r\nready"};
	struct stage_peer *peer;

	checked(0, well);
	for (unsigned i = 0; i < FALL; i++) {
		until_check(0, &peer);
		if (answers[i])
			stage_say(peer, answers[i]);
		for (unsigned ms = 1; ms < TIMEOUT; ms++)
			stage_pass(&stage, 1);
		assert_false(peer->ended);
		assert_int_equal(health_of(0), FLEET_UP);
		stage_pass(&stage, 1);
		stage_turns(&stage, 2);
		assert_true(peer->ended);
	}
	assert_int_equal(health_of(0), FLEET_DOWN);
}

/* A check that takes longer than the interval: the next one waits for it, and comes at once then. */
static void test_one_at_a_time(void **state)
{
	struct stage_peer *first, *second;

	until_check(SLOW, &first);
	unsigned ms = until_check(SLOW, &second);
	assert_true(first->ended);
	assert_in_range(ms, 2500, 2502);
}

/* ---- orders ---- */

static void test_maintenance(void **state)
{
	struct fleet_group *group = fleet_group_at(stage.fleet, 0);
	struct stage_peer *peer;

	checked(0, well);
	checks(0, unwell, FALL - 1);
	until_check(0, &peer);
	assert_true(fleet_order_set(group, server_of(0), FLEET_MAINTENANCE, &stage.worker));
	stage_say(peer, unwell); /* the one that was under way says nothing any more */
	stage_turns(&stage, 3);
	assert_int_equal(health_of(0), FLEET_UP);
	forget_connections();
	for (unsigned ms = 0; ms < 3 * INTERVAL; ms += 10)
		stage_pass(&stage, 10);
	assert_null(newest(0, 0));

	assert_true(fleet_order_set(group, server_of(0), FLEET_READY, &stage.worker));
	checks(0, unwell, FALL - 1); /* counted anew */
	assert_int_equal(health_of(0), FLEET_UP);
	checked(0, unwell);
	assert_int_equal(health_of(0), FLEET_DOWN);
}

static void test_drained_servers_are_checked(void **state)
{
	assert_true(fleet_order_set(fleet_group_at(stage.fleet, 0), server_of(0), FLEET_DRAIN, &stage.worker));
	checked(0, well);
	assert_int_equal(health_of(0), FLEET_UP);
}

/* ---- rosters ---- */

static void publish(size_t group, const char *address)
{
	struct fleet_group *fleet = fleet_group_at(stage.fleet, group);
	struct fleet_identity identity = {.written = span_of(address)};
	struct fleet_server *server = fleet_server_get(fleet, &identity);
	struct roster *roster = roster_new(&stage.memory, 1);

	assert_non_null(server);
	assert_non_null(roster);
	roster_add(roster, server, 1, 0);
	fleet_server_release(server);
	fleet_publish(fleet, roster);
	stage_turns(&stage, 3);
}

static void test_new_roster(void **state)
{
	struct stage_peer *old, *peer;

	checks(0, unwell, FALL);
	until_check(0, &old);
	publish(0, "10.9.0.2:80");
	assert_true(old->ended); /* in the middle of a check */
	assert_int_equal(health_of(0), FLEET_UNCHECKED);
	until_check(0, &peer);
	assert_int_equal(peer->address.ip[3], 2);
	stage_say(peer, well);
	stage_turns(&stage, 3);
	assert_int_equal(health_of(0), FLEET_UP);
	for (unsigned ms = 0; ms < 2 * INTERVAL; ms += 10)
		stage_pass(&stage, 10);
	for (struct stage_peer *one = peer; one < &stage.servers[stage.server_count]; one++)
		assert_false(is_of(one, 0) && one->address.ip[3] == 1);
}

static void test_same_roster_goes_on(void **state)
{
	checks(0, unwell, FALL);
	publish(0, "10.9.0.1:80");
	assert_int_equal(health_of(0), FLEET_DOWN);
	checks(0, well, RISE);
	assert_int_equal(health_of(0), FLEET_UP);
}

/* A configuration before this one had checks for the group; nobody would ever bring the server back. */
static void test_no_checks_any_more(void **state)
{
	uint64_t version = version_of(PLAIN);

	atomic_store(&server_of(PLAIN)->health, FLEET_DOWN);
	health_look(health, PLAIN);
	assert_int_equal(health_of(PLAIN), FLEET_UNCHECKED);
	assert_true(version_of(PLAIN) > version);
}

/* ---- bad days ---- */

static void test_out_of_memory(void **state)
{
	struct stage_peer *peer;

	for (unsigned every = 1; every < 40; every++) {
		memory_fail_every(&stage.memory, every);
		for (unsigned ms = 0; ms < INTERVAL; ms += 5) {
			stage_pass(&stage, 5);
			peer = newest(0, 0);
			if (peer)
				stage_say(peer, well);
		}
		memory_fail_every(&stage.memory, 0);
		stage_turns(&stage, 3);
		assert_int_not_equal(health_of(0), FLEET_DOWN); /* it is not the server's fault */
		forget_connections();
	}
	atomic_store(&server_of(0)->health, FLEET_UNCHECKED);
	until_check(0, &peer);
	forget_connections();
	checked(0, well);
	assert_int_equal(health_of(0), FLEET_UP);
}

static void test_new_server_without_memory(void **state)
{
	memory_fail_every(&stage.memory, 0);
	struct fleet_group *fleet = fleet_group_at(stage.fleet, 0);
	struct fleet_identity identity = {.written = SPAN("10.9.0.7:80")};
	struct fleet_server *server = fleet_server_get(fleet, &identity);
	struct roster *roster = roster_new(&stage.memory, 1);
	struct stage_peer *peer;

	roster_add(roster, server, 1, 0);
	fleet_server_release(server);
	fleet_publish(fleet, roster);
	memory_fail_every(&stage.memory, 1);
	stage_turns(&stage, 3);
	memory_fail_every(&stage.memory, 0);
	stage_pass(&stage, INTERVAL);
	upstream_group_refresh(upstream_group(&stage.worker, 0));
	health_look(health, 0);
	for (unsigned i = 0; i < 10; i++) {
		until_check(0, &peer);
		if (peer->address.ip[3] == 7)
			return;
	}
	fail_msg("the new server is not checked");
}

/* ---- the text in the content ---- */

/* Whatever the pieces, it is found exactly where memmem finds it. */
static void test_needle(void **state)
{
	struct memory memory;
	struct random random;
	struct health_needle needle;
	uint8_t text[8], bytes[48];

	memory_init(&memory, 0);
	random_init(&random);
	for (unsigned round = 0; round < 20000; round++) {
		size_t text_len = random_below(&random, sizeof(text) + 1),
		       len = random_below(&random, sizeof(bytes) + 1);
		for (size_t i = 0; i < text_len; i++)
			text[i] = (uint8_t)('a' + random_below(&random, 2));
		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)('a' + random_below(&random, 2));
		assert_true(health_needle_init(&needle, span_make(text, text_len), &memory));
		size_t matched = 0, at = 0;
		while (at < len) {
			size_t piece = 1 + random_below(&random, (uint32_t)(len - at));
			matched = health_needle_feed(&needle, matched, span_make(bytes + at, piece));
			at += piece;
		}
		bool there = text_len == 0 || (len > 0 && memmem(bytes, len, text, text_len) != NULL);
		assert_int_equal(matched == text_len, there);
		health_needle_fini(&needle, &memory);
	}
	assert_int_equal(atomic_load(&memory.used), 0);
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGED(test_what_is_asked),
		STAGED(test_first_good_word_is_believed),
		STAGED(test_fall_and_rise),
		STAGED(test_unchecked_server_falls_as_slowly),
		STAGED(test_nobody_is_there),
		STAGED(test_content),
		STAGED(test_first_check_is_soon),
		STAGED(test_interval),
		STAGED(test_jitter),
		STAGED(test_timeout),
		STAGED(test_one_at_a_time),
		STAGED(test_maintenance),
		STAGED(test_drained_servers_are_checked),
		STAGED(test_new_roster),
		STAGED(test_same_roster_goes_on),
		STAGED(test_no_checks_any_more),
		STAGED(test_out_of_memory),
		STAGED(test_new_server_without_memory),
		cmocka_unit_test(test_needle),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
